// One gate in one cell.
#include "reports/verdict/gate_judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "engine/base/checkpoint_name.h"
#include "probes/metric.h"
#include "probes/trace_metrics.h"
#include "reports/compare/endings.h"
#include "reports/figures/ceilings.h"
#include "reports/figures/format.h"
#include "reports/verdict/floor_gate.h"

namespace ds4::reports {
namespace {

constexpr double kTolerance = 1e-9;  // 49/50 must keep min = 0.98 whatever the rounding

bool keeps(const Gate& gate, double value) {
  const double slack = kTolerance * std::max(1.0, std::abs(value));
  return (!gate.min || value >= *gate.min - slack) && (!gate.max || value <= *gate.max + slack);
}

std::string bound_text(const Gate& gate, const std::string& unit) {
  const bool of_traces = probes::is_trace_metric(gate.figure);
  if (!gate.baseline.empty() && !of_traces) {
    char share[32];
    std::snprintf(share, sizeof share, "%g %%", 100 * gate.not_worse_by);
    return "≤ " + std::string(share) + " worse than " + gate.baseline;
  }
  std::string text;
  if (gate.min) text = "≥ " + format_value(unit, *gate.min);
  if (gate.max) text += (text.empty() ? "≤ " : " and ≤ ") + format_value(unit, *gate.max);
  if (of_traces) text += " against " + gate.baseline;
  return text;
}

// Cases a gate is about that have no answer, and what the first failure among them said.
struct Missing {
  int n_planned = 0, n_missing = 0;
  std::string error;  // of an attempt that ended in an error
  std::string lack;   // what the target lacks for the first of them that was skipped
};

Missing missing_cases(const RunData& run, const CellRow& cell, const Selection& selection) {
  std::set<std::pair<std::string, std::string>> answered;
  Missing missing;
  const Skipped skipped = skipped_of(run, cell.key);
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (!selection.matches(attempt.suite, attempt.tags)) continue;
    if (attempt.status == "ok") answered.emplace(attempt.suite, attempt.case_id);
  }
  for (const PlannedCase& planned : cell.cases) {
    if (!selection.matches(planned.suite, planned.tags)) continue;
    ++missing.n_planned;
    missing.n_missing += answered.contains({planned.suite, planned.case_id}) ? 0 : 1;
    const std::string* lack = lack_of(skipped, planned);
    if (missing.lack.empty() && lack) missing.lack = *lack;
  }
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (!selection.matches(attempt.suite, attempt.tags)) continue;
    if (attempt.status == "error" && missing.error.empty() &&
        !answered.contains({attempt.suite, attempt.case_id})) {
      missing.error = attempt.suite + "/" + attempt.case_id + ": " + attempt.error;
    }
  }
  return missing;
}

std::string ended(const CellStatus& status) {
  std::string text = status.outcome == "not run" ? "the cell was not run"
                                                 : "the cell ended in `" + status.outcome + "`";
  if (status.failed() && !status.phase.empty()) text += " (" + status.phase + ")";
  if (status.outcome != "ok" && !status.message.empty()) text += ": " + status.message;
  return text;
}

class GateJudge {
 public:
  GateJudge(const RunData& run, const CellRow& cell, const CellStatus& status)
      : run_(run), cell_(cell), status_(status) {}

  GateResult judge(const Gate& gate, const std::string& suite) const {
    GateResult result = decide(gate.floor ? gate_at_floor(gate, run_, cell_) : gate, suite);
    if (result.remark.empty() && result.unmeasured) result.remark = result.reason;
    return result;
  }

 private:
  GateResult decide(const Gate& gate, const std::string& suite) const {
    GateResult result;
    result.gate = gate;
    result.cell_key = cell_.key;
    result.cell_label = cell_.label;
    result.suite = suite;
    if (!gate.outcome.empty()) {
      decide_by_outcome(result);
      return result;
    }
    const probes::Metric* metric = probes::find_metric(gate.figure);
    result.bound = bound_text(gate, metric ? std::string(metric->unit) : "");
    const Selection selection{cell_.key, suite, gate.tags};
    result.figure = make_figure(run_, selection, gate.figure);
    // A worker's own metrics (memory, load time) need no answer of a case.
    const Missing missing =
        is_launch_metric(gate.figure) ? Missing{} : missing_cases(run_, cell_, selection);
    if (missing.n_missing > 0 && !decide_missing(missing, result)) return result;
    if (!result.figure && !probes::is_trace_metric(gate.figure)) {
      result.unmeasured = true;
      result.decision = status_.failed() ? Decision::kFail : Decision::kInconclusive;
      result.reason = "no measurement: " + (status_.outcome != "ok" ? ended(status_)
                                            : gate.floor ? std::string("no guard watched the cell")
                                                         : std::string("no case gave this figure"));
      return result;
    }
    if (!gate.baseline.empty()) {
      result.relative = true;
    } else {
      decide_by_value(**result.figure, missing.n_missing, result);
    }
    return result;
  }

