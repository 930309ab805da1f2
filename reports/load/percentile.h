// Percentiles by the rules of the tools whose figures people quote, and ours.
#pragma once

#include <span>
#include <vector>

namespace ds4::reports {

/// Linear interpolation between order statistics: place share * (n - 1), as numpy.percentile does
/// by default. 0 <= share <= 1, at least one value.
double percentile_linear(std::vector<double> values, double share);

/// The least value whose cumulative weight reaches share of all; nothing is interpolated. An empty
/// `weights` = all equal. At least one value and a positive weight.
double percentile_inverse(std::span<const double> values, std::span<const double> weights,
                          double share);

}  // namespace ds4::reports
