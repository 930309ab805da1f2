// What the kernels of the indexer's scores share: keys from their rows, and the arithmetic of a
// head's share in a score.
#pragma once

#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {

inline __device__ int64_t visible(const Selection& s, int row) {
  return (place_of(s.places, row).position + 1) / s.ratio;
}

inline __device__ float head_weight(const Selection& s, int row, int head) {
  if (head >= s.heads) return 0;
  return rounded<Bf16>(get(static_cast<const Bf16*>(s.projected)[int64_t{row} * s.heads + head]) *
                       s.scale);
}

// Values d..d+7 of key `index` as they are stored, and then as BF16; zeros from `most` on.
struct StoredKey {
  uint32_t codes, scale;
};
/// `early`: in front of wait_for_inputs(), when L1 may still have what was there before.
template <bool early = false>
inline __device__ StoredKey load_key(const Selection& s, const uint8_t* rows, int64_t index,
                                     int64_t most, int d) {
  // Keys never wrap around: their store has a slot for each.
  const uint8_t* row = rows + (index < most ? index : most - 1) * s.keys.shape.bytes;
  const auto* codes = reinterpret_cast<const uint32_t*>(row + d / 2);
  const uint8_t* scale = row + s.keys.shape.scale_offset + d / kIndexScaleBlock;
  if constexpr (early) return {__ldcg(codes), __ldcg(scale)};
  return {*codes, *scale};
}
inline __device__ uint4 decode_key(const StoredKey& from) {
  __align__(16) Bf16 out[8];
  const float scale = e8m0_value(from.scale);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    out[i] = __float2bfloat16_rn(e2m1_value(from.codes >> (4 * i) & 15u) * scale);
  }
  return *reinterpret_cast<const uint4*>(out);
}

// (max(bf(low), 0), max(bf(high), 0)).
__device__ __forceinline__ __nv_bfloat162 rounded_positive(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return reinterpret_cast<const __nv_bfloat162&>(pair);
}

/// Adds the shares of two heads to a score: bf(max(bf(dot), 0) * weight) each, in order.
__device__ __forceinline__ void add_heads(float low, float high, __nv_bfloat162 weights,
                                          float& sum) {
  const __nv_bfloat162 weighed = __hmul2_rn(rounded_positive(low, high), weights);
  const auto bits = reinterpret_cast<const uint32_t&>(weighed);
  sum += __uint_as_float(bits << 16);
  sum += __uint_as_float(bits & 0xffff0000u);
}

// Larger scores are larger keys; both zeros are one.
__device__ __forceinline__ uint32_t order_of(float v) {
  const uint32_t bits = __float_as_uint(v + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
// Of a 16-bit score: 16 bits.
__device__ __forceinline__ uint32_t order_of(Bf16 v) {
  return order_of(get(v)) >> 16;
}

/// The selection of few queries in the reference precision (select_held.cu), and whether it can
/// hold the scores.
bool selects_held(const Launch& at, const Selection& selection);
void select_held(const Launch& at, const Selection& selection);

/// Scores of all keys by warp groups; see select_rows().
void group_scores(const Launch& at, const Selection& selection, int most_rows);

}  // namespace ds4::ops::cuda
