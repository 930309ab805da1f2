// What the CUDA back end tells about itself without being asked through ops.h; in every build.
#pragma once

#include <cstdint>
#include <string>

#include "engine/api/session.h"
#include "engine/weights/config.h"

namespace ds4::ops {

/// Backend::value_bytes().
inline constexpr int cuda_value_bytes(Precision precision) {
  return precision == Precision::kReference ? 2 : 4;
}
/// Attention and indexer scores are computed in portions of this size.
inline constexpr int64_t kCudaScoreBytes = int64_t{64} << 20;
/// The scratch memory its operations grow to with chunks of `rows` tokens.
int64_t cuda_scratch_bytes(const weights::ModelConfig& config, int rows, Precision precision);
/// The name of the first GPU; throws Error(kMachine) where no GPU can be used.
std::string cuda_device_name();
/// Bytes the first GPU can still give; 0 without one.
int64_t cuda_free_bytes();
/// Bytes of the first GPU in use by anybody; 0 without one.
int64_t cuda_used_bytes();
/// Kernels launched by this process so far, those of replayed graphs included.
int64_t cuda_kernel_launches();

}  // namespace ds4::ops
