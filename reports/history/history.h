// The headline figures of a profile over its last runs on one machine, where their level changed,
// and what else changed there. docs/method.md explains the test.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/figure.h"
#include "reports/pages/page.h"
#include "reports/stats/change_points.h"
#include "reports/store/store.h"

namespace ds4::reports {

struct HistoryRun {
  RunRow run;
  /// What may change between runs of a profile: "commit", "profile", "machine.kernel", ...
  std::map<std::string, std::string> environment;
  /// "commit 0123 -> 4567" for each part that is another than in the run before.
  std::vector<std::string> changed;
};

/// A figure of one cell, as all runs have it.
struct HistoryFigure {
  std::string cell;  // label
  std::string suite, name, unit;
  int better = 0;                               // 1 = higher, -1 = lower, 0 = neither
  std::vector<std::optional<FigureData>> runs;  // nothing where a run has not measured it
  std::vector<ChangePoint> changes;             // `at` counts all runs: it is first in that one
};

struct History {
  double alpha = 0.05;           // chance that anything is marked although nothing changed
  std::vector<HistoryRun> runs;  // oldest first
  std::vector<HistoryFigure> figures;
  int n_tests = 0;  // figures with enough runs to be tested; each is tested at alpha / n_tests

  int n_changes() const;
};

/// The `n` last finished runs up to `run_id`, itself included, of its profile's name on its kind of
/// machine (processor, GPUs, memory). Of each cell: the headline score of every suite, prefill and
/// decode rate (of the suite `speed` where it was measured, else of all answers) and the largest
/// memory. Throws Error(kUsage) when there is no such run or fewer than two runs to show.
History load_history(Store& store, const std::string& run_id, size_t n);

/// As a page: what changed, a chart and a table for each figure.
Page history_page(const History& history);

/// As one object, `"format": "ds4-history-1"` (docs/schema.md).
std::string history_json(const History& history);

}  // namespace ds4::reports
