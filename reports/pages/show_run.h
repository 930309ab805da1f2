// A run for the terminal, by cells and cases: what is asked for, found and written down.
#pragma once

#include <string>
#include <vector>

#include "reports/figures/run_data.h"

namespace ds4::reports {

/// What of a run is shown.
struct Shown {
  std::vector<size_t> cells;     // places in RunData::cells
  bool one_cell = false;         // it was asked for: launches that failed with their logs
  std::string case_prefix = "";  // beginning of "suite/case"; not "": these are opened

  bool opens(const StoredAttempt& attempt) const;
};

/// The words behind RUN. Two: a cell and a case. One: a cell of a run with several, a case of a run
/// with one. A cell is named by its number, its label or a beginning of that; a case by a beginning
/// of suite/case. Throws Error(kUsage) that says what there is.
Shown find_shown(const RunData& run, const std::vector<std::string>& words);

/// Cells with their outcomes and a line per case; or the cases that are opened, whose texts are
/// loaded (Store::load_texts).
std::string render_show(const RunData& run, const Shown& shown, bool full);

/// The same as one JSON object (`ds4-show-1`, docs/schema.md), texts whole, in ASCII: what is not
/// is escaped, so that nothing in it acts on a terminal.
std::string show_json(const RunData& run, const Shown& shown);

}  // namespace ds4::reports
