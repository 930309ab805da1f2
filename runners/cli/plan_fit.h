// What `plan --machine` prints: predictions and verdicts as text and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "profiles/schema/plan.h"
#include "runners/fit/remedy.h"
#include "runners/fit/verdict.h"

namespace ds4::cli {

struct CellFit {
  runners::fit::Prediction prediction;
  runners::fit::Verdict verdict;
  std::vector<runners::fit::Remedy> remedies;  // empty for a cell that fits
  bool refused = false;                        // `run` would not launch it on such a machine
};

/// Judges every cell against the machine. Throws as judge().
std::vector<CellFit> judge_cells(const profiles::Plan& plan, const profiles::Machine& machine);

/// One line per cell, what `run` would refuse, what to change, and the owners of the cell that
/// needs most.
void print_fit(const profiles::Plan& plan, const std::vector<CellFit>& cells,
               const profiles::Machine& machine, bool colour);

nlohmann::json machine_json(const profiles::Machine& machine);
nlohmann::json fit_json(const CellFit& cell);

}  // namespace ds4::cli
