#include "runners/openai/fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using Json = nlohmann::ordered_json;

std::string range_text(double least, double most) {
  const auto plain = [](double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  };
  const bool open_end = most >= 1e18;
  return open_end ? "at least " + plain(least) : "between " + plain(least) + " and " + plain(most);
}

}  // namespace

void Problems::refuse(const std::string& param, const std::string& message,
                      const std::string& code) {
  if (first_) return;
  first_ = Refusal{400, param.empty() ? message : "`" + param + "` " + message, param, code};
}

Fields::Fields(const Json& object, std::string path, Problems& problems)
    : object_(object), path_(std::move(path)), problems_(problems) {
  if (object.is_object()) return;
  problems_.refuse(
      path_, (path_.empty() ? "the body must be an object, not " : "must be an object, not ") +
                 kind_of(object));
}

const Json* Fields::take(const char* key) {
  taken_.insert(key);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::flag(const char* key, bool& value) {
  const Json* member = take(key);
  if (!member) return;
  if (member->is_boolean()) {
    value = member->get<bool>();
  } else {
    problems_.refuse(path_of(key), "must be true or false, not " + kind_of(*member));
  }
}

void Fields::integer(const char* key, int64_t& value, int64_t least, int64_t most) {
  const Json* member = take(key);
  if (!member) return;
  if (!member->is_number_integer()) {
    problems_.refuse(path_of(key), "must be an integer, not " + kind_of(*member));
    return;
  }
  const bool too_large = member->is_number_unsigned() &&
                         member->get<uint64_t>() > static_cast<uint64_t>(most < 0 ? 0 : most);
  if (too_large || member->get<int64_t>() < least || member->get<int64_t>() > most) {
    problems_.refuse(path_of(key),
                     "must be " +
                         range_text(static_cast<double>(least), static_cast<double>(most)) +
                         ", not " + member->dump());
    return;
  }
  value = member->get<int64_t>();
}

void Fields::number(const char* key, double& value, double least, double most) {
  const Json* member = take(key);
  if (!member) return;
  if (!member->is_number()) {
    problems_.refuse(path_of(key), "must be a number, not " + kind_of(*member));
    return;
  }
  const auto given = member->get<double>();
  if (!std::isfinite(given) || given < least || given > most) {
    problems_.refuse(path_of(key),
                     "must be " + range_text(least, most) + ", not " + member->dump());
    return;
  }
  value = given;
}

void Fields::text(const char* key, std::string& value) {
  const Json* member = take(key);
  if (!member) return;
  if (member->is_string()) {
    value = member->get<std::string>();
  } else {
    problems_.refuse(path_of(key), "must be a string, not " + kind_of(*member));
  }
}

void Fields::ignore(std::initializer_list<const char*> keys) {
  taken_.insert(keys.begin(), keys.end());
}

std::string Fields::path_of(const char* key) const {
  return path_.empty() ? key : path_ + "." + key;
}

void Fields::unknown(std::vector<std::string>& into) const {
  constexpr size_t kMostNamed = 16, kMostBytes = 64;
  if (!object_.is_object()) return;
  for (const auto& [key, value] : object_.items()) {
    if (taken_.contains(key) || value.is_null() || into.size() >= kMostNamed) continue;
    into.push_back(path_of(key.substr(0, kMostBytes).c_str()));
  }
}

std::string kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "true or false";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

}  // namespace ds4::runners::openai
