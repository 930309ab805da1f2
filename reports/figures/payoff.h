// Does a setting pay? Decode rates of two cells that differ in it, over the same cases, by length
// of context: where it is faster, where slower, and where the two meet. Made for speculation, knows
// nothing of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"
#include "reports/stats/stats.h"

namespace ds4::reports {

struct PayoffPoint {
  double context = 0;                // prompt tokens, the median over the answers
  int64_t n = 0;                     // answers of the cell
  double ratio = 1;                  // median decode rate / that of the reference cell
  std::optional<Interval> interval;  // of the ratio, over launches (stats/launches.h)
};

struct Payoff {
  std::vector<PayoffPoint> points;   // by context, rising
  std::optional<double> pays_up_to;  // the longest context up to which every point is shown to pay
  std::optional<double> break_even;  // where the ratio falls through 1, between two points
  std::string verdict;               // one clause: "pays up to 2,048 tokens of context: +23 % ..."
};

/// The point of one selection: its cases that both cells answered. Nothing without decode rates in
/// both.
std::optional<PayoffPoint> payoff_point(const RunData& run, const std::string& reference_key,
                                        const Selection& selection);

/// `points` in any order, at least one. A point is shown to pay when its interval lies above 1. The
/// break-even is interpolated between neighbours, linear in the logarithms of context and ratio.
Payoff payoff_of(std::vector<PayoffPoint> points);

}  // namespace ds4::reports
