// Two sets of raw samples compared by their ranks. A pure function.
#pragma once

#include <span>

namespace ds4::reports {

/// Mann and Whitney's test (H. B. Mann, D. R. Whitney, Ann. Math. Statist. 18, 1947, 50-60).
struct MannWhitney {
  double u = 0;  // pairs in which the first sample's value is higher; a tie is half a pair
  double p = 1;  // two-sided
  bool exact = false;
};

/// Exact (all orders of the values equally likely) without ties and with at most 2,500 pairs; else
/// by the normal approximation, with the correction for ties (M. Hollander, D. A. Wolfe,
/// Nonparametric Statistical Methods, 1973, ch. 4) and for continuity. p = 1 when either is empty.
MannWhitney mann_whitney(std::span<const double> first, std::span<const double> second);

}  // namespace ds4::reports
