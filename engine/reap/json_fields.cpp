#include "engine/reap/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/files.h"

namespace ds4::reap {
namespace {

using nlohmann::json;

constexpr int64_t kMaxBytes = 256 << 20;
constexpr const char* kHint = "Make the file again with `ds4-sweep reap`.";

}  // namespace

JsonFields::JsonFields(const json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) fail("is no JSON object");
}

void JsonFields::fail(const std::string& what) const {
  throw Error(ErrorCode::kCheckpoint, where_ + ": " + what, kHint);
}

const json& JsonFields::require(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end()) fail(std::string("lacks the key `") + key + "`");
  return *found;
}

std::string JsonFields::text(const char* key) const {
  const json& value = require(key);
  if (!value.is_string()) fail(std::string("`") + key + "` is no text");
  return value.get<std::string>();
}

bool JsonFields::boolean(const char* key) const {
  const json& value = require(key);
  if (!value.is_boolean()) fail(std::string("`") + key + "` is neither true nor false");
  return value.get<bool>();
}

int64_t JsonFields::integer(const char* key, int64_t low, int64_t high) const {
  const json& value = require(key);
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    fail(std::string("`") + key + "` is " + value.dump());
  }
  if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() > high) {
    fail(std::string("`") + key + "` is not a whole number in " + std::to_string(low) + " .. " +
         std::to_string(high));
  }
  return value.get<int64_t>();
}

const json& JsonFields::list(const char* key) const {
  const json& value = require(key);
  if (!value.is_array()) fail(std::string("`") + key + "` is no list");
  return value;
}

std::vector<int64_t> JsonFields::integers(const char* key, int64_t low, int64_t high) const {
  std::vector<int64_t> numbers;
  for (const json& value : list(key)) {
    const bool fits = value.is_number_integer() &&
                      !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) &&
                      value.get<int64_t>() >= low && value.get<int64_t>() <= high;
    if (!fits) {
      fail(std::string("`") + key + "` holds something else than whole numbers in " +
           std::to_string(low) + " .. " + std::to_string(high));
    }
    numbers.push_back(value.get<int64_t>());
  }
  return numbers;
}

std::vector<double> JsonFields::amounts(const char* key) const {
  std::vector<double> numbers;
  for (const json& value : list(key)) {
    if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0) {
      fail(std::string("`") + key + "` holds something else than numbers of at least 0");
    }
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

std::vector<JsonFields> JsonFields::objects(const char* key) const {
  std::vector<JsonFields> objects;
  for (const json& value : list(key)) {
    objects.emplace_back(value, where_ + ": `" + key + "` " + std::to_string(objects.size()));
  }
  return objects;
}

json read_json_file(const std::filesystem::path& path, const char* format) {
  json object = json::parse(read_file(path, kMaxBytes), nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) {
    throw Error(ErrorCode::kCheckpoint, path.string() + ": not valid JSON", kHint);
  }
  const JsonFields fields(object, path.string());
  if (fields.text("format") != format) {
    fields.fail(std::string("`format` is not \"") + format + "\"");
  }
  return object;
}

std::string lines_of(const nlohmann::ordered_json& object) {
  std::string text = "{";
  for (const auto& [key, value] : object.items()) {
    text += (text.size() > 1 ? ",\n " : "\n ") + json(key).dump() + ": ";
    if (value.is_array() && !value.empty() && value[0].is_object()) {
      text += "[";
      for (size_t i = 0; i < value.size(); ++i) text += (i ? ",\n  " : "\n  ") + value[i].dump();
      text += "\n ]";
    } else {
      text += value.dump();
    }
  }
  return text + "\n}\n";
}

}  // namespace ds4::reap
