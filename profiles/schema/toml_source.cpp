#include "profiles/schema/toml_source.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "profiles/schema/nearest.h"

namespace ds4::profiles {
namespace {

[[noreturn]] void wrong_type(const TomlSource& source, const toml::node& node, std::string_view key,
                             const char* expected) {
  source.fail(
      node, "`" + std::string(key) + "` is " + describe(node.type()) + "; it must be " + expected);
}

constexpr size_t kFewKeys = 16;  // so many are all named beside the nearest

}  // namespace

std::string TomlSource::where(const toml::source_region& region) const {
  if (region.begin.line == 0) return placeless;
  return origin + ":" + std::to_string(region.begin.line);
}

void TomlSource::fail(const toml::node& node, const std::string& problem,
                      const std::string& hint) const {
  throw Error(ErrorCode::kProfile, where(node) + ": " + problem, hint);
}

void TomlSource::require_known(const toml::table& table, std::span<const std::string> valid) const {
  // toml++ sorts keys; the complaint should be about the first in the file.
  const toml::key* unknown = nullptr;
  for (const auto& [key, node] : table) {
    bool known = false;
    for (const std::string& name : valid) known = known || key == name;
    if (known) continue;
    if (!unknown || key.source().begin < unknown->source().begin) unknown = &key;
  }
  if (!unknown) return;
  const std::string best = nearest(unknown->str(), valid);
  std::string hint =
      best.empty() ? "No key is allowed here." : "The nearest valid key is `" + best + "`.";
  if (valid.size() > 1 && valid.size() <= kFewKeys) {
    hint += " Valid here are";
    for (const std::string& key : valid) hint += (&key == valid.data() ? " " : ", ") + key;
    hint += ".";
  }
  throw Error(ErrorCode::kProfile,
              where(unknown->source()) + ": unknown key `" + std::string(unknown->str()) + "`",
              hint);
}

std::string TomlSource::string(const toml::node& node, std::string_view key) const {
  if (const auto* value = node.as_string()) return value->get();
  wrong_type(*this, node, key, "a string");
}

bool TomlSource::boolean(const toml::node& node, std::string_view key) const {
  if (const auto* value = node.as_boolean()) return value->get();
  wrong_type(*this, node, key, "true or false");
}

int64_t TomlSource::integer(const toml::node& node, std::string_view key, int64_t min,
                            int64_t max) const {
  const auto* value = node.as_integer();
  if (!value) wrong_type(*this, node, key, "an integer");
  if (value->get() < min || value->get() > max) {
    fail(node, "`" + std::string(key) + "` is " + std::to_string(value->get()) +
                   "; it must be from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value->get();
}

double TomlSource::number(const toml::node& node, std::string_view key) const {
  double value = 0;
  if (const auto* integer = node.as_integer()) {
    value = static_cast<double>(integer->get());
  } else if (const auto* real = node.as_floating_point()) {
    value = real->get();
  } else {
    wrong_type(*this, node, key, "a number");
  }
  if (!std::isfinite(value)) fail(node, "`" + std::string(key) + "` must be a finite number");
  return value;
}

int64_t TomlSource::bytes(const toml::node& node, std::string_view key) const {
  if (node.is_integer()) return integer(node, key, 0, std::numeric_limits<int64_t>::max());
  if (!node.is_string()) wrong_type(*this, node, key, "a size, such as \"6GiB\"");
  try {
    return parse_bytes(string(node, key));
  } catch (const Error& e) {
    fail(node, "`" + std::string(key) + "`: " + e.what(), e.hint());
  }
}

double TomlSource::seconds(const toml::node& node, std::string_view key) const {
  double value = 0;
  if (node.is_string()) {
    try {
      value = static_cast<double>(parse_duration(string(node, key)).count()) / 1000.0;
    } catch (const Error& e) {
      fail(node, "`" + std::string(key) + "`: " + e.what(), e.hint());
    }
  } else {
    value = number(node, key);
  }
  if (!(value > 0)) fail(node, "`" + std::string(key) + "` must be more than 0");
  return value;
}

std::string TomlSource::one_of(const toml::node& node, std::string_view key,
                               std::span<const std::string> valid) const {
  const std::string value = string(node, key);
  std::string list;
  for (const std::string& name : valid) {
    if (value == name) return value;
    list += (list.empty() ? "`" : ", `") + name + "`";
  }
  fail(node, "`" + std::string(key) + "` is `" + value + "`; it must be one of " + list,
       "The nearest valid value is `" + nearest(value, valid) + "`.");
}

const toml::array& TomlSource::array(const toml::node& node, std::string_view key) const {
  if (const auto* value = node.as_array()) return *value;
  wrong_type(*this, node, key, "an array");
}

const toml::table& TomlSource::table(const toml::node& node, std::string_view key) const {
  if (const auto* value = node.as_table()) return *value;
  wrong_type(*this, node, key, "a table");
}

const char* describe(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

toml::table parse_toml(std::string_view text, std::string_view origin) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    throw Error(ErrorCode::kProfile,
                std::string(origin) + ":" + std::to_string(e.source().begin.line) + ": " +
                    std::string(e.description()),
                "Correct the TOML there (https://toml.io has the syntax).");
  }
}

std::string value_to_toml(const toml::node& node) {
  // toml_formatter breaks long arrays over lines; a value is kept on one.
  if (const auto* array = node.as_array()) {
    std::string text = "[";
    for (const toml::node& element : *array) {
      if (text.size() > 1) text += ", ";
      text += value_to_toml(element);
    }
    return text + "]";
  }
  std::ostringstream out;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_string<decltype(value)>) {
      // A basic string, whatever quotes the file used.
      out << '"';
      for (const char c : value.get()) {
        constexpr char kHex[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
          out << '\\' << c;
        } else if (byte < 0x20 || byte == 0x7f) {
          out << "\\u00" << kHex[byte >> 4] << kHex[byte & 15];
        } else {
          out << c;
        }
      }
      out << '"';
    } else {
      out << toml::toml_formatter{value, toml::format_flags::none};
    }
  });
  return out.str();
}

toml::table parse_value(std::string_view text) {
  // A line break could smuggle in a second key.
  if (text.find('\n') == std::string_view::npos) {
    try {
      toml::table table = toml::parse("v = " + std::string(text));
      if (table.size() == 1 && table.contains("v")) return table;
    } catch (const toml::parse_error&) {
    }
  }
  return toml::table{{"v", std::string(text)}};
}

}  // namespace ds4::profiles
