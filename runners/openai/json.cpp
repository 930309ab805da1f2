#include "runners/openai/json.h"

#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using nlohmann::json;

constexpr int kMostDepth = 64;

bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMostDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

json parse_json(std::string_view text) {
  if (too_deep(text)) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false);
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
  const json* value = member(object, key);
  return value && value->is_string() ? value->get<std::string>() : "";
}

int64_t count_of(const json& object, const char* key) {
  const json* value = member(object, key);
  constexpr double kMost = 1e15;  // exact as double, beyond any count
  if (!value || !value->is_number()) return -1;
  const auto count = value->get<double>();
  return count >= 0 && count <= kMost ? static_cast<int64_t>(count) : -1;
}

std::string dump_json(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ds4::runners::openai
