// UTF-8 as the Unicode standard defines it: no surrogates, no overlong forms, nothing above
// U+10FFFF. Invalid input is cut into "maximal subparts", each of which stands for one U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ds4 {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Kind {
  kComplete,    // a whole code point
  kInvalid,     // can never become one
  kIncomplete,  // the text ended inside a sequence that is valid so far
};

struct Utf8Step {
  Utf8Kind kind;
  size_t length;  // bytes taken, 1..4; 1..3 unless kComplete
};

/// Classifies the beginning of `text`, which must not be empty.
Utf8Step next_utf8(std::string_view text);

/// Number of leading bytes of `text` that are whole, valid code points.
size_t valid_utf8_prefix(std::string_view text);

/// `text` with every invalid or incomplete sequence replaced by U+FFFD.
std::string sanitize_utf8(std::string_view text);

/// Appends the UTF-8 form of a code point (a valid one: callers pass constants and table entries).
void append_utf8(std::string& out, uint32_t code_point);

}  // namespace ds4
