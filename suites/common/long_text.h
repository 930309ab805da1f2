// Texts that are read and not asked about: generated lines or a file's, as long as wished, and
// their beginnings of so many tokens. What is done with them is the suite's business.
#pragma once

#include <cstdint>
#include <string>

#include "suites/suite.h"

namespace ds4::suites {

/// The marker that the model's own prompts begin with, as a text.
inline constexpr char kBeginMarker[] = "<｜begin▁of▁sentence｜>";

/// Sentences without end from a seed, with at least `words` words; a longer text of the same seed
/// begins with the shorter one.
std::string generated_text(uint64_t seed, int64_t words);

/// A file's text, read once per process; a path that is not absolute starts at the folder that the
/// program runs in. Throws Error(kProfile) when it is not there or no UTF-8.
const std::string& file_text(const std::string& suite, const std::string& file);

struct Beginning {
  std::string text;
  int64_t tokens = 0;  // as counted
};

/// The longest beginning of `text` that has at most `tokens` tokens and ends between two words, so
/// that its tokens are the first ones of every longer beginning too. About five counts. `suite` is
/// for errors. Throws Error(kProfile) when the text has less.
Beginning beginning_of(const std::string& suite, const std::string& text, int64_t tokens,
                       const TokenCounter& counter);

}  // namespace ds4::suites
