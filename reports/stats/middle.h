// The median of a resample by the places it draws. They depend on the number of values alone, so
// that thousands of figures of a few values each share one drawing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reports/stats/generator.h"

namespace ds4::reports {

/// The two values in the middle of a resample, by their places among the sorted values: the same
/// one twice where their number is odd.
struct Middle {
  uint32_t lower = 0, upper = 0;
};

/// Draws as many places as `places` holds, which is left in disorder.
inline Middle draw_middle(Generator& generator, std::vector<uint32_t>& places) {
  const size_t n = places.size();
  for (uint32_t& place : places) place = static_cast<uint32_t>(generator.below(n));
  const auto half = places.begin() + static_cast<std::ptrdiff_t>(n / 2);
  std::nth_element(places.begin(), half, places.end());
  return {n % 2 == 1 ? *half : *std::max_element(places.begin(), half), *half};
}

/// The median that a middle stands for, as median_in_place() has it.
inline double median_of(const Middle& middle, std::span<const double> sorted) {
  const double lower = sorted[middle.lower], upper = sorted[middle.upper];
  return middle.lower == middle.upper ? upper : lower + (upper - lower) / 2;
}

}  // namespace ds4::reports
