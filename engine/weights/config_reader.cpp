#include "engine/weights/config_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace ds4::weights {
namespace {

using nlohmann::json;

// The renamed keys of the reference's own inference config.
struct OtherName {
  const char* key;
  const char* other;
};
constexpr OtherName kOtherNames[] = {
    {"num_hidden_layers", "n_layers"},
    {"hidden_size", "dim"},
    {"moe_intermediate_size", "moe_inter_dim"},
    {"num_nextn_predict_layers", "n_mtp_layers"},
    {"sliding_window", "window_size"},
    {"routed_scaling_factor", "route_scale"},
    {"scoring_func", "score_func"},
};

// A value as the user wrote it, short enough for a message.
std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string plain(double value) {
  return shown(json(value));
}

}  // namespace

const json* ConfigReader::find(const char* key) const {
  auto found = object_.find(key);
  for (const OtherName& name : kOtherNames) {
    if (found != object_.end()) break;
    if (std::string_view(name.key) == key) found = object_.find(name.other);
  }
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const json& ConfigReader::require(const char* key) const {
  if (const json* value = find(key)) return *value;
  fail("key `" + prefix_ + key + "` is missing",
       "Take config.json from the same place as the weights; the forward pass needs this key.");
}

int64_t ConfigReader::integer_value(const json& value, const std::string& key, int64_t low,
                                    int64_t high) const {
  const std::string range =
      "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
  // get<int64_t> of an unsigned above 2^63 would wrap.
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))) {
    fail(key, value, range);
  }
  const int64_t number = value.get<int64_t>();
  if (number < low || number > high) fail(key, value, range);
  return number;
}

int64_t ConfigReader::integer(const char* key, int64_t low, int64_t high) const {
  return integer_value(require(key), key, low, high);
}

int64_t ConfigReader::integer_or(const char* key, int64_t fallback, int64_t low,
                                 int64_t high) const {
  const json* value = find(key);
  return value ? integer_value(*value, key, low, high) : fallback;
}

double ConfigReader::number(const char* key, double low, bool low_included) const {
  const json& value = require(key);
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!std::isfinite(number) || number < low || (number == low && !low_included)) {
    fail(key, value,
         std::string("a number ") + (low_included ? "of at least " : "above ") + plain(low));
  }
  return number;
}

double ConfigReader::number_or(const char* key, double fallback, double low,
                               bool low_included) const {
  return find(key) ? number(key, low, low_included) : fallback;
}

bool ConfigReader::boolean_or(const char* key, bool fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) fail(key, *value, "true or false");
  return value->get<bool>();
}

std::string ConfigReader::text_or(const char* key, const std::string& fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) fail(key, *value, "text");
  return value->get<std::string>();
}

void ConfigReader::expect_text(const char* key, const char* only) const {
  const json* value = find(key);
  if (value && (!value->is_string() || value->get_ref<const std::string&>() != only)) {
    fail(key, *value, std::string("\"") + only + "\"", "Nothing else is implemented.");
  }
}

void ConfigReader::expect_bool(const char* key, bool only) const {
  const json* value = find(key);
  if (value && (!value->is_boolean() || value->get<bool>() != only)) {
    fail(key, *value, only ? "true" : "false", "Nothing else is implemented.");
  }
}

void ConfigReader::fail(const std::string& key, const json& value, const std::string& must,
                        const std::string& hint) const {
  fail("`" + prefix_ + key + "` is " + shown(value) + "; it must be " + must,
       hint.empty() ? "Correct the key, or take config.json from the same place as the weights."
                    : hint);
}

void ConfigReader::fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorCode::kCheckpoint, file_ + ": " + message, hint);
}

}  // namespace ds4::weights
