#include "reports/verdict/verdict.h"

#include <algorithm>
#include <set>

#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "probes/metric.h"
#include "reports/figures/twins.h"
#include "reports/verdict/gate_judge.h"
#include "reports/verdict/relative_gates.h"

namespace ds4::reports {
namespace {

// The suites a gate is judged for in a cell: its own, every suite that gives the score, or "" for a
// metric of the whole cell. None when no case of the cell is what the gate is about.
std::vector<std::string> judged_suites(const Gate& gate, const RunData& run, const CellRow& cell,
                                       const Judging& judging) {
  if (!gate.outcome.empty()) return {""};
  // A cell that all others are held against is held against none.
  if (is_across_cells(gate.figure) && reference_cells(run, cell.key).empty()) return {};
  std::vector<std::string> candidates;
  const probes::Metric* metric = probes::find_metric(gate.figure);
  if (!gate.suite.empty()) {
    candidates = {gate.suite};
  } else if (metric && metric->of_attempt && !gate.baseline.empty()) {
    candidates = suites_of(run, cell.key);  // answers of two suites are not compared as one
  } else if (metric) {
    candidates = {""};
  } else {
    for (const std::string& suite : suites_of(run, cell.key)) {
      const auto scores = judging.scores.find(suite);
      if (scores == judging.scores.end()) continue;
      const auto& names = scores->second;
      if (std::find(names.begin(), names.end(), gate.figure) != names.end()) {
        candidates.push_back(suite);
      }
    }
  }
  if (cell.cases.empty()) return candidates;  // the plan is not known
  std::erase_if(candidates, [&](const std::string& suite) {
    const Selection selection{cell.key, suite, gate.tags};
    return std::none_of(cell.cases.begin(), cell.cases.end(), [&](const PlannedCase& planned) {
      return selection.matches(planned.suite, planned.tags);
    });
  });
  return candidates;
}

std::string plural(size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

// The sentence of the verdict strip.
std::string summarise(const Verdict& verdict) {
  const auto count = [&](Decision decision) {
    return static_cast<size_t>(
        std::count_if(verdict.gates.begin(), verdict.gates.end(),
                      [&](const GateResult& gate) { return gate.decision == decision; }));
  };
  const size_t n_failed = count(Decision::kFail), n_open = count(Decision::kInconclusive);
  const size_t n_cells = static_cast<size_t>(verdict.n_cells);
  const std::string incomplete =
      std::to_string(verdict.n_cells_incomplete) + " of " + plural(n_cells, "cell") +
      (verdict.n_cells_incomplete == 1 ? " lacks measurements" : " lack measurements");
  std::string text;
  if (n_failed > 0)
    text = std::to_string(n_failed) + " of " + plural(verdict.gates.size(), "gate") + " failed";
  if (n_open > 0) {
    text += (text.empty() ? "" : ", ") + std::to_string(n_open) + " of " +
            plural(verdict.gates.size(), "gate") + " could not be decided";
  }
  if (verdict.n_cells_incomplete > 0) text += (text.empty() ? "" : "; ") + incomplete;
  const std::string skipped =
      verdict.n_suites_skipped == 0
          ? ""
          : "; " + plural(static_cast<size_t>(verdict.n_suites_skipped), "suite") +
                " skipped, whole or in part, for want of what it takes";
  if (!text.empty()) return text + skipped + ".";
  if (n_cells == 0) return "The run has no cells.";
  const std::string measured = "Everything in " + plural(n_cells, "cell") + " was measured";
  if (verdict.gates.empty()) return measured + "; the profile sets no gates" + skipped + ".";
  return measured + " and " +
         (verdict.gates.size() == 1 ? "the gate is kept"
                                    : "all " + plural(verdict.gates.size(), "gate") + " are kept") +
         skipped + ".";
}

// About the gate that decided.
std::string advise(const GateResult& result, const std::string& id, const Baselines& baselines,
                   bool many_cells) {
  const Gate& gate = result.gate;
  if (!gate.baseline.empty()) {
    const auto found = baselines.find(gate.baseline);
    const bool there = found != baselines.end() && found->second.comparison;
    return there
               ? "ds4-sweep compare baseline:" + gate.baseline + " " + id + " shows all of it."
               : "ds4-sweep baseline set " + gate.baseline + " RUN names the run to compare with.";
  }
  if (!gate.outcome.empty()) return "The outcomes below say what happened.";
  return "ds4-sweep show " + id +
         (many_cells && !result.cell_label.empty() ? " '" + result.cell_label + "'" : "") +
         (result.suite.empty() ? "" : " " + result.suite) + " opens the cases behind " +
         gate_name(gate) + ".";
}

std::string advise(const Verdict& verdict, const RunData& run, const Baselines& baselines,
                   bool interrupted) {
  const std::string id = run.run.id.substr(0, 8);
  if (interrupted) return "ds4-sweep resume " + id + " measures what is missing.";
  if (verdict.n_cells_incomplete > 0) {
    if (std::all_of(run.cells.begin(), run.cells.end(),
                    [&](const CellRow& cell) { return cell_status(run, cell).complete(); })) {
      return "The outcomes below say what the target lacks.";
    }
    const bool left_out = std::any_of(run.queue.begin(), run.queue.end(), [](const TurnRow& turn) {
      return turn.state == "skipped" || turn.state == "refused";
    });
    return "The outcomes below say what happened; ds4-sweep resume " + id +
           (left_out ? " --retry" : "") + " tries the missing cases again.";
  }
  for (const Decision decision : {Decision::kFail, Decision::kInconclusive}) {
    for (const GateResult& gate : verdict.gates) {
      if (gate.decision == decision) return advise(gate, id, baselines, verdict.n_cells > 1);
    }
  }
  return "ds4-sweep show " + id + " opens every case.";
}

}  // namespace

const char* word(Decision decision) {
  switch (decision) {
    case Decision::kPass:
      return "PASS";
    case Decision::kFail:
      return "FAIL";
    case Decision::kInconclusive:
      return "INCONCLUSIVE";
  }
  return "";
}

const char* sign(Decision decision) {
  switch (decision) {
    case Decision::kPass:
      return "✓";
    case Decision::kFail:
      return "✗";
    case Decision::kInconclusive:
      return "?";
  }
  return "";
}

Baselines compare_with_baselines(Store& store, const std::string& run_id, const Judging& judging) {
  Baselines baselines;
  for (const Gate& gate : judging.gates) {
    if (gate.baseline.empty() || baselines.contains(gate.baseline)) continue;
    BaselineComparison& entry = baselines[gate.baseline];
    try {
      entry.comparison = compare_runs(store, "baseline:" + gate.baseline, store, run_id, {});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUsage) throw;
      entry.missing = std::string(error.what()) + ". " + error.hint();
    }
  }
  return baselines;
}

Verdict judge(const RunData& run, const Judging& judging, const Baselines& baselines) {
  Verdict verdict;
  verdict.n_cells = static_cast<int>(run.cells.size());
  bool interrupted = false;
  std::vector<CellStatus> statuses;
  for (const CellRow& cell : run.cells) {
    const CellStatus& status = statuses.emplace_back(cell_status(run, cell));
    std::set<std::string> suites;
    for (const auto& [name, lack] : skipped_of(run, cell.key)) {
      suites.insert(name.substr(0, name.find('/')));
    }
    verdict.n_suites_skipped += static_cast<int>(suites.size());
    // Nothing is left to resume, and yet nothing is known of the cell.
    const bool all_skipped = status.complete() && status.n_ok == 0 && status.n_skipped > 0;
    if (status.complete() && !all_skipped) continue;
    ++verdict.n_cells_incomplete;
    interrupted = interrupted || !(all_skipped || status.failed() || status.outcome == "skipped");
  }
  for (const Gate& gate : judging.gates) {
    const size_t before = verdict.gates.size();
    for (size_t i = 0; i < run.cells.size(); ++i) {
      const CellRow& cell = run.cells[i];
      for (const std::string& suite : judged_suites(gate, run, cell, judging)) {
        verdict.gates.push_back(judge_gate(run, cell, statuses[i], gate, suite));
      }
    }
    if (verdict.gates.size() == before) {
      GateResult result;
      result.gate = gate;
      result.suite = gate.suite;
      result.unmeasured = true;
      result.reason = "no cell has a case with this suite and these tags (" + gate.source + ")";
      result.remark = result.reason;
      verdict.gates.push_back(std::move(result));
    }
  }
  judge_against_baselines(verdict.gates, baselines);
  const auto any = [&](Decision decision) {
    return std::any_of(verdict.gates.begin(), verdict.gates.end(),
                       [&](const GateResult& gate) { return gate.decision == decision; });
  };
  if (any(Decision::kFail)) {
    verdict.decision = Decision::kFail;
  } else if (any(Decision::kInconclusive) || verdict.n_cells_incomplete > 0 ||
             verdict.n_cells == 0) {
    verdict.decision = Decision::kInconclusive;
  } else {
    verdict.decision = Decision::kPass;
  }
  verdict.reason = summarise(verdict);
  if (is_synthetic_identity(run.run.checkpoint_identity)) {
    verdict.reason.back() = ' ';
    verdict.reason += "(" + std::string(kSyntheticNote) + ").";
  }
  verdict.next_step = advise(verdict, run, baselines, interrupted);
  return verdict;
}

int Verdict::exit_code() const {
  for (const GateResult& gate : gates) {
    if (gate.decision == Decision::kFail && !gate.unmeasured) return 1;
  }
  return decision == Decision::kPass ? 0 : 4;
}

}  // namespace ds4::reports
