// The rate of the tensor cores on random numbers: by mma.sync on registers, and on Hopper by wgmma,
// whose operands are in shared memory. There mma.sync is not the whole chip, and FP8 operands of it
// are converted first; docs/probes.md says by how much.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

namespace ds4::probes {

enum class TensorType { kBf16, kFp8, kFp4 };
inline constexpr TensorType kTensorTypes[] = {TensorType::kBf16, TensorType::kFp8,
                                              TensorType::kFp4};

/// "BF16", "FP8 E4M3", "MXFP4".
const char* tensor_name(TensorType type);

/// A type and the instruction that multiplies it.
struct TensorWay {
  TensorType type = TensorType::kBf16;
  bool by_groups = false;  // wgmma, by four warps together; else mma.sync
  /// "BF16", "BF16, wgmma": what rows are of.
  std::string name() const { return std::string(tensor_name(type)) + (by_groups ? ", wgmma" : ""); }
};
inline constexpr TensorWay kTensorWays[] = {{TensorType::kBf16, false},
                                            {TensorType::kBf16, true},
                                            {TensorType::kFp8, false},
                                            {TensorType::kFp8, true},
                                            {TensorType::kFp4, false}};

/// A word of ones of the type. With them every multiply-add adds one to a sum, so that the sums
/// count the operations.
uint32_t tensor_ones(TensorType type);

/// Operations per second that no kernel can pass on GPUs of this capability (90 = 9.0); 0 where it
/// is not known here.
double most_tensor_rate(TensorType type, int capability, int processors, double clock_hz);

/// Whether this build has code for it that this GPU runs. Waits for the GPU.
bool tensor_supported(TensorWay way);

/// One launch that fills the GPU for some milliseconds; returns its floating-point operations.
/// `operands`: at least 1 MiB of random finite values of the type. Writes every warp's sum to
/// sums[0 .. tensor_sums(way, processors)).
double multiply_tiles(TensorWay way, int processors, const void* operands, float* sums,
                      cudaStream_t stream);
int tensor_sums(TensorWay way, int processors);
inline constexpr int64_t kTensorOperandBytes = int64_t{1} << 20;

}  // namespace ds4::probes
