// Percentile bootstrap intervals (B. Efron, Ann. Statist. 7, 1979, 1-26) of medians and means:
// 2,000 resamples drawn with a fixed seed, so that the same values give the same interval in any
// order.
#pragma once

#include <optional>
#include <span>

#include "reports/stats/stats.h"

namespace ds4::reports {

/// Of the median. Nothing when n < 2: one value says nothing about spread.
std::optional<Interval> bootstrap_median_interval(std::span<const double> values,
                                                  double alpha = 0.05);

/// What one case gives to a mean: a sum over so many observations that are no independent ones.
struct SumAndCount {
  double sum = 0, count = 0;
};
/// Of the mean over all observations; cases are drawn, not observations. Nothing of fewer than two
/// cases.
std::optional<Interval> bootstrap_mean_interval(std::span<const SumAndCount> cases,
                                                double alpha = 0.05);

}  // namespace ds4::reports
