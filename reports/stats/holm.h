// Several tests in one verdict. A pure function.
#pragma once

#include <span>
#include <vector>

namespace ds4::reports {

/// Holm's step-down adjustment (S. Holm, Scand. J. Statist. 6, 1979, 65-70), in the order of `p`:
/// rejecting where the adjusted p <= alpha makes any false rejection at all at most alpha likely,
/// whatever the tests have to do with each other.
std::vector<double> holm_adjusted(std::span<const double> p);

}  // namespace ds4::reports
