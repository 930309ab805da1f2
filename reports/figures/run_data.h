// One run read from the store, with the look-ups figures and pages need. Reads once; computes
// nothing that is a result.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "reports/figures/by_cell.h"
#include "reports/store/store.h"

namespace ds4::reports {

/// How much of a cell was measured.
struct CellStatus {
  std::string outcome;  // of its newest launch; "not run" without one
  std::string phase;    // where that launch ended, if it did not end well
  std::string message;
  int n_launches = 0;
  double seconds = 0;  // of all launches together
  int n_planned = 0;   // cases, without those skipped; 0 = not known
  int n_skipped = 0;   // cases that could not be asked
  int n_ok = 0;        // cases with an attempt that is ok
  int n_correct = 0, n_wrong = 0, n_invalid = 0;
  int n_missing() const { return n_planned > n_ok ? n_planned - n_ok : 0; }
  /// Every planned case has an answer.
  bool complete() const {
    if (n_planned > 0) return n_missing() == 0;
    return (n_ok > 0 || n_skipped > 0) && outcome == "ok";
  }
  /// Its newest launch ended by something we came to measure, so that no figure is an answer too.
  bool failed() const;
};

struct RunFacts;
struct TwinCells;

struct RunData {
  RunRow run;
  ByCell<CellRow> cells;
  ByCell<LaunchRow> launches;
  ByCell<LaunchSample> launch_samples;
  ByCell<StoredAttempt> attempts;
  std::vector<PartRow> parts = {};  // of a joined run
  ByCell<TurnRow> queue = {};
  /// Kept once they are made, for they are asked for with each figure: cell_facts.h, twins.cpp.
  mutable std::shared_ptr<const RunFacts> facts = {};
  mutable std::shared_ptr<const TwinCells> twin_cells = {};
};

/// Throws Error(kUsage) when there is no such run.
RunData load_run(Store& store, const std::string& run_id, bool with_texts);

/// Makes the rows' indexes by cell, so that threads may share a run that nobody changes any more.
void make_indexes(const RunData& run);

/// A cell's launches whose times and sizes do not count, though its answers do: those that ended in
/// an outcome of the kind Effect::kInvalid (the machine was slow, something else took part, a fast
/// path was refused). No figure, gate or comparison has them.
std::set<int> invalid_launches(const RunData& run, const std::string& cell_key);

/// A cell's answers whose times count: all but those of invalid launches and those that are
/// contaminated or miscounted themselves.
std::vector<const StoredAttempt*> timed_attempts(const RunData& run, const std::string& cell_key);

/// What the newest launch of a cell which says so did not ask, "suite" or "suite/case", with what
/// the target or the machine lacks for it: neither measured nor failed.
using Skipped = std::map<std::string, std::string>;
Skipped skipped_of(const RunData& run, const std::string& cell_key);
/// What is lacking for a case; null when it could be asked.
const std::string* lack_of(const Skipped& skipped, const PlannedCase& planned);

CellStatus cell_status(const RunData& run, const CellRow& cell);

/// The cell without the cases that it planned, which are most of what it holds.
CellRow without_cases(CellRow cell);

/// Which part of a run a figure is about.
struct Selection {
  Name cell_key;
  Name suite;                               // "" = every suite
  std::map<std::string, std::string> tags;  // all of these
  bool matches(const std::string& suite_name, const std::map<std::string, std::string>& t) const;
};

/// Suites of a cell in running order.
std::vector<std::string> suites_of(const RunData& run, const std::string& cell_key);

/// Values of a tag among a suite's cases, numbers in numeric order.
std::vector<std::string> tag_values(const RunData& run, const Selection& selection,
                                    const std::string& tag);

}  // namespace ds4::reports
