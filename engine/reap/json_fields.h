// Checked access to the keys of one JSON object of an observation, plan or manifest: errors name
// file, place and key. Private to the .cpp files beside it: it exposes JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ds4::reap {

/// The largest count or number of bytes a file may state: sums over all entries that a file of the
/// largest size can have stay within 63 bits.
inline constexpr int64_t kMaxCount = int64_t{1} << 41;

/// All members throw Error(kCheckpoint).
class JsonFields {
 public:
  /// `where`: file and place for messages. Throws unless `object` is an object.
  JsonFields(const nlohmann::json& object, std::string where);

  std::string text(const char* key) const;
  bool boolean(const char* key) const;
  int64_t integer(const char* key, int64_t low, int64_t high) const;
  /// Whole numbers, each in [low, high].
  std::vector<int64_t> integers(const char* key, int64_t low, int64_t high) const;
  /// Finite numbers of at least 0.
  std::vector<double> amounts(const char* key) const;
  /// The objects of a list.
  std::vector<JsonFields> objects(const char* key) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  const nlohmann::json& require(const char* key) const;
  const nlohmann::json& list(const char* key) const;

  const nlohmann::json& object_;  // borrowed
  std::string where_;
};

/// The object in a file whose "format" is `format`.
nlohmann::json read_json_file(const std::filesystem::path& path, const char* format);

/// An object with one key per line, and lists of objects with one object per line.
std::string lines_of(const nlohmann::ordered_json& object);

}  // namespace ds4::reap
