// What the CUDA back end tells about itself without being asked through ops.h; in every build.
#pragma once

#include <cstdint>
#include <string>

#include "engine/api/session.h"
#include "engine/weights/config.h"
#include "engine/weights/weights.h"

namespace ds4::ops {

/// Backend::value_bytes().
inline constexpr int cuda_value_bytes(Precision precision) {
  return precision == Precision::kReference ? 2 : 4;
}
/// Attention and indexer scores are computed in portions of this size.
inline constexpr int64_t kCudaScoreBytes = int64_t{256} << 20;
/// What Backend::allocate(bytes) takes of what was reserved.
int64_t cuda_piece_bytes(int64_t bytes);
/// What the parameters take, whose values do not matter (weights::model_shapes): the block, and in
/// device memory whatever the residency, the tables that point into it.
struct CudaWeightBytes {
  int64_t block = 0;
  int64_t tables = 0;
};
CudaWeightBytes cuda_weight_bytes(const weights::ModelWeights& shapes, Precision precision);
/// The scratch memory that its operations need for chunks of `rows` tokens. `experts`: the most
/// that any layer has.
int64_t cuda_scratch_bytes(const weights::ModelConfig& config, int experts, int rows,
                           int64_t context_length, Precision precision);
/// What the CUDA context with its kernels and a few recorded steps take, as measured on one H200
/// (docs/perf/gpu.md, "Loading and memory"): another GPU's context may differ by some hundred MiB.
inline constexpr int64_t kCudaContextBytes = int64_t{540} << 20;
/// What loading takes at most beside the weights, on the device and again in pinned memory.
inline constexpr int64_t kCudaStagingBytes = int64_t{128} << 20;
/// The name of the first GPU; throws Error(kMachine) where no GPU can be used.
std::string cuda_device_name();
/// Memory of the first GPU; throws Error(kMachine) where no GPU can be used.
GpuMemory cuda_memory();
/// Bytes the first GPU can still give; 0 without one.
int64_t cuda_free_bytes();
/// Bytes of the first GPU in use by anybody; 0 without one.
int64_t cuda_used_bytes();
/// Kernels launched by this process so far, those of replayed graphs included.
int64_t cuda_kernel_launches();

}  // namespace ds4::ops
