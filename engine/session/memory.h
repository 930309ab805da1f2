// What an engine and its sessions take, before anything is allocated, and whether it fits.
#pragma once

#include "engine/api/session.h"
#include "engine/weights/structure.h"

namespace ds4::session {

/// Tokens computed at once: a prefill chunk that a session can hold, and at least a step with
/// drafts of every sequence.
int batch_rows(const EngineSettings& settings);

struct MemoryPlan {
  MemoryEstimate estimate;
  // For Backend::reserve(): what allocate() will be asked for, and for the operations.
  int64_t pieces = 0;
  int64_t scratch = 0;
};

/// What an engine of an opened checkpoint takes.
MemoryPlan plan_memory(const weights::OpenedModel& opened, const EngineSettings& settings);

/// Throws Error(kMachine) when the estimate exceeds what the device can still give.
void check_free_memory(const MemoryEstimate& estimate, Device device);

}  // namespace ds4::session
