// A way to count tokens that neither our tokenizer nor a number of bytes has: what a server that is
// not ours may do. Not a tokenizer: it only counts.
#pragma once

#include <cctype>
#include <cstdint>
#include <string_view>

namespace ds4::test_support {

/// Words are a token for every five letters begun, two digits are a token, every other mark and
/// every line feed is one; a single blank in front of a word is part of it.
inline int64_t odd_tokens(std::string_view text) {
  int64_t tokens = 0;
  for (size_t at = 0; at < text.size();) {
    const auto kind = [&](size_t i) {
      const auto c = static_cast<unsigned char>(text[i]);
      return std::isalpha(c) ? 1 : std::isdigit(c) ? 2 : c == ' ' ? 3 : 4;
    };
    const int first = kind(at);
    size_t end = at + 1;
    while (end < text.size() && first < 4 && kind(end) == first) ++end;
    const auto length = static_cast<int64_t>(end - at);
    const bool before_word = first == 3 && length == 1 && end < text.size() && kind(end) == 1;
    tokens += first == 1 ? (length + 4) / 5 : first == 2 ? (length + 1) / 2 : before_word ? 0 : 1;
    at = end;
  }
  return tokens;
}

}  // namespace ds4::test_support
