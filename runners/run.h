// A run before its first cell: what is checked and what is written down. What follows:
// sweep/execute.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "profiles/schema/plan.h"
#include "reports/store/store.h"
#include "runners/shard.h"

namespace ds4::runners {

/// Checks what can be checked before anything is started: the checkpoint opens, suites plan.
/// Returns the number of cases of each cell. Throws ds4::Error.
std::vector<int> check_plan(const profiles::Plan& plan);

/// The turns of a plan's cells in the order of `[sweep]`, with what each is predicted to need.
std::vector<reports::TurnRow> queue_of(const profiles::Plan& plan);

/// Writes the run and all cells of the sweep, a shard's as its own. Returns the run's UUID.
std::string begin_run(reports::Store& store, const profiles::Plan& plan,
                      const std::string& command_line, const Shard& shard = {});

/// Throws Error(kUsage) when the run was made by another commit or on another checkpoint than there
/// is now, the run's or one of its cells', unless `force`.
void check_resumable(reports::Store& store, const reports::RunRow& run, bool force);

}  // namespace ds4::runners
