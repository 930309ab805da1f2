// Is it text at all? Mechanical features of an answer that has gone to pieces, each with a bound.
// The bounds and how often they err are calibrated (docs/garble.md, garble_calibration). They see
// an answer that is no text; a wrong one that reads well they do not.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

/// What is looked at. Of a conversation `answer` is reasoning and content, without calls.
struct GarbleInput {
  std::string_view prompt, answer;
  int64_t completion_tokens = 0;  // as the target counted
  bool cut = false;               // ended by the token limit
  bool has_calls = false;
  std::span<const double> logprobs = {};  // of the answer's tokens, where the target gave them
};

/// Each feature in the order of docs/garble.md; every one is stored as the metric
/// "garble_" + name_of().
enum class GarbleFeature {
  kMarker,       // texts of special tokens
  kInvalid,      // bytes that are no UTF-8, and U+FFFD; a cut last character does not count
  kControl,      // control characters but tab and line ends; private-use and unassigned planes
  kLoop,         // share of the bytes that the longest back-to-back repeat fills (16 times or more)
  kFew4grams,    // different runs of four words / all, in the worst window
  kCompression,  // bytes after compression / before, in the most repetitive window
  kNoise,        // the same in the least repetitive window
  kForeign,      // share of letters of scripts that the prompt has none of, two scripts or more
  kLogprob,      // mean log-probability of its tokens
  kWorstLogprob,  // the same in the worst 16 tokens in a row
  kEmpty,         // 1: tokens were counted and nothing can be read
  kUnfinished,    // 1: cut by the limit, and not at the end of a sentence; no sign by itself
};
inline constexpr size_t kGarbleFeatures = 12;

std::string_view name_of(GarbleFeature feature);

/// One feature of an answer: absent where it is undefined (too short, no log-probabilities).
struct GarbleValue {
  std::optional<double> value;
  int64_t onset = -1;  // byte at which the worst of it begins
};

using GarbleValues = std::array<GarbleValue, kGarbleFeatures>;

/// Linear in the texts, whatever they hold.
GarbleValues garble_values(const GarbleInput& input);

/// Beyond its bound.
bool is_garbled(GarbleFeature feature, const GarbleValue& value);
/// The bound, and whether a value above it (else below it) is the sign; none for kUnfinished.
struct GarbleBound {
  double value = 0;
  bool above = true;
};
std::optional<GarbleBound> bound_of(GarbleFeature feature);

/// The features beyond their bounds.
std::vector<GarbleFeature> garble_signs(const GarbleValues& values);

/// The byte at which the first sign begins; -1 without one.
int64_t garble_onset(const GarbleValues& values);

/// What is wrong with such an answer, as a sentence about the first sign; "" without one.
std::string garble_reason(const GarbleValues& values);

}  // namespace ds4::suites
