// Texts that are the beginning of an endless one, cut at a character so that the prompt has the
// asked number of tokens: how published haystacks of repeated or numbered lines are made. Facts and
// questions are the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "suites/needle/haystack.h"

namespace ds4::suites {

struct RepeatedRequest {
  std::string opening;                       // stands before the text
  std::function<std::string(int64_t)> line;  // of the text, by number from 1; without a line feed
  std::string fact;                          // stands on a line of its own
  bool splits_lines = false;                 // the fact may stand within a line of the text
  std::string closing;                       // stands right behind the text
  int64_t tokens = 0;                        // of the whole prompt, template included
  double depth = 0;                          // share of the text's characters before the fact
  bool thinking = false;
};

/// With an exact counter the prompt has exactly `tokens` tokens, else about that; about ten counts
/// of the whole. Throws Error(kProfile) as build_haystack().
Haystack build_repeated(const RepeatedRequest& request, const TokenCounter& counter);

}  // namespace ds4::suites
