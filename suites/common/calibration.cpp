#include "suites/common/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ds4::suites {
namespace {

constexpr int kMostSamples = 4;

// What the target states is fixed + slope times the estimate.
struct Line {
  double fixed = 0, slope = 1;
};

// Cannot be asked, so that whoever builds a sample with it asks for none.
TokenCounter along(const TokenCounter& counter, Line line) {
  return {[count = counter.count, line](const Conversation& conversation) -> int64_t {
            const auto estimate = static_cast<double>(count(conversation));
            return std::llround(line.fixed + line.slope * estimate);
          },
          false};
}

// Corrects the whole text until it has its size, or does not change any more.
TokenCounter corrected(const TokenCounter& counter, int64_t tokens, const SampleText& sample) {
  Line line, best;
  double best_error = -1;
  Conversation last;
  for (int i = 0; i < kMostSamples; ++i) {
    Conversation text = sample(tokens, along(counter, line));
    if (text.messages == last.messages) break;
    const int64_t measured = counter.measure(text), counted = counter.count(text);
    if (measured <= 0 || counted <= 0) break;
    const double error = std::abs(static_cast<double>(measured - tokens));
    if (best_error < 0 || error < best_error) {
      best_error = error;
      best = line;
    }
    if (error <= kSizeTolerance * static_cast<double>(tokens)) break;
    line.slope = static_cast<double>(measured) / static_cast<double>(counted);
    last = std::move(text);
  }
  return along(counter, best);
}

}  // namespace

TokenCounter calibrated(const TokenCounter& counter, int64_t tokens, int64_t sample_tokens,
                        const SampleText& sample) {
  if (counter.exact || !counter.measure) return counter;
  if (tokens <= kWholeSample) return corrected(counter, tokens, sample);
  const Conversation small = sample(0, counter);
  const Conversation large = sample(sample_tokens, along(counter, {}));
  const int64_t small_stated = counter.measure(small);
  if (small_stated <= 0) return along(counter, {});
  const int64_t large_stated = counter.measure(large);
  const auto estimated = static_cast<double>(counter.count(large) - counter.count(small));
  if (large_stated <= small_stated || estimated <= 0) return along(counter, {});
  Line line;
  line.slope = static_cast<double>(large_stated - small_stated) / estimated;
  line.fixed =
      static_cast<double>(small_stated) - line.slope * static_cast<double>(counter.count(small));
  return along(counter, line);
}

}  // namespace ds4::suites
