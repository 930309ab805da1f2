// What probes measured of a cell's machine: their series put together again from the samples that a
// run stored, and the ceilings among them. docs/probes.md says what each is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/figure.h"
#include "reports/figures/run_data.h"

namespace ds4::reports {

/// The suite whose answers are figures of the machine; nothing is asked in it.
inline constexpr const char* kProbeSuite = "bandwidth_roofline";

/// All passes of one thing, from the newest attempt that measured it.
struct ProbeSeries {
  std::string metric, of;
  double value = 0;                  // the median of the passes that count; of all where none does
  std::optional<Interval> interval;  // 95 %, of order statistics
  int64_t n = 0;                     // passes that count
  int64_t discarded = 0;             // the others
  int64_t attempt_id = 0;
};

/// In the order they were stored. Answers that were graded as anything but correct (a figure among
/// them could not be true) have none.
std::vector<ProbeSeries> probe_series(const RunData& run, const std::string& cell_key);

/// The series of a metric that is farthest in its good direction: of several kernels that read, the
/// fastest is the ceiling. Null without one. With `of` only those whose name begins so.
const ProbeSeries* best_series(const std::vector<ProbeSeries>& all, const std::string& metric,
                               const std::string& of = "");

/// Its median as a figure. Nothing without passes that count.
std::optional<Figure> series_figure(const RunData& run, const Selection& selection,
                                    const std::string& metric);

}  // namespace ds4::reports
