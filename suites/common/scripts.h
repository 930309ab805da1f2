// Which script a letter is of, coarsely: enough to tell a stray one. No Unicode tables.
#pragma once

#include <cstdint>
#include <string_view>

#include "suites/common/answers.h"

namespace ds4::suites {

enum Script {
  kNoScript,  // no letter, or of a script that is not told apart
  kLatin,
  kGreek,
  kCyrillic,
  kHebrew,
  kArabic,
  kIndic,
  kThai,
  kKana,
  kHan,
  kHangul,
  kScripts
};

/// Coarse on purpose: a letter of an ordinary answer must not be taken for another script.
Script script_of(uint32_t code_point);

/// Calls use(code point, offset) for every character and bad(offset) for every byte that begins
/// none.
template <typename Use, typename Bad>
void each_character(std::string_view text, const Use& use, const Bad& bad) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text.substr(at));
    if (length == 0) {
      bad(at++);
      continue;
    }
    uint32_t c = static_cast<unsigned char>(text[at]);
    if (length > 1) c &= 0xffu >> (length + 1);
    for (size_t i = 1; i < length; ++i) {
      c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3f);
    }
    use(c, at);
    at += length;
  }
}

}  // namespace ds4::suites
