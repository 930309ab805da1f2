// The members of a posted JSON object, taken one by one: each is checked for its type and range,
// the first that is wrong is kept as the refusal. Only for .cpp files beside this one.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runners/openai/request.h"

namespace ds4::runners::openai {

/// The first thing that is wrong with a request.
class Problems {
 public:
  /// "`param` must be ...": keeps the first.
  void refuse(const std::string& param, const std::string& message, const std::string& code = {});
  const std::optional<Refusal>& first() const { return first_; }

 private:
  std::optional<Refusal> first_;
};

class Fields {
 public:
  /// Something that is no object has no members and is refused under `path` ("messages[2]"; "" is
  /// the body itself).
  Fields(const nlohmann::ordered_json& object, std::string path, Problems& problems);

  /// The member, or nullptr when it is absent or null; from now on it counts as known.
  const nlohmann::ordered_json* take(const char* key);
  /// Members that are absent keep `value`; so do wrong ones, which are refused.
  void flag(const char* key, bool& value);
  void integer(const char* key, int64_t& value, int64_t least, int64_t most);
  void number(const char* key, double& value, double least, double most);
  void text(const char* key, std::string& value);
  /// Known and without effect here.
  void ignore(std::initializer_list<const char*> keys);
  /// "messages[2].content".
  std::string path_of(const char* key) const;
  /// Members that nobody took, with their paths.
  void unknown(std::vector<std::string>& into) const;
  Problems& problems() { return problems_; }

 private:
  const nlohmann::ordered_json& object_;
  const std::string path_;
  Problems& problems_;
  std::set<std::string, std::less<>> taken_;
};

/// What a JSON value is, as messages say it: "a string", "an object".
std::string kind_of(const nlohmann::ordered_json& value);

/// Reads `messages` and `tools` into body.conversation.
void read_messages(Fields& fields, Body& body);

}  // namespace ds4::runners::openai
