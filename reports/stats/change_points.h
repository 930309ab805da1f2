// Where a series of values, one a run, changes its level. Pure functions of the values.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ds4::reports {

/// Between values `at` - 1 and `at` the level changes.
struct ChangePoint {
  size_t at = 0;
  double before = 0, after = 0;  // medians of the values up to the next change on each side
  double p = 1;                  // of the split that found it
};

/// Fewest values on each side of a change: one value that stands out is no new level.
inline constexpr size_t kLeastSegment = 2;
/// Fewest values that can show a change at the 5 % level.
inline constexpr size_t kLeastSeries = 8;

/// Changes of level by binary segmentation (L. J. Vostrikova, Sov. Math. Dokl. 24, 1981, 55-59): of
/// all places the one with the largest standardised difference of rank sums is tested by how often
/// a random order of the same values has as large a one (9,999 orders drawn with a fixed seed), and
/// where p <= alpha, each side is searched likewise. Ranks, so that one wild value moves little.
/// Of values that come in no order, whatever their distribution, some change is found with
/// probability alpha at most. Ascending in `at`.
std::vector<ChangePoint> change_points(std::span<const double> values, double alpha);

}  // namespace ds4::reports