  // Every launch counts: that a later one went well does not undo it.
  void decide_by_outcome(GateResult& result) const {
    for (const LaunchRow& launch : run_.launches.of(cell_.key)) {
      if (!forbids(result.gate.outcome, launch.outcome)) continue;
      result.decision = Decision::kFail;
      result.remark = "launch " + std::to_string(launch.number) + " ended in " + launch.outcome;
      if (!launch.phase.empty()) result.remark += " (" + launch.phase + ")";
      result.reason = result.remark + (launch.message.empty() ? "" : ": " + launch.message);
      return;
    }
    if (status_.complete()) {
      result.decision = Decision::kPass;
      result.reason =
          std::to_string(status_.n_launches) +
          (status_.n_launches == 1 ? " launch ended otherwise" : " launches ended otherwise");
      return;
    }
    result.unmeasured = true;
    result.reason = "not every case was answered: " + ended(status_);
  }

  // Cases without an answer: a failure of what we measure breaks the gate; an interrupted run only
  // leaves it open. Returns true when the figure may still decide.
  bool decide_missing(const Missing& missing, GateResult& result) const {
    const std::string count = std::to_string(missing.n_missing) + " of " +
                              std::to_string(missing.n_planned) + " cases have no answer: ";
    if (!missing.error.empty() || status_.failed()) {
      result.unmeasured = true;
      result.decision = Decision::kFail;
      result.reason = count + (missing.error.empty() ? ended(status_) : missing.error);
      return false;
    }
    if (result.figure && (*result.figure)->kind == FigureKind::kScore) return true;
    result.unmeasured = true;
    result.decision = Decision::kInconclusive;
    result.reason = count + (missing.lack.empty() ? ended(status_)
                                                  : "the target was not asked: " + missing.lack);
    return false;
  }

  void decide_by_value(const FigureData& figure, int n_missing, GateResult& result) const {
    const Gate& gate = result.gate;
    std::string n = ", n = " + std::to_string(figure.n);
    if (figure.n_invalid > 0) n += ", " + std::to_string(figure.n_invalid) + " invalid";
    if (n_missing > 0) n += ", " + std::to_string(n_missing) + " not measured";
    const std::string measured =
        figure.value ? format_value(figure) + " (95 %: " + format_interval(figure) + n + ")"
                     : "no answer allows a verdict (" + n.substr(2) + ")";
    // Answers of generated weights are noise: no score of theirs may pass or fail anything. Those
    // of probes are of the machine.
    if (figure.kind == FigureKind::kScore && figure.about.suite != kProbeSuite &&
        is_synthetic_identity(run_.run.checkpoint_identity)) {
      result.decision = Decision::kInconclusive;
      result.remark = kSyntheticNote;
      result.reason = measured + " against " + result.bound + ": " + result.remark;
      return;
    }
    const int64_t n_unknown = figure.n_invalid + n_missing;
    if (figure.kind == FigureKind::kScore && n_unknown > 0) {
      // Answers without a verdict, or not there yet, could each have been right or wrong: the gate
      // is decided only when both extremes agree.
      const double all = static_cast<double>(figure.n + n_unknown);
      const bool worst = keeps(gate, figure.total / all);
      const bool best = keeps(gate, (figure.total + static_cast<double>(n_unknown)) / all);
      const bool here = figure.value && keeps(gate, *figure.value);
      if (!figure.value || worst != best || here != worst) {
        result.unmeasured = n_missing > 0 || !figure.value;
        result.decision = Decision::kInconclusive;
        result.remark = "the " + std::to_string(n_unknown) +
                        " cases without a verdict could decide it either way";
        result.reason = measured + " against " + result.bound + ": " + result.remark;
        return;
      }
    }
    if (figure.n < gate.min_n) {
      result.decision = Decision::kInconclusive;
      result.remark =
          "fewer than the " + std::to_string(gate.min_n) + " measurements the gate asks for";
      result.reason = measured + " against " + result.bound + ": " + result.remark;
      return;
    }
    const bool kept = keeps(gate, *figure.value);
    result.decision = kept ? Decision::kPass : Decision::kFail;
    result.reason = measured + (kept ? " keeps " : " breaks ") + result.bound;
    if (figure.interval &&
        (keeps(gate, figure.interval->lo) != kept || keeps(gate, figure.interval->hi) != kept)) {
      result.remark = "the interval reaches across the bound";
      result.reason += "; " + result.remark;
    }
  }

  const RunData& run_;
  const CellRow& cell_;
  const CellStatus& status_;
};

}  // namespace

GateResult judge_gate(const RunData& run, const CellRow& cell, const CellStatus& status,
                      const Gate& gate, const std::string& suite) {
  return GateJudge(run, cell, status).judge(gate, suite);
}

}  // namespace ds4::reports
