// Two cells compared case by case on one score: of one run (pages/build_changes.cpp) or of two
// (compare/). The cells must have asked the same cases; which two are worth comparing is decided
// there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"
#include "reports/stats/stats.h"

namespace ds4::reports {

struct Difference {
  std::string reference_key, cell_key;  // cells
  std::string axis;                     // the one setting in which they differ
  std::string suite, score;
  int64_t n = 0;                    // cases with a verdict in both cells
  double reference = 0, value = 0;  // means over those cases
  double change = 0;                // value - reference
  double sum_of_squares = 0;        // of the cases' differences
  Interval interval;                // of the change, paired
  int64_t lost = 0;                 // cases whose score is lower than in the reference
  int64_t gained = 0;               // and higher
  McNemar test;                     // of lost against gained
  std::vector<std::string> only_reference, only_value;  // cases with a verdict in one cell alone
};

/// One cell of one run.
struct CellOf {
  const RunData& run;
  std::string key;
};

/// Nothing when no case has a verdict in both cells. Repeats of a case are averaged first.
std::optional<Difference> score_difference(const CellOf& reference, const CellOf& cell,
                                           const std::string& suite, const std::string& score,
                                           double alpha = 0.05);

}  // namespace ds4::reports
