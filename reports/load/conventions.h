// What TTFT, TPOT, ITL, throughput and goodput are to each of the tools whose figures people quote,
// all computed from one trace. docs/serving.md has them side by side.
#pragma once

#include <string>
#include <vector>

#include "reports/load/trace.h"

namespace ds4::reports {

/// One quantity as one tool defines it. A rate has a mean alone.
struct LoadFigure {
  std::string convention;  // "vllm", "guidellm", "aiperf", "ds4"
  std::string name, unit;
  int64_t n = 0;  // values behind it: requests, or gaps between pieces
  double mean = 0;
  std::optional<double> std_dev;  // population
  std::optional<double> p50, p90, p99;
};

/// vllm bench serve: the clock starts when a request is sent, every piece is an event, its ITL are
/// the gaps between pieces. Failed requests count nowhere but in the duration.
std::vector<LoadFigure> vllm_figures(const LoadTrace& trace, const Slo& slo);
/// guidellm: its TPOT has the first token and its ITL is what the others call TPOT.
std::vector<LoadFigure> guidellm_figures(const LoadTrace& trace);
/// aiperf: its ITL is vllm's TPOT, its ICL vllm's ITL.
std::vector<LoadFigure> aiperf_figures(const LoadTrace& trace, const Slo& slo);
/// Ours: latencies from when a request was due, waiting apart; goodput's denominator is what was
/// offered. A p99 only from 100 requests on.
std::vector<LoadFigure> own_figures(const LoadTrace& trace, const Slo& slo);

/// All of them, in this order.
std::vector<LoadFigure> all_load_figures(const LoadTrace& trace, const Slo& slo);

/// That one, or nullptr.
const LoadFigure* find_figure(const std::vector<LoadFigure>& figures, std::string_view convention,
                              std::string_view name);

}  // namespace ds4::reports
