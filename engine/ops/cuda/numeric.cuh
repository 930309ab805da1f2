// Element formats and reductions shared by the kernels. Conversions are exact or nearest-even as
// model.md 2.2 and 3.0 define them; reductions have one fixed order.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "engine/ops/cuda/kernels.h"

namespace ds4::ops::cuda {

using Bf16 = __nv_bfloat16;

template <class V>
inline constexpr bool kStrict = std::is_same_v<V, Bf16>;

__device__ __forceinline__ float get(Bf16 v) {
  return __bfloat162float(v);
}
__device__ __forceinline__ float get(float v) {
  return v;
}
template <class V>
__device__ __forceinline__ V put(float v) {
  if constexpr (kStrict<V>) {
    return __float2bfloat16_rn(v);
  } else {
    return v;
  }
}
/// bf(x) where values are BF16, else x.
template <class V>
__device__ __forceinline__ float rounded(float v) {
  if constexpr (kStrict<V>) {
    // As one of a pair (F2FP): for a single value that goes on as a float the compiler takes F2F,
    // which is slower.
    return __low2float(__floats2bfloat162_rn(v, 0.0f));
  } else {
    return v;
  }
}

__device__ __forceinline__ float e4m3_value(uint32_t code) {
  return __uint_as_float((code & 0x80u) << 24 | (code & 0x7fu) << 20) * 0x1p120f;
}
__device__ __forceinline__ uint32_t e4m3_code(float v) {
  return __nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E4M3);
}
/// The codes of two values, the first in the low byte, and the f16 values of two codes.
__device__ __forceinline__ uint32_t e4m3_codes(float low, float high) {
  return __nv_cvt_float2_to_fp8x2({low, high}, __NV_SATFINITE, __NV_E4M3);
}
__device__ __forceinline__ uint32_t e4m3_halves(uint32_t codes) {
  const __half2_raw halves =
      __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(codes), __NV_E4M3);
  return uint32_t{halves.x} | uint32_t{halves.y} << 16;
}
__device__ __forceinline__ float e2m1_value(uint32_t code) {
  return __uint_as_float((code & 8u) << 28 | (code & 7u) << 22) * 0x1p126f;
}
__device__ __forceinline__ uint32_t e2m1_code(float v) {
  const float a = fabsf(v);
  const uint32_t index = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) +
                         (a >= 3.5f) + (a > 5.0f);
  return index | (signbit(v) ? 8u : 0u);
}
__device__ __forceinline__ float e8m0_value(uint32_t code) {
  return __uint_as_float(code == 0 ? 0x00400000u : code << 23);
}
/// 1 / e8m0_value(code) for the codes that q8_scale() makes: of values 105 to 247, of an infinity
/// 255.
__device__ __forceinline__ float e8m0_inverse(uint32_t code) {
  return code == 255 ? 0.0f : __uint_as_float((254 - code) << 23);
}
/// Code of the smallest power of two >= t > 0.
__device__ __forceinline__ uint32_t e8m0_ceil(float t) {
  const uint32_t bits = __float_as_uint(t);
  return ((bits >> 23) & 255u) + ((bits & 0x7fffffu) != 0);
}
__device__ __forceinline__ uint32_t q8_scale(float largest) {
  return e8m0_ceil(fmaxf(largest, 1e-4f) * (1.0f / 448.0f));
}
__device__ __forceinline__ uint32_t q4_scale(float largest) {
  return e8m0_ceil(fmaxf(largest, 6 * 0x1p-126f) * (1.0f / 6.0f));
}

/// W[first_row + row][k], scales folded in.
__device__ __forceinline__ float weight_at(const PlainMatrix& w, int64_t row, int64_t k) {
  row += w.first_row;
  const uint8_t* data = w.data + row * w.row_bytes;
  switch (w.format) {
    case PlainMatrix::kFp4:
      return e2m1_value(data[k / 2] >> (k % 2 * 4) & 15) *
             e8m0_value(w.scales[row * w.scale_cols + k / 32]);
    case PlainMatrix::kFp8:
      return e4m3_value(data[k]) * e8m0_value(w.scales[row / 128 * w.scale_cols + k / 128]);
    case PlainMatrix::kBf16:
      return get(reinterpret_cast<const Bf16*>(data)[k]);
    case PlainMatrix::kF32:
      return reinterpret_cast<const float*>(data)[k];
  }
  return 0;
}

/// 1 / sqrt(v) in double precision as the nearest float (all 2^32 of them compared): one step of
/// third order from the approximation, whose square times v and the distance of that from 1 are so
/// exact that only the last operation rounds. A square root and a division take several times as
/// long, in chains that nothing else fills.
__device__ __forceinline__ float inverse_root(float v) {
  float about;
  asm("rsqrt.approx.f32 %0, %1;" : "=f"(about) : "f"(v));
  if (!(about > 0 && about < INFINITY)) return about;  // of 0, infinity, NaN, less than 0
  const double y = about;
  const double e = fma(-(static_cast<double>(v) * y), y, 1.0);
  return static_cast<float>(fma(y * e, fma(e, 0.375, 0.5), y));
}

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d));
  return v;
}
/// The sum over a block of whole warps, the same in every thread. Ends with the block in step.
__device__ __forceinline__ float block_sum(float v) {
  __shared__ float parts[32];
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  const unsigned lane = threadIdx.x % 32;
  const float sum = warp_sum(lane < blockDim.x / 32 ? parts[lane] : 0.0f);
  __syncthreads();
  return sum;
}

/// Sum of bf(x^2) and so on: the gainless norm of a query head in BF16 arithmetic needs this scale.
template <class V>
__device__ __forceinline__ float head_scale(float sum_of_squares, int64_t dim, float eps) {
  const float mean = rounded<V>(sum_of_squares / static_cast<float>(dim));
  return rounded<V>(inverse_root(rounded<V>(mean + eps)));
}

/// One pair turned by an angle, as the CPU computes it.
template <class V>
__device__ __forceinline__ void rotate_pair(float& a, float& b, float c, float s) {
  const float re = fmaf(-b, s, a * c);
  const float im = fmaf(a, s, b * c);
  a = rounded<V>(re);
  b = rounded<V>(im);
}

/// The segment that a view row belongs to, and its position there.
struct Place {
  int segment;
  int64_t position;
};
__device__ __forceinline__ int64_t first_of(const Places& places, int segment) {
  const int64_t* origin = places.origin[segment];
  return places.first[segment] + (origin ? *origin : 0);
}
__device__ __forceinline__ Place place_of(const Places& places, int row) {
  int s = 0;
  while (s + 1 < places.count && row >= places.row[s + 1]) ++s;
  return {s, first_of(places, s) + (row - places.row[s])};
}

inline unsigned blocks_for(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

/// Calls run(V()) with the type of values.
template <class Run>
void with_values(const Launch& at, const Run& run) {
  if (at.strict) {
    run(Bf16());
  } else {
    run(float());
  }
}

}  // namespace ds4::ops::cuda
