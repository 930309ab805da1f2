#include "reports/verdict/relative_gates.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/check.h"
#include "engine/base/checkpoint_name.h"
#include "probes/metric.h"
#include "probes/trace_metrics.h"
#include "reports/figures/format.h"
#include "reports/stats/holm.h"
#include "reports/verdict/trace_gates.h"

namespace ds4::reports {
namespace {

constexpr double kAlpha = 0.05;
constexpr double kTolerance = 1e-9;  // as for absolute bounds: 3 % less must keep 3 %

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", 100 * share);
  return text;
}

// A gate with the line of the comparison it is about.
struct Relative {
  GateResult* result = nullptr;
  double worse = 0;  // by how much, as `not_worse_by`; below 0: better
  double worst = 0;  // the end of the interval on the worse side
  bool has_interval = false;
  int64_t n = 0;
  double p = 1;  // one-sided, that it is worse by more than the gate allows
  std::string measured;
};

void leave_open(GateResult& result, const std::string& why) {
  result.unmeasured = true;
  result.decision = Decision::kInconclusive;
  result.reason = result.remark = why;
}

Relative by_score(GateResult& result, const ScoreChange& line) {
  const Difference& d = line.difference;
  const double allowed = result.gate.not_worse_by;
  Relative relative{&result, -d.change, -d.interval.lo, true, d.n, 1, ""};
  // Without an allowance the exact test; with one the paired interval's normal test.
  if (allowed > 0) {
    relative.p = paired_loss_p(d.change * static_cast<double>(d.n), d.sum_of_squares, d.n, allowed);
  } else if (d.lost > d.gained) {
    relative.p = d.test.exact_p / 2;
  }
  relative.measured = format_value("", d.value) + " against " + format_value("", d.reference) +
                      " (change " + format_value("", d.change) +
                      ", 95 %: " + format_value("", d.interval.lo) + " to " +
                      format_value("", d.interval.hi) + ", n = " + std::to_string(d.n) + ")";
  return relative;
}

Relative by_samples(GateResult& result, const SampleChange& line, double launch_noise) {
  const bool more_is_better =
      probes::find_metric(line.metric)->direction == probes::Direction::kHigherIsBetter;
  const double sign = more_is_better ? -1 : 1;
  const double allowed = result.gate.not_worse_by;
  Relative relative;
  relative.result = &result;
  relative.n = static_cast<int64_t>(std::min(line.n_base(), line.n_now()));
  relative.worse = sign * line.change.value_or(0);
  if (line.interval) {
    relative.has_interval = true;
    relative.worst = more_is_better ? -line.interval->lo : line.interval->hi;
  }
  if (relative.worse > allowed) {
    // Half of a two-sided p, on the side that is worse.
    relative.p =
        sample_test(line.base_launches, line.now_launches, launch_noise, 1 + sign * allowed) / 2;
  }
  relative.measured = format_value(line.unit, line.now) + " against " +
                      format_value(line.unit, line.base) + " (" + percent(line.change.value_or(0));
  if (line.interval) {
    relative.measured +=
        ", 95 %: " + percent(line.interval->lo) + " to " + percent(line.interval->hi);
  }
  relative.measured += ", n = " + std::to_string(line.n_base()) + " and " +
                       std::to_string(line.n_now()) + " in " +
                       std::to_string(line.base_launches.size()) + " and " +
                       std::to_string(line.now_launches.size()) + " launches)";
  return relative;
}

// The line of the comparison that a gate is about, or nothing with the reason given.
std::optional<Relative> find_line(GateResult& result, const BaselineComparison& baseline) {
  if (!baseline.comparison) {
    leave_open(result, baseline.missing);
    return std::nullopt;
  }
  const Comparison& comparison = *baseline.comparison;
  const Gate& gate = result.gate;
  for (const ScoreChange& line : comparison.scores) {
    if (line.cell == result.cell_label && line.difference.suite == result.suite &&
        line.difference.score == gate.figure) {
      if (is_synthetic_identity(comparison.now.checkpoint_identity)) {
        leave_open(result, std::string(kSyntheticNote));
        return std::nullopt;
      }
      return by_score(result, line);
    }
  }
  for (const SampleChange& line : comparison.samples) {
    if (line.cell != result.cell_label || line.suite != result.suite ||
        line.metric != gate.figure) {
      continue;
    }
    if (!line.change) break;  // no share of nothing
    return by_samples(result, line, comparison.settings.launch_noise);
  }
  leave_open(result, "`" + gate.baseline + "` (run " + comparison.base.id.substr(0, 8) +
                         ") has no " + gate.figure + " of this cell to compare with");
  return std::nullopt;
}

void decide(const Relative& relative, double adjusted_p, const Comparison& comparison) {
  GateResult& result = *relative.result;
  const Gate& gate = result.gate;
  const std::string whose =
      " of `" + gate.baseline + "` (run " + comparison.base.id.substr(0, 8) + ")";
  const bool kept = relative.worse <= gate.not_worse_by + kTolerance;
  if (relative.n < gate.min_n) {
    result.decision = Decision::kInconclusive;
    result.remark =
        "fewer than the " + std::to_string(gate.min_n) + " measurements the gate asks for";
  } else if (kept) {
    result.decision = Decision::kPass;
    if (!relative.has_interval || relative.worst > gate.not_worse_by) {
      result.remark = "a larger loss is not ruled out";
    }
  } else if (adjusted_p <= kAlpha) {
    result.decision = Decision::kFail;
    result.remark = "shown to be worse by more than the gate allows";
  } else {
    result.decision = Decision::kInconclusive;
    result.remark = "worse, but by no more than chance explains; repeat both runs";
  }
  if (comparison.base.id == comparison.now.id) result.remark = "the run is the baseline itself";
  result.reason = relative.measured + whose + ", " + result.bound +
                  (result.remark.empty() ? "" : ": " + result.remark);
}

}  // namespace

void judge_against_baselines(std::vector<GateResult>& results, const Baselines& baselines) {
  std::vector<Relative> found;
  for (GateResult& result : results) {
    if (!result.relative) continue;
    const auto baseline = baselines.find(result.gate.baseline);
    DS4_CHECK(baseline != baselines.end(), result.gate.baseline);
    if (probes::is_trace_metric(result.gate.figure)) {
      judge_traces(result, baseline->second);
      continue;
    }
    if (auto line = find_line(result, baseline->second)) found.push_back(std::move(*line));
  }
  std::vector<double> p;
  for (const Relative& relative : found) p.push_back(relative.p);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (size_t i = 0; i < found.size(); ++i) {
    decide(found[i], adjusted[i], *baselines.at(found[i].result->gate.baseline).comparison);
  }
}

}  // namespace ds4::reports
