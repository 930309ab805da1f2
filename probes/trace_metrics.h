// The metrics that need the log-probabilities of two runs: no run has them by itself, so that gates
// bound them against a baseline.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace ds4::probes {

inline constexpr std::array<std::string_view, 3> kTraceMetrics = {"top1_agreement", "kl_divergence",
                                                                  "perplexity_ratio"};

constexpr bool is_trace_metric(std::string_view name) {
  return std::find(kTraceMetrics.begin(), kTraceMetrics.end(), name) != kTraceMetrics.end();
}

}  // namespace ds4::probes
