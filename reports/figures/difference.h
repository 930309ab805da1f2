// What one setting changes: two cells compared case by case on one score. The cells must have asked
// the same cases; which two are worth comparing is decided in pages/build_changes.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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
  Interval interval;                // 95 %, paired
  int64_t lost = 0;                 // cases whose score is lower than in the reference
  int64_t gained = 0;               // and higher
  double p = 1;                     // McNemar, mid-p, of lost against gained
};

/// Nothing when no case has a verdict in both cells. Repeats of a case are averaged first.
std::optional<Difference> score_difference(const RunData& run, const std::string& reference_key,
                                           const std::string& cell_key, const std::string& suite,
                                           const std::string& score);

}  // namespace ds4::reports
