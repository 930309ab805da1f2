// Kernels that do nothing but move memory; each reads or writes every byte it is given once.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ds4::probes {

/// What is done with the bytes that were read: nothing is lighter than a sum that can be checked.
enum class Reading { kF32, kBf16 };

/// How a streaming kernel divides its work: 16-byte loads in flight per thread, and whether blocks
/// stay (eight a multiprocessor, each taking piece after piece) or come and go, one a piece.
struct Shape {
  int loads = 8;  // 2, 4 or 8
  bool stay = false;
};

/// Bytes that a block takes at a time, the unit of every size below.
inline constexpr int64_t kPiece = 32 << 10;

/// Adds the sum of the magnitudes of all values to *total (on the device).
void read_all(const void* data, int64_t bytes, Reading reading, Shape shape, double* total,
              cudaStream_t stream);
/// The same value by value in double, slowly: what the others are checked against.
void read_plainly(const void* data, int64_t bytes, Reading reading, double* total,
                  cudaStream_t stream);
/// Reads the first `bytes` of f32 `rounds` times past the caches of the multiprocessors, so that
/// what is not in L2 comes from memory.
void read_again(const void* data, int64_t bytes, int rounds, double* total, cudaStream_t stream);
/// Reads `count` random pages of 4 KiB of f32, each a warp's.
void read_pages(const void* data, int64_t bytes, int64_t count, uint64_t seed, double* total,
                cudaStream_t stream);
/// Words of no pattern; `seed` distinguishes passes.
void write_all(void* data, int64_t bytes, uint32_t seed, Shape shape, cudaStream_t stream);
void copy_all(const void* from, void* to, int64_t bytes, Shape shape, cudaStream_t stream);
/// to = a + 3 b in f32: two reads, one write.
void triad(const void* a, const void* b, void* to, int64_t bytes, Shape shape, cudaStream_t stream);

}  // namespace ds4::probes
