// The rate of the tensor cores by mma.sync on registers full of random numbers. On Hopper this is
// below what its wgmma reaches, and FP8 is converted first; docs/probes.md says by how much.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ds4::probes {

enum class TensorType { kBf16, kFp8, kFp4 };
inline constexpr TensorType kTensorTypes[] = {TensorType::kBf16, TensorType::kFp8,
                                              TensorType::kFp4};

/// "BF16", "FP8 E4M3", "MXFP4".
const char* tensor_name(TensorType type);

/// A word of ones of the type. With them every multiply-add adds one to a sum, so that the sums
/// count the operations.
uint32_t tensor_ones(TensorType type);

/// Operations per second that no kernel can pass on GPUs of this capability (90 = 9.0); 0 where it
/// is not known here.
double most_tensor_rate(TensorType type, int capability, int processors, double clock_hz);

/// Whether this build has code for it that this GPU runs. Waits for the GPU.
bool tensor_supported(TensorType type);

/// One launch that fills the GPU for some milliseconds; returns its floating-point operations.
/// `operands`: at least 1 MiB of random finite values of the type. Writes every warp's sum to
/// sums[blocks * 8], where blocks = 4 a multiprocessor.
double multiply_tiles(TensorType type, int processors, const void* operands, float* sums,
                      cudaStream_t stream);
inline constexpr int kTensorBlocksPerProcessor = 4;
inline constexpr int64_t kTensorOperandBytes = int64_t{1} << 20;

}  // namespace ds4::probes
