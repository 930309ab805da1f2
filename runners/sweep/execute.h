// A run's way through its queue: what is launched, what is skipped and why, what is repeated. Each
// decision is stored when it is made, so that a run that is resumed goes on as it began.
#pragma once

#include <string>

#include "reports/store/store.h"
#include "runners/supervisor.h"

namespace ds4::runners::sweep {

/// Takes the turns of the run's queue in order, each in a process of its own, with what is missing
/// of it; returns when all were tried or g_interrupted is set. Marks the run finished unless
/// interrupted.
/// Before a launch: a cell is skipped when one that needs no more memory ran out of it, refused
/// when it does not fit this machine, and waits until memory is back where it was when this call
/// began
/// (`[sweep]` of its profile). `retry`: what was skipped or refused gets its turn, and launches of
/// before are no reason to skip.
void execute(reports::Store& store, const std::string& run_id, const Observer& observer,
             bool retry = false);

}  // namespace ds4::runners::sweep
