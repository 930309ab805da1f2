#include "runners/openai/json.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using nlohmann::json;

constexpr size_t kMostDepth = 64;
// Of an object whose order is kept: they are looked up one after the other, more make that slow.
constexpr int64_t kMostMembers = 512;
constexpr int64_t kNoBound = std::numeric_limits<int64_t>::max();

// Whether the brackets of `text` stay within the bounds; says nothing about its being JSON.
bool within_bounds(std::string_view text, int64_t most_members) {
  std::array<int64_t, kMostDepth> members{};  // of the open objects; lists begin far below
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (depth == kMostDepth) return false;
      members[depth++] = c == '{' ? 1 : -std::ssize(text);
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
    } else if (c == ',' && depth > 0 && ++members[depth - 1] > most_members) {
      return false;
    }
  }
  return true;
}

}  // namespace

json parse_json(std::string_view text) {
  if (!within_bounds(text, kNoBound)) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false);
}

nlohmann::ordered_json parse_ordered(std::string_view text) {
  using Ordered = nlohmann::ordered_json;
  if (!within_bounds(text, kMostMembers)) return Ordered(Ordered::value_t::discarded);
  return Ordered::parse(text, nullptr, false);
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

std::string dump_json(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ds4::runners::openai
