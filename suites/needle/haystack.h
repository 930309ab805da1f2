// Builds the text of one needle case: filler lines around facts, sized to the token. It does not
// choose facts or judge answers (needle.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites {

struct HaystackRequest {
  std::string opening;                   // salt and frame; stands before the text
  std::string fact;                      // the line that is asked for
  std::vector<std::string> other_facts;  // scattered at random depths
  std::string closing;                   // stands right behind the text: white space, question
  std::string joiner = "\n";             // between lines
  bool prose = false;                    // filler without log lines and code
  int64_t tokens = 0;                    // of the whole prompt, template included
  double depth = 0;                      // share of the text's tokens before the fact
  bool thinking = false;
  uint64_t seed = 0;
};

struct Haystack {
  Conversation conversation;
  int64_t tokens = 0;     // as counted
  double fact_depth = 0;  // as it came out, by tokens of the text without the fact
};

/// With an exact counter the prompt has exactly `tokens` tokens, else about that. About one count
/// per distinct filler line (a line is short) and two to four of the whole prompt.
/// Throws Error(kProfile) when `tokens` is too small for the fixed parts, or cannot be met.
Haystack build_haystack(const HaystackRequest& request, const TokenCounter& counter);

}  // namespace ds4::suites
