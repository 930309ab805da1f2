// Percentile bootstrap intervals (B. Efron, Ann. Statist. 7, 1979, 1-26) of medians: 2,000
// resamples drawn with a fixed seed, so that the same values give the same interval in any order.
#pragma once

#include <optional>
#include <span>

#include "reports/stats/stats.h"

namespace ds4::reports {

/// Of the median. Nothing when n < 2: one value says nothing about spread.
std::optional<Interval> bootstrap_median_interval(std::span<const double> values,
                                                  double alpha = 0.05);

/// Of median(now) - median(base), each resampled by itself. Nothing with fewer than two values in
/// either.
std::optional<Interval> bootstrap_median_difference(std::span<const double> base,
                                                    std::span<const double> now,
                                                    double alpha = 0.05);

/// Of median(now) / median(base). Nothing when a value is not above 0, too.
std::optional<Interval> bootstrap_median_ratio(std::span<const double> base,
                                               std::span<const double> now, double alpha = 0.05);

}  // namespace ds4::reports
