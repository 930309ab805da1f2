// What can be said of a load as a whole: when it was steady, whether the harness itself was fast
// enough, up to which level more requests gave more, and which level kept its bounds.
#pragma once

#include <optional>
#include <vector>

#include "reports/load/trace.h"

namespace ds4::reports {

/// Of a closed loop from the moment all its places are taken to the first that stays empty; of an
/// open one from the first request that is due to the last. Nothing when that is no time at all.
struct SteadyWindow {
  double begin_s = 0, end_s = 0;  // since the group began
  double output_rate = 0;         // tokens that arrived within, a second
};
std::optional<SteadyWindow> steady_window(const LoadTrace& trace);

/// Whether the harness handed requests over late: the 99th percentile of dispatch_lag against 1 %
/// of the median TTFT from sending. Then the load's figures are the harness' own and not valid.
struct LagCheck {
  double lag_p99_s = 0, ttft_median_s = 0;
  bool passed = true;
};
LagCheck check_lag(const LoadTrace& trace);

/// A level of a load and what came of it.
struct LoadLevel {
  double offered = 0;      // requests at a time, or a second
  double output_rate = 0;  // tok/s
  double good_share = 1;   // of the offered requests, that kept every bound
};

/// The last level up to which every step paid: gave at least half of the growth in output that its
/// growth in offered load would give if all went on in proportion. `levels` rise. Nothing of fewer
/// than two; the last level when every step paid, so that the knee lies there or beyond.
std::optional<size_t> knee(const std::vector<LoadLevel>& levels);

/// The last level up to which at least 99 % of the offered requests kept every bound; nothing when
/// the first does not.
std::optional<size_t> slo_point(const std::vector<LoadLevel>& levels);

}  // namespace ds4::reports
