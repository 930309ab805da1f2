// What an engine and one session take, before anything is allocated, and whether it fits.
#pragma once

#include "engine/api/session.h"

namespace ds4::session {

/// Tokens computed at once: the prefill chunk, but never more than a session can hold.
int chunk_rows(const EngineSettings& settings);

/// Throws Error(kMachine) when the estimate exceeds what the machine can still give.
void check_free_memory(const MemoryEstimate& estimate);

}  // namespace ds4::session
