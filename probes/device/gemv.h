// A product of a matrix of weights in one of the formats with 1 to 8 rows of activations, y = x
// W^T, as decoding does it: every weight is read once, the activations are small. One design for
// all formats (m16n8k16 products of f16, bf16 for BF16; sums in f32), so that formats can be
// compared.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "probes/device/gemv_format.h"

namespace ds4::probes {

struct GemvShape {
  int rows = 0;     // of W: a multiple of 16, of 128 for FP8
  int columns = 0;  // of W: a multiple of 256
};

/// Where one matrix lies; null where a format has no such plane.
struct GemvMatrix {
  const void* codes = nullptr;
  const void* scales = nullptr;  // FP8: E8M0 [rows / 128][columns / 128]
  const void* blocks = nullptr;
};

/// Bytes of the planes of a matrix.
struct GemvBytes {
  int64_t codes = 0, scales = 0, blocks = 0;
  int64_t all() const { return codes + scales + blocks; }
};
GemvBytes gemv_bytes(WeightFormat format, GemvShape shape);

/// f16 or bf16 x: [chunk][8 pieces][8 columns of x][4 parts] of 16 bytes, eight weights' worth in
/// the format's order. `sums` (Q2_K): [chunk][8][4] of 16 bytes, the sums of x over the part's four
/// groups of 16: f16 rounded, four of them, then what rounding left.
struct GemvInput {
  const void* x = nullptr;
  const void* sums = nullptr;
};

/// y[m][rows], m < n_x. `warps` (1, 2, 4 or 8) of a block share a tile's columns. Not `arithmetic`:
/// the same loads and products, but codes are taken for numbers as they are and scales do not
/// scale; y is then nothing.
void launch_gemv(WeightFormat format, GemvShape shape, const GemvMatrix& matrix,
                 const GemvInput& input, int n_x, int warps, bool arithmetic, float* y,
                 cudaStream_t stream);

}  // namespace ds4::probes
