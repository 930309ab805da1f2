// The contract between the GEMV bench and its kernels: formats, designs, launch arguments. Not an
// engine interface: the engine's kernels take the winner's structure, not these types.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace ds4::bench {

inline constexpr int kMaxCols = 8;     // activation rows of one launch: n of mma.m16n8
inline constexpr int kGroup = 128;     // k per step: one FP8 scale block, four MXFP4 scale blocks
inline constexpr int kBlockWarps = 8;  // warps per thread block in every design

/// Weight format: FP8-E4M3 with 128x128 E8M0 scales, MXFP4 with 1x32 E8M0 scales, or BF16.
enum class Format { kFp8, kFp4, kBf16 };

/// How weights meet activations. kFma: one warp per few rows, float FMA. The others run mma.sync
/// with 16 weight rows as A; they differ in how A is made: integer bit moves to f16/bf16 (kBits),
/// the conversion instruction of sm_89+ (kCvt), FP8 operands as they are (kE4m3, sm_89+), or MXFP4
/// to bf16 with its scale multiplied in before the product (kPrescale).
enum class Design { kFma, kBits, kCvt, kE4m3, kPrescale };

/// Bytes of weights: as in the checkpoint; 16-byte units in mma fragment order (each warp load is
/// 512 contiguous bytes); or the same for MXFP4 with 4-byte words, so that the four lanes of a
/// fragment row share each scale block; kPlanes also moves the bits of each word (planes_bits_f16).
enum class Layout { kNative, kUnits, kWords, kPlanes };

/// One product: matrix `matrix` times `n_cols` activation rows.
struct Job {
  int matrix;
  int n_cols;
  int x_row[kMaxCols];
  int out_row[kMaxCols];
};

/// out[out_row][r] = sum_k w[matrix][r][k] * x[x_row][k], float32 sums.
struct Args {
  const std::uint8_t* w;  // matrices of n x k in `Layout`
  const std::uint8_t*
      scale;             // E8M0: FP8 [n/128, k/128]; MXFP4 [n, k/32] or fragment order; BF16 none
  std::size_t w_stride;  // bytes per matrix
  std::size_t scale_stride;  // bytes per matrix
  const void* x;             // [x rows, k], type and order as the design wants (see x_order)
  const float* x_scale;      // [x rows, k/128]; null when x carries its scale
  const Job* jobs;  // null: matrix first_matrix + j, rows (col * n_jobs + j), j = job index
  float* out;       // [out rows, n]
  int n, k;
  int n_jobs, first_matrix, n_cols;
  int k_warps;  // mma designs: warps of a block that share a 16-row tile and split k (1, 2, 4, 8)
  bool early_start;  // mma designs, sm_90+: launched while the previous kernel drains; only weights
                     // are read before it has finished (programmatic dependent launch)
};

/// Element type and order of x inside each group of 128, as a design reads it.
struct XOrder {
  enum class Type { kF16, kBf16, kBf16Biased, kE4m3 } type;
  enum class Order { kNatural, kFp8, kFp8EvenOdd, kFp4, kFp4Words, kFp4WordsE4m3, kBf16 } order;
};

struct Variant {
  Design design;
  Layout layout;
  bool pipelined;  // mma designs: the next weights load while these multiply
  const char* name;
};

/// True when this design exists for the format (and quantised or plain bf16 activations).
bool exists(Format format, bool quantised_x, const Variant& variant);
XOrder x_order(Format format, bool quantised_x, const Variant& variant);
/// Launches; the caller checks cudaGetLastError. `max_cols` >= every job's n_cols.
void launch_fma(Format format, bool quantised_x, int max_cols, const Args& args,
                cudaStream_t stream);
void launch_mma(Format format, bool quantised_x, const Variant& variant, const Args& args,
                cudaStream_t stream);

}  // namespace ds4::bench
