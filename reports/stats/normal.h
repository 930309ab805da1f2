// The normal distribution: what the other statistics approximate by. Pure functions.
#pragma once

namespace ds4::reports {

/// P(Z > z) for a standard normal Z, accurate far into the tail.
double normal_upper_tail(double z);

/// The z with P(Z <= z) = p, 0 < p < 1, to the last digits of a double.
double normal_quantile(double p);

}  // namespace ds4::reports
