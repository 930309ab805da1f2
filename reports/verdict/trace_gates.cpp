#include "reports/verdict/trace_gates.h"

#include <cstdio>

namespace ds4::reports {
namespace {

constexpr double kTolerance = 1e-9;

std::string brief(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::optional<OverCases> figure_of(const TraceSummary& summary, const std::string& metric) {
  if (metric == "top1_agreement") return summary.top1;
  if (metric == "kl_divergence") return summary.kl;
  return summary.perplexity_ratio;
}

bool keeps(const Gate& gate, double value) {
  return (!gate.min || value >= *gate.min - kTolerance) &&
         (!gate.max || value <= *gate.max + kTolerance);
}

void leave_open(GateResult& result, const std::string& why) {
  result.unmeasured = true;
  result.decision = Decision::kInconclusive;
  result.reason = result.remark = why;
}

}  // namespace

void judge_traces(GateResult& result, const BaselineComparison& baseline) {
  if (!baseline.comparison) return leave_open(result, baseline.missing);
  const Comparison& comparison = *baseline.comparison;
  const Gate& gate = result.gate;
  for (const TraceChange& change : comparison.traces) {
    if (change.cell != result.cell_label || change.suite != result.suite) continue;
    const TraceSummary& summary = change.summary;
    const std::optional<OverCases> figure = figure_of(summary, gate.figure);
    if (!figure || summary.n_positions == 0) break;
    const auto cases = std::ssize(summary.cases);
    std::string measured = gate.figure + " " + brief(figure->value);
    if (figure->interval) {
      measured +=
          " (95 %: " + brief(figure->interval->lo) + " to " + brief(figure->interval->hi) + ")";
    }
    measured += " over " + std::to_string(summary.n_positions) + " tokens of " +
                std::to_string(cases) + " cases against `" + gate.baseline + "` (run " +
                comparison.base.id.substr(0, 8) + ")";
    if (cases < gate.min_n) {
      return leave_open(result, measured + ": fewer than the " + std::to_string(gate.min_n) +
                                    " cases the gate asks for");
    }
    const bool kept = keeps(gate, figure->value);
    result.decision = kept ? Decision::kPass : Decision::kFail;
    result.remark = brief(figure->value);
    if (figure->interval &&
        (keeps(gate, figure->interval->lo) != kept || keeps(gate, figure->interval->hi) != kept)) {
      result.remark += "; the interval reaches across the bound";
    }
    if (comparison.base.id == comparison.now.id) {
      result.remark += "; the run is the baseline itself";
    }
    result.reason = measured + (kept ? " keeps " : " breaks ") + result.bound;
    return;
  }
  leave_open(result, "`" + gate.baseline + "` (run " + comparison.base.id.substr(0, 8) +
                         ") and this run share no trace to compare");
}

}  // namespace ds4::reports
