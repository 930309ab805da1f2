// The supervisor: starts one worker per cell, enforces deadlines, and is the only writer of the
// store. Nothing a worker does can end it: crashes, hangs and nonsense on the pipe become stored
// outcomes.
#pragma once

#include <functional>
#include <string>

#include "reports/store/store.h"
#include "runners/progress/state.h"
#include "runners/protocol.h"

namespace ds4::runners {

/// Called on every message, and at least every second.
using Observer = std::function<void(const RunState&)>;

/// Set by the signal handler of Ctrl-C; once true, run_cell() ends its worker and returns.
extern volatile bool g_interrupted;

/// Makes SIGINT and SIGTERM set g_interrupted; a second one ends this process at once (exit 130).
void install_interrupt_handler();

/// What is done around a worker's life, by whoever runs several.
struct Surroundings {
  std::vector<probes::Sample> before = {};  // readings to store with the launch
  /// Called when the worker is gone, unless the user stopped it: adds readings, and returns why the
  /// machine was in a slow state, "" if it was not.
  std::function<std::string(std::vector<probes::Sample>&)> after = {};
};

/// Runs the missing cases of one cell in a worker and stores every attempt as it ends, then the
/// launch. Returns the launch as stored.
reports::LaunchRow run_cell(reports::Store& store, const std::string& run_id,
                            const Assignment& assignment, int launch_number, RunState& state,
                            const Observer& observer, const Surroundings& around = {});

}  // namespace ds4::runners
