// A run from plan to last cell: what `run` and `resume` have in common.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "profiles/schema/plan.h"
#include "reports/store/store.h"
#include "runners/shard.h"
#include "runners/supervisor.h"

namespace ds4::runners {

/// Checks what can be checked before anything is started: the checkpoint opens, suites plan.
/// Returns the number of cases of each cell. Throws ds4::Error.
std::vector<int> check_plan(const profiles::Plan& plan);

/// Writes the run and all cells of the sweep, a shard's as its own. Returns the run's UUID.
std::string begin_run(reports::Store& store, const profiles::Plan& plan,
                      const std::string& command_line, const Shard& shard = {});

/// Throws Error(kUsage) when the run was made by another commit or on another checkpoint than there
/// is now, the run's or one of its cells', unless `force`.
void check_resumable(reports::Store& store, const reports::RunRow& run, bool force);

/// Runs every case of the run that has no attempt with status "ok", cell by cell, in processes of
/// their own; returns when all were tried or g_interrupted is set. Marks the run finished unless
/// interrupted.
void execute(reports::Store& store, const std::string& run_id, const Observer& observer);

}  // namespace ds4::runners
