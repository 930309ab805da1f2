// How long a cell and a run are likely to take yet. The rule, which docs/sweeps.md states: what was
// measured of this run goes on as it went, and of what nothing was measured nothing is said.
#pragma once

#include <optional>

#include "runners/progress/state.h"

namespace ds4::runners {

/// Seconds until the last case of the launch that runs has ended. The cases of an earlier turn with
/// as many are the pattern, stretched as this one is slower; without one, each case takes the mean
/// of those before it. Nothing before the first case without a pattern.
std::optional<double> left_in_cell(const RunState& state);

/// Seconds until the last turn has ended: left_in_cell(), and for each case that waits in the queue
/// what a case took over the turns that ended with answers, their loading included (before the
/// first of them: over this one).
std::optional<double> left_in_run(const RunState& state);

}  // namespace ds4::runners
