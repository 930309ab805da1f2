// Four activations at a time into the order in which mma fragments take them, quantised to E4M3
// under one power-of-two scale per 128 where the product wants that.
#pragma once

#include <cuda_fp16.h>

#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {

template <Arrange kind>
inline constexpr int kArrangedBytes = arranged_bytes(kind);
template <Feed feed>
inline constexpr Arrange kArrangeOf = arrange_of(feed);

/// One hidden value of a gated expert.
__device__ __forceinline__ float gated_value(float gate, float up, float limit, float weight) {
  const float g = fminf(gate, limit);
  const float u = fmaxf(fminf(up, limit), -limit);
  // e^-|g| cannot overflow.
  const float e = expf(-fabsf(g));
  const float silu = (g < 0 ? g * e : g) / (1.0f + e);
  return weight * (silu * u);
}
__device__ __forceinline__ float row_weight(const Input& in, int64_t row) {
  return in.weights ? in.weights[row] : 1.0f;
}

__device__ __forceinline__ void four_values(const uint2& bits, float (&v)[4]) {
  v[0] = __uint_as_float(bits.x << 16);
  v[1] = __uint_as_float(bits.x & 0xffff0000u);
  v[2] = __uint_as_float(bits.y << 16);
  v[3] = __uint_as_float(bits.y & 0xffff0000u);
}
__device__ __forceinline__ void load_values(const Bf16* from, float (&v)[4]) {
  four_values(*reinterpret_cast<const uint2*>(from), v);
}
/// The same past L1.
__device__ __forceinline__ void load_values_late(const Bf16* from, float (&v)[4]) {
  four_values(__ldcg(reinterpret_cast<const uint2*>(from)), v);
}
/// Values k..k+3 (k a multiple of 4) of a row of `cols` values.
__device__ __forceinline__ void input_values(const Input& in, int64_t cols, int64_t row, int64_t k,
                                             float (&v)[4]) {
  const auto* values = static_cast<const Bf16*>(in.values);
  if (!in.gated) return load_values(values + row * cols + k, v);
  float up[4];
  load_values(values + 2 * row * cols + k, v);
  load_values(values + (2 * row + 1) * cols + k, up);
  const float weight = row_weight(in, row);
#pragma unroll
  for (int i = 0; i < 4; ++i) v[i] = rounded<Bf16>(gated_value(v[i], up[i], in.limit, weight));
}

/// Where the elements a lane writes begin: element p (0..31) of the fragment lanes 4g + t of a
/// group of 128; a lane of arrange_four() has four consecutive ones.
struct FragmentPlace {
  int t, p;
};
template <Arrange kind>
__device__ __forceinline__ FragmentPlace place_in_group(int lane) {
  if constexpr (kind == Arrange::kF16Words || kind == Arrange::kBf16)
    return {lane % 8 / 2, lane / 8 * 8 + lane % 2 * 4};
  return {lane % 16 / 4, lane / 16 * 16 + lane % 4 * 4};
}

/// The E4M3 codes of a warp's values 4 * lane .. + 3 of a group of 128, the first in the low byte,
/// and their scale.
__device__ __forceinline__ float quantise_four(const float (&v)[4], uint32_t& codes) {
  const float largest = fmaxf(fmaxf(fabsf(v[0]), fabsf(v[1])), fmaxf(fabsf(v[2]), fabsf(v[3])));
  const uint32_t scale = q8_scale(warp_max(largest));
  const float factor = e8m0_inverse(scale);
  codes = e4m3_codes(v[0] * factor, v[1] * factor) | e4m3_codes(v[2] * factor, v[3] * factor) << 16;
  return e8m0_value(scale);
}

/// Codes as the elements that belong to the lane's place.
template <Arrange kind>
__device__ __forceinline__ uint2 code_elements(int lane, uint32_t codes) {
  if constexpr (kind == Arrange::kE4m3) return {codes, 0};
  uint32_t order;  // of two pairs, the first in the low half
  if constexpr (kind == Arrange::kF16) {
    order = __byte_perm(codes, 0, 0x3120);
  } else {
    // Of eight values the even lane stores 0, 4, 1, 5 and the odd one 2, 6, 3, 7.
    const uint32_t other = __shfl_xor_sync(0xffffffffu, codes, 1);
    order = __byte_perm(codes, other, lane % 2 ? 0x3726 : 0x5140);
  }
  return {e4m3_halves(order & 0xffffu), e4m3_halves(order >> 16)};
}

/// A warp has the values 4 * lane .. + 3 of a group of 128; each lane gets the four elements that
/// belong to its place, as they are stored. Returns the scale, 1 for BF16.
template <Arrange kind>
__device__ __forceinline__ float arrange_four(int lane, const float (&v)[4], uint2& elements) {
  if constexpr (kind == Arrange::kBf16) {
    const auto pair = [&](float low, float high) {
      return __float_as_uint(low) >> 16 | (__float_as_uint(high) & 0xffff0000u);
    };
    elements = {pair(v[0], v[1]), pair(v[2], v[3])};  // exact: they were BF16
    return 1.0f;
  } else if constexpr (kind == Arrange::kBf16Wide) {
    const auto wide = [&](int low, int high) {
      const __nv_bfloat162 b = __floats2bfloat162_rn(v[low] * 0x1p60f, v[high] * 0x1p60f);
      return reinterpret_cast<const uint32_t&>(b);
    };
    // Bytes 0, 2, 1, 3 of each weight word come out of the bit moves in this order.
    elements = {wide(0, 2), wide(1, 3)};
    return 1.0f;
  } else {
    uint32_t codes;
    const float scale = quantise_four(v, codes);
    elements = code_elements<kind>(lane, codes);
    return scale;
  }
}

/// Stores them in group `group` of arranged rows whose lanes lie one behind the other.
template <Arrange kind>
__device__ __forceinline__ void store_arranged(int lane, const uint2& elements, int64_t group,
                                               void* out) {
  const FragmentPlace place = place_in_group<kind>(lane);
  auto* to = static_cast<unsigned char*>(out) +
             (group * 128 + place.t * 32 + place.p) * kArrangedBytes<kind>;
  if constexpr (kind == Arrange::kE4m3) {
    *reinterpret_cast<uint32_t*>(to) = elements.x;
  } else {
    *reinterpret_cast<uint2*>(to) = elements;
  }
}

/// Group `group` of rows in the order that is wanted and as plain codes, from a warp's values
/// 4 * lane .. + 3.
inline __device__ void arrange_inputs(const ArrangedInputs& to, int lane, const float (&v)[4],
                                      int64_t group) {
  uint32_t codes;
  const float scale = quantise_four(v, codes);
  if (to.fp8 == Arrange::kE4m3) {
    const uint2 elements = code_elements<Arrange::kE4m3>(lane, codes);
    store_arranged<Arrange::kE4m3>(lane, elements, group, to.ordered);
  } else {
    const uint2 elements = code_elements<Arrange::kF16>(lane, codes);
    store_arranged<Arrange::kF16>(lane, elements, group, to.ordered);
  }
  to.codes[group * 32 + lane] = codes;
  if (lane == 0) to.scales[group] = scale;
}

}  // namespace ds4::ops::cuda
