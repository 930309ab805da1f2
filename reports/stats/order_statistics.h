// The interval of a median that rests on nothing but the order of the values (W. R. Thompson, Ann.
// Math. Statist. 7, 1936, 122-128): for a few passes of a probe, of which nothing else is known.
#pragma once

#include <optional>
#include <span>

#include "reports/stats/stats.h"

namespace ds4::reports {

/// The narrowest pair of values as far from both ends that covers the median with confidence
/// 1 - alpha at least. Nothing where even the least and the greatest do not: 95 % takes 6 values.
std::optional<Interval> median_order_interval(std::span<const double> values, double alpha = 0.05);

}  // namespace ds4::reports
