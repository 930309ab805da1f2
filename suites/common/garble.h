// Is it text at all? Mechanical features of an answer that has gone to pieces, each with a bound
// that ordinary answers keep far away from; how often they speak up on real answers is not
// calibrated. Looked at only where an answer is not graded correct.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ds4::suites {

struct GarbleFeatures {
  int64_t bytes = 0;
  int64_t letters = 0;
  int64_t invalid = 0;  // bytes that are no UTF-8, and U+FFFD; a cut last character does not count
  int64_t control = 0;  // control characters but tab and line ends; private-use code points
  int64_t foreign = 0;  // letters of scripts that the prompt has none of
  int foreign_scripts = 0;  // how many such scripts
  double loop_share = 0;    // of the bytes, that the longest back-to-back repeat of one unit fills
  int64_t loop_times = 0;   // how often that unit stands there
  int64_t words = 0;
  double distinct_4grams = 1;  // different runs of four words / all of them
  std::string_view marker;     // text of a special token; points into the answer
};

/// Linear in the texts, whatever they hold.
GarbleFeatures garble_features(std::string_view prompt, std::string_view answer);

/// What is wrong with such an answer, as a sentence; "" when every feature is within its bound.
std::string garble_reason(const GarbleFeatures& features);

}  // namespace ds4::suites
