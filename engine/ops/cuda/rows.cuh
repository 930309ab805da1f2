// Cache rows in device memory: the packed formats of ops/rows.h, written from and read to shared
// memory or registers; and the transforms that precede them.
#pragma once

#include <cuda_fp16.h>

#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {

inline constexpr int kKvScaleBlock = 64;
inline constexpr int kIndexScaleBlock = 32;

__device__ __forceinline__ uint8_t* row_at(const RowStores& rows, int segment, int64_t index) {
  // Positions and slots stay far below 2^32, where a remainder is cheap.
  const uint32_t slot = static_cast<uint32_t>(index) % static_cast<uint32_t>(rows.slots[segment]);
  return rows.data[segment] + int64_t{slot} * rows.shape.bytes;
}

/// Value d of a row.
__device__ __forceinline__ float row_value(const RowShape& rows, const uint8_t* row, int d) {
  switch (rows.format) {
    case RowShape::kFp8:
      if (d >= rows.nope) {
        return get(reinterpret_cast<const Bf16*>(row + rows.rope_offset)[d - rows.nope]);
      }
      return e4m3_value(row[d]) * e8m0_value(row[rows.scale_offset + d / kKvScaleBlock]);
    case RowShape::kFp4:
      return e2m1_value(row[d / 2] >> (d % 2 * 4) & 15) *
             e8m0_value(row[rows.scale_offset + d / kIndexScaleBlock]);
    case RowShape::kBf16:
      return get(reinterpret_cast<const Bf16*>(row)[d]);
    case RowShape::kF32:
      return reinterpret_cast<const float*>(row)[d];
  }
  return 0;
}

// Kernels of decoding run their code once, so that fetching it is what they wait for: the rare path
// stays out of line.
/// Values d..d+7 (d a multiple of 8) as packed BF16, zeros from `dim` on. Exact: every row format
/// of the reference precision has BF16 values.
inline __device__ __noinline__ uint4 row_octet(const RowShape& rows, const uint8_t* row, int d) {
  __align__(16) Bf16 out[8];
  // Whole octets come in one or two loads; stores and FP8 rows are multiples of 8 bytes, FP4 rows
  // of 4 where their blocks are whole.
  if (rows.format == RowShape::kFp8 && d + 8 <= rows.nope) {
    const uint2 codes = *reinterpret_cast<const uint2*>(row + d);
    const float scale = e8m0_value(row[rows.scale_offset + d / kKvScaleBlock]);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t code = (i < 4 ? codes.x : codes.y) >> (i % 4 * 8) & 0xffu;
      out[i] = __float2bfloat16_rn(e4m3_value(code) * scale);
    }
    return *reinterpret_cast<const uint4*>(out);
  }
  if (rows.format == RowShape::kFp8 && d >= rows.nope && rows.nope % 8 == 0 && d + 8 <= rows.dim) {
    const auto* at = reinterpret_cast<const uint2*>(row + rows.rope_offset + 2 * (d - rows.nope));
    const uint2 low = at[0];
    const uint2 high = at[1];
    return uint4{low.x, low.y, high.x, high.y};
  }
  if (rows.format == RowShape::kFp4 && rows.bytes % 4 == 0 && d + 8 <= rows.dim) {
    const uint32_t codes = *reinterpret_cast<const uint32_t*>(row + d / 2);
    const float scale = e8m0_value(row[rows.scale_offset + d / kIndexScaleBlock]);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      out[i] = __float2bfloat16_rn(e2m1_value(codes >> (4 * i) & 15u) * scale);
    }
    return *reinterpret_cast<const uint4*>(out);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    out[i] = __float2bfloat16_rn(d + i < rows.dim ? row_value(rows, row, d + i) : 0.0f);
  }
  return *reinterpret_cast<const uint4*>(out);
}

