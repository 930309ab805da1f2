// Random contents for device memory: power, and with it the clock, depends on what is moved, and
// memory that is all alike may be read faster.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ds4::probes {

enum class Fill {
  kBits,       // any bits
  kBf16,       // +-[0.5, 2); two of them as f32 are, too
  kE4m3,       // any finite code
  kE4m3Scale,  // any finite code that is not negative
  kE8m0,       // 2^-10 to 2^-4
  kF16Scale,   // [2^-7, 2^-5)
};

/// Fills `bytes` (a multiple of 16, as `data`) by a hash of position and seed.
void fill_random(void* data, int64_t bytes, Fill fill, uint64_t seed, cudaStream_t stream);

/// Sets every byte to 0xFF: NaN in every format, for outputs that are then checked.
void poison(void* data, int64_t bytes, cudaStream_t stream);

}  // namespace ds4::probes
