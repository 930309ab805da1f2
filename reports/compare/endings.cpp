#include "reports/compare/endings.h"

#include <set>
#include <utility>

#include "reports/outcomes/outcome.h"

namespace ds4::reports {
namespace {

using CaseName = std::pair<std::string, std::string>;  // suite, case id

bool killed_by_guard(std::string_view outcome) {
  return is_watchdog_kill(outcome) && outcome_class(outcome).effect == Effect::kFailed;
}

std::set<CaseName> answered(const RunData& run, const CellRow& cell) {
  std::set<CaseName> cases;
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (attempt.status == "ok") cases.emplace(attempt.suite, attempt.case_id);
  }
  return cases;
}

// Cases of `wanted` that the cell was to answer and did not.
int n_missing(const RunData& run, const CellRow& cell, const std::set<CaseName>& wanted) {
  const std::set<CaseName> there = answered(run, cell);
  int n = 0;
  for (const PlannedCase& planned : cell.cases) {
    const CaseName name{planned.suite, planned.case_id};
    n += wanted.contains(name) && !there.contains(name);
  }
  return n;
}

// How a cell that lacks answers ended: the launch that failed last, else the attempt that did, else
// why it was not launched.
struct Failure {
  std::string outcome, phase, message;  // "" = none failed
};

Failure failure_of(const RunData& run, const CellRow& cell) {
  Failure failure;
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (attempt.status != "error") continue;
    failure = {attempt.outcome.empty() ? "error" : attempt.outcome,
               attempt.suite + "/" + attempt.case_id, attempt.error};
  }
  for (const LaunchRow& launch : run.launches.of(cell.key)) {
    if (!forbids("failure", launch.outcome)) continue;
    failure = {launch.outcome, launch.phase, launch.message};
  }
  if (!failure.outcome.empty()) return failure;
  for (const TurnRow& turn : run.queue.of(cell.key)) {
    if (turn.state == "refused") failure = {"PREFLIGHT_REFUSED", "", turn.reason};
    if (turn.state == "skipped") failure = {"skipped", "", turn.reason};
  }
  return failure;
}

std::string kind_of(const std::string& outcome) {
  return ran_out_of_memory(outcome)       ? "out of memory"
         : killed_by_guard(outcome)       ? "killed by the guard"
         : outcome == "PREFLIGHT_REFUSED" ? "does not fit"
         : outcome == "skipped"           ? "skipped"
                                          : "failed";
}

}  // namespace

bool forbids(std::string_view forbidden, std::string_view outcome) {
  if (forbidden == "oom") return ran_out_of_memory(outcome);
  if (forbidden == "watchdog") return killed_by_guard(outcome);
  const Effect effect = outcome_class(outcome).effect;
  return effect == (forbidden == "invalid" ? Effect::kInvalid : Effect::kFailed);
}

void add_ending(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair) {
  const auto add = [&](const RunData& run, const CellRow& cell, int lost, Change change) {
    const Failure failure = failure_of(run, cell);
    if (lost == 0 || failure.outcome.empty()) return;
    result.endings.push_back({pair.label(), kind_of(failure.outcome), failure.outcome,
                              failure.phase, failure.message, lost, change});
  };
  add(now, pair.now, n_missing(now, pair.now, answered(base, pair.base)), Change::kRegression);
  add(base, pair.base, n_missing(base, pair.base, answered(now, pair.now)), Change::kImprovement);
}

}  // namespace ds4::reports
