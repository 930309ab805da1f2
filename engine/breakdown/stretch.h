// Makes a sequence's memory look as long as it would be behind many more tokens: for timing at
// lengths whose computing would take an hour.
#pragma once

#include <cstdint>

#include "engine/cache/kv_cache.h"
#include "engine/ops/ops.h"

namespace ds4::breakdown {

/// Takes `cache` from `computed` tokens to `length`: rows and keys of the tokens between are copies
/// of the computed ones, end to end; rings and tails hold what they held, under new positions. Both
/// lengths are multiples of every ratio, so that no block is begun.
void stretch(ops::Backend& backend, const cache::KvCache& cache, int64_t computed, int64_t length);

}  // namespace ds4::breakdown