/// The same in two parts, without a branch, so that many loads can be under way at once; for rows
/// whose octets lie whole in one part of them.
struct StoredOctet {
  uint2 low, high;
  uint32_t scale;
};
__host__ __device__ __forceinline__ bool has_whole_octets(const RowShape& rows) {
  return rows.dim % 8 == 0 &&
         (rows.format == RowShape::kBf16 || (rows.format == RowShape::kFp8 && rows.nope % 8 == 0));
}
/// `early`: in front of wait_for_inputs(), when L1 may still have what was there before.
template <bool early = false>
__device__ __forceinline__ StoredOctet load_octet(const RowShape& rows, const uint8_t* row, int d) {
  const bool coded = rows.format == RowShape::kFp8 && d < rows.nope;
  const int begin = coded                           ? d
                    : rows.format == RowShape::kFp8 ? rows.rope_offset + 2 * (d - rows.nope)
                                                    : 2 * d;
  const auto* at = reinterpret_cast<const uint2*>(row + begin);
  const uint8_t* scale = row + (coded ? rows.scale_offset + d / kKvScaleBlock : 0);
  if constexpr (early) return {__ldcg(at), __ldcg(at + (coded ? 0 : 1)), __ldcg(scale)};
  return {at[0], at[coded ? 0 : 1], *scale};
}
__device__ __forceinline__ uint4 decode_octet(const RowShape& rows, const StoredOctet& from,
                                              int d) {
  const bool coded = rows.format == RowShape::kFp8 && d < rows.nope;
  if (!coded) return {from.low.x, from.low.y, from.high.x, from.high.y};
  const float scale = e8m0_value(from.scale);
  uint32_t out[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t codes = (i < 2 ? from.low.x : from.low.y) >> (i % 2 * 16) & 0xffffu;
    const __half2_raw halves =
        __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(codes), __NV_E4M3);
    const float2 values = __half22float2(__half2(halves));
    const __nv_bfloat162 pair = __floats2bfloat162_rn(values.x * scale, values.y * scale);
    out[i] = reinterpret_cast<const uint32_t&>(pair);
  }
  return {out[0], out[1], out[2], out[3]};
}

/// Writes x [dim] (shared memory, complete) as one row; all threads of a block of whole warps.
__device__ __forceinline__ void encode_row(const RowShape& rows, const float* x, uint8_t* row) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  switch (rows.format) {
    case RowShape::kF32:
      for (int d = threadIdx.x; d < rows.dim; d += blockDim.x) {
        reinterpret_cast<float*>(row)[d] = x[d];
      }
      return;
    case RowShape::kBf16:
      for (int d = threadIdx.x; d < rows.dim; d += blockDim.x) {
        reinterpret_cast<Bf16*>(row)[d] = __float2bfloat16_rn(x[d]);
      }
      return;
    case RowShape::kFp8:
      for (int b = warp; b * kKvScaleBlock < rows.nope; b += warps) {
        const int begin = b * kKvScaleBlock;
        const int end = min(begin + kKvScaleBlock, rows.nope);
        float largest = 0;
        for (int d = begin + lane; d < end; d += 32) largest = fmaxf(largest, fabsf(x[d]));
        const uint32_t scale = q8_scale(warp_max(largest));
        const float down = e8m0_inverse(scale);
        for (int d = begin + lane; d < end; d += 32) {
          row[d] = static_cast<uint8_t>(e4m3_code(x[d] * down));
        }
        if (lane == 0) row[rows.scale_offset + b] = static_cast<uint8_t>(scale);
      }
      for (int d = rows.nope + threadIdx.x; d < rows.dim; d += blockDim.x) {
        reinterpret_cast<Bf16*>(row + rows.rope_offset)[d - rows.nope] = __float2bfloat16_rn(x[d]);
      }
      return;
    case RowShape::kFp4:
      for (int b = warp; b * kIndexScaleBlock < rows.dim; b += warps) {
        const int begin = b * kIndexScaleBlock;
        const int d = begin + lane;
        const uint32_t scale = q4_scale(warp_max(d < rows.dim ? fabsf(x[d]) : 0.0f));
        const uint32_t code = d < rows.dim ? e2m1_code(x[d] * (1 / e8m0_value(scale))) : 0;
        const uint32_t next = __shfl_down_sync(0xffffffffu, code, 1);
        if (lane % 2 == 0 && d < rows.dim) row[d / 2] = static_cast<uint8_t>(code | next << 4);
        if (lane == 0) row[rows.scale_offset + b] = static_cast<uint8_t>(scale);
      }
      return;
  }
}

/// Rotates the last 2 * pairs values of x [dim] by one row of a rotation table; threads first,
/// first + step, ... share the pairs.
template <class V>
__device__ __forceinline__ void rotate_tail(float* x, int dim, int pairs, const float* table,
                                            int first, int step) {
  for (int i = first; i < pairs; i += step) {
    float* pair = x + dim - 2 * pairs + 2 * i;
    rotate_pair<V>(pair[0], pair[1], table[i], table[pairs + i]);
  }
}

/// x := bf(H x / sqrt(dim)) by one warp; dim a power of two. Ends with the warp in step.
template <class V>
__device__ __forceinline__ void hadamard(float* x, int dim, int lane) {
  for (int step = 1; step < dim; step *= 2) {
    __syncwarp();
    for (int i = lane; i < dim / 2; i += 32) {
      const int low = i / step * 2 * step + i % step;
      const float a = x[low];
      const float b = x[low + step];
      x[low] = a + b;
      x[low + step] = a - b;
    }
  }
  __syncwarp();
  const float factor = static_cast<float>(1.0 / sqrt(static_cast<double>(dim)));
  for (int i = lane; i < dim; i += 32) x[i] = rounded<V>(x[i] * factor);
  __syncwarp();
}

}  // namespace ds4::ops::cuda
