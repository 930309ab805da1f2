#include "runners/openai/cut_text.h"

#include <cstdint>
#include <utility>

#include "engine/base/utf8.h"

namespace ds4::runners::openai {
namespace {

constexpr uint32_t kCarriers = 0x10FF00;  // + byte; bytes that are no UTF-8 are 0x80 and above
constexpr uint32_t kFirstCarrier = kCarriers + 0x80;
constexpr std::string_view kHeads[] = {"\xF4\x8F\xBE", "\xF4\x8F\xBF"};  // of carriers in UTF-8
constexpr size_t kSurrogateBytes = 3;

bool is_high(uint32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low(uint32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}
uint32_t joined(uint32_t high, uint32_t low) {
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

bool is_carrier(std::string_view character) {
  return character.starts_with(kHeads[0]) || character.starts_with(kHeads[1]);
}

void carry(std::string& out, uint32_t byte) {
  append_utf8(out, kCarriers + byte);
}

// The code unit of a "\uXXXX" that `text` begins with; none for anything else.
uint32_t escaped_unit(std::string_view text) {
  constexpr uint32_t kNone = 0xFFFFFFFF;
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return kNone;
  uint32_t unit = 0;
  for (const char c : text.substr(2, 4)) {
    const uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A' + 10)
                                                  : 16;
    if (digit == 16) return kNone;
    unit = unit * 16 + digit;
  }
  return unit;
}

// Writes the escape that `json` begins with; returns its length, or 0 when it stands for a carrier.
size_t carry_escape(std::string_view json, std::string& out) {
  const uint32_t unit = escaped_unit(json);
  if (is_high(unit) && is_low(escaped_unit(json.substr(6)))) {
    if (joined(unit, escaped_unit(json.substr(6))) >= kFirstCarrier) return 0;
    out += json.substr(0, 12);
    return 12;
  }
  if (is_high(unit) || is_low(unit)) {
    carry(out, 0xE0 | unit >> 12);
    carry(out, 0x80 | (unit >> 6 & 0x3F));
    carry(out, 0x80 | (unit & 0x3F));
    return 6;
  }
  out += '\\';
  if (json.size() == 1 || static_cast<unsigned char>(json[1]) >= 0x80) return 1;
  out += json[1];
  return 2;
}

// The surrogate whose three bytes `text` begins with; 0 = none.
uint32_t surrogate_of(std::string_view text) {
  if (text.size() < kSurrogateBytes) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (at(0) != 0xED || at(1) < 0xA0 || at(1) > 0xBF || at(2) < 0x80 || at(2) > 0xBF) return 0;
  return 0xD000 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
}

// Whether these bytes, less than a surrogate has, may be the beginning of a second half.
bool may_become_low(std::string_view text) {
  return text.size() < kSurrogateBytes && (text.empty() || text[0] == '\xED') &&
         (text.size() < 2 || static_cast<unsigned char>(text[1]) >= 0xB0);
}

}  // namespace

std::string carry_bytes(std::string_view json) {
  std::string out;
  for (size_t i = 0; i < json.size();) {
    const std::string_view rest = json.substr(i);
    if (rest.front() == '\\') {
      const size_t length = carry_escape(rest, out);
      if (length == 0) return "";
      i += length;
      continue;
    }
    const Utf8Step step = next_utf8(rest);
    const std::string_view taken = rest.substr(0, step.length);
    i += step.length;
    if (step.kind == Utf8Kind::kComplete) {
      if (is_carrier(taken)) return "";
      out += taken;
    } else {
      for (const char c : taken) carry(out, static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string carried_bytes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.size() >= 4 && is_carrier(rest)) {
      out += static_cast<char>(0x80 + ((rest[2] & 1) << 6) + (rest[3] & 0x3F));
      i += 4;
    } else {
      out += rest.front();
      ++i;
    }
  }
  return out;
}

std::string CutText::add(std::string_view bytes) {
  kept_ += bytes;
  return settle(false);
}

std::string CutText::end() {
  return settle(true);
}

std::string CutText::settle(bool at_end) {
  const std::string text = std::exchange(kept_, {});
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    const Utf8Step step = next_utf8(rest);
    if (step.kind == Utf8Kind::kComplete) {
      out += rest.substr(0, step.length);
      i += step.length;
      continue;
    }
    const uint32_t first = surrogate_of(rest);
    const std::string_view behind = first ? rest.substr(kSurrogateBytes) : std::string_view();
    // Two bytes of a surrogate are no beginning of a character, but may be of a surrogate.
    const bool half = rest.size() == 2 && surrogate_of(std::string(rest) + '\x80') != 0;
    const bool open =
        step.kind == Utf8Kind::kIncomplete || half || (is_high(first) && may_become_low(behind));
    if (open && !at_end) {
      kept_ = rest;
      break;
    }
    const uint32_t second = is_high(first) ? surrogate_of(behind) : 0;
    if (is_low(second)) {
      append_utf8(out, joined(first, second));
      i += 2 * kSurrogateBytes;
    } else {
      out += kReplacement;
      i += first ? kSurrogateBytes : half ? rest.size() : step.length;
    }
  }
  return out;
}

}  // namespace ds4::runners::openai
