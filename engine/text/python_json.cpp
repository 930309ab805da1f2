#include "engine/text/python_json.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/base/utf8.h"

namespace ds4::text {
namespace {

constexpr size_t kMaxDepth = 500;  // Python gives up at about 1000

std::string write_object(const std::vector<JsonMember>& members) {
  std::string out = "{";
  for (const JsonMember& member : members) {
    if (out.size() > 1) out += ", ";
    out += quote_json(member.key);
    out += ": ";
    out += member.is_string ? quote_json(member.text) : member.text;
  }
  return out + "}";
}

// Writes each value as soon as it is complete; never builds a tree, so depth costs no call stack.
class Writer {
 public:
  JsonDocument take() { return std::move(document_); }

  // The interface that nlohmann::json::sax_parse asks for.
  bool null() { return value(false, "null"); }
  bool boolean(bool is_true) { return value(false, is_true ? "true" : "false"); }
  bool number_integer(int64_t number) { return value(false, std::to_string(number)); }
  bool number_unsigned(uint64_t number) { return value(false, std::to_string(number)); }
  bool number_float(double number, const std::string& spelling) {
    const bool is_integer = spelling.find_first_of(".eE") == std::string::npos;
    return value(false, is_integer ? spelling : python_repr(number));
  }
  bool string(std::string& text) { return value(true, std::move(text)); }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool key(std::string& text) {
    Level& level = levels_.back();
    const auto [found, is_new] = level.index.emplace(text, level.members.size());
    level.current = found->second;
    if (is_new) level.members.push_back({std::move(text), false, ""});
    return true;
  }
  bool start_object(size_t) { return start(true); }
  bool start_array(size_t) { return start(false); }
  bool end_object() {
    Level level = pop();
    if (levels_.empty()) {
      document_.kind = JsonDocument::Kind::kObject;
      document_.text = write_object(level.members);
      document_.members = std::move(level.members);
      return true;
    }
    return value(false, write_object(level.members));
  }
  bool end_array() {
    std::string text = pop().items;
    return value(false, "[" + text + "]");
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) { return false; }

 private:
  struct Level {
    bool is_object;
    std::vector<JsonMember> members;
    std::unordered_map<std::string, size_t> index;  // key -> position in members
    size_t current = 0;
    std::string items;  // of an array
  };

  bool start(bool is_object) {
    if (levels_.size() == kMaxDepth) return false;
    levels_.push_back({is_object, {}, {}, 0, ""});
    return true;
  }

  Level pop() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    return level;
  }

  bool value(bool is_string, std::string text) {
    if (levels_.empty()) {
      document_.kind = is_string ? JsonDocument::Kind::kString : JsonDocument::Kind::kOther;
      document_.text = std::move(text);
      return true;
    }
    Level& level = levels_.back();
    if (level.is_object) {
      JsonMember& member = level.members[level.current];
      member.is_string = is_string;
      member.text = std::move(text);
    } else {
      if (!level.items.empty()) level.items += ", ";
      level.items += is_string ? quote_json(text) : text;
    }
    return true;
  }

  std::vector<Level> levels_;
  JsonDocument document_;
};

}  // namespace

std::optional<JsonDocument> read_json(std::string_view json) {
  Writer writer;
  if (!nlohmann::json::sax_parse(json, &writer)) return std::nullopt;
  return writer.take();
}

std::string quote_json(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  const std::string clean = sanitize_utf8(text);
  for (const char c : clean) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string python_repr(double value) {
  // The shortest digits, as d.ddde[+-]XX; Python then chooses where the point goes.
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view all(buffer, static_cast<size_t>(end - buffer));
  const size_t e = all.find('e');
  std::string digits;
  for (const char c : all.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const std::string sign = all[0] == '-' ? "-" : "";
  const int exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) {
    const std::string point = digits.size() > 1 ? "." + digits.substr(1) : "";
    return sign + digits[0] + point +
           std::string(all.substr(e));  // to_chars writes >= 2 digits too
  }
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace ds4::text
