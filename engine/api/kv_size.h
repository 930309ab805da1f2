// How much of the KV cache a session's tokens take; what is set aside for them says
// estimate_memory().
#pragma once

#include <cstdint>

#include "engine/api/session.h"

namespace ds4 {

/// Bytes that going on from the session's timeline needs: rows of the window, compressed rows,
/// indexer keys and the compressors' tails, as a snapshot has them, without marks and empty room. 0
/// for a session of another kind than this engine's.
int64_t kv_bytes(const Session& session);

}  // namespace ds4
