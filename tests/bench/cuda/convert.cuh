// Weight codes to f16/bf16 in registers, the ways that the engine does not take; its own are in
// engine/ops/cuda/mma_feeds.cuh. The bit moves leave a power-of-two factor (k...Bias) that the
// caller puts into the scale; they are exact for every finite code, subnormals included. E4M3's NaN
// code is not handled: checkpoints with it are refused at load.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "engine/ops/cuda/mma_feeds.cuh"
#include "gemv.hpp"

namespace ds4::bench {

namespace cuda = ops::cuda;
using cuda::e8m0_float;
using cuda::fp8_bits_bf16;
using cuda::fp8_bits_f16;
using cuda::GroupScales;
using cuda::kFp4F16Bias;
using cuda::kFp8Bf16Bias;
using cuda::kFp8F16Bias;
using cuda::load_once;
using cuda::mma_bf16;
using cuda::mma_e4m3;
using cuda::mma_f16;
using cuda::Pair;
using cuda::word;

inline constexpr float kFp4E4m3Bias = 64.0f;  // 2^6: E2M1 exponent bias 1 under 7
inline constexpr float kBf16XBias = 0x1p60f;  // of the 2^120 that E4M3 as bf16 is short of
inline constexpr int kFp4Bf16BiasExponent =
    126;  // bias 1 under 127, folded into the scale's exponent

// Bytes (0, 1) and (2, 3) as f16 pairs, exact, by the conversion instruction (bit moves before
// sm_89).
__device__ __forceinline__ Pair fp8_cvt_f16(std::uint32_t w) {
  Pair p;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %2; cvt.rn.f16x2.e4m3x2 %0, lo; "
      "cvt.rn.f16x2.e4m3x2 %1, hi; }"
      : "=r"(p.a), "=r"(p.b)
      : "r"(w));
#else
  const Pair even_odd = fp8_bits_f16(w);
  const __half2 bias = __float2half2_rn(kFp8F16Bias);
  const std::uint32_t lo = __byte_perm(even_odd.a, even_odd.b, 0x5410);
  const std::uint32_t hi = __byte_perm(even_odd.a, even_odd.b, 0x7632);
  const __half2 a = __hmul2(reinterpret_cast<const __half2&>(lo), bias);
  const __half2 b = __hmul2(reinterpret_cast<const __half2&>(hi), bias);
  p.a = reinterpret_cast<const std::uint32_t&>(a);
  p.b = reinterpret_cast<const std::uint32_t&>(b);
#endif
  return p;
}

__device__ __forceinline__ float2 f16_floats(std::uint32_t h) {
  return __half22float2(reinterpret_cast<const __half2&>(h));
}

__device__ __forceinline__ float2 bf16_floats(std::uint32_t b) {
  return make_float2(__uint_as_float(b << 16), __uint_as_float(b & 0xffff0000u));
}

__device__ __forceinline__ std::uint32_t bf16_pack(float2 f) {
  const __nv_bfloat162 b = __floats2bfloat162_rn(f.x, f.y);
  return reinterpret_cast<const std::uint32_t&>(b);
}

// Left by `bits`, right where negative.
template <int bits>
__device__ __forceinline__ std::uint32_t move(std::uint32_t w) {
  if constexpr (bits >= 0) {
    return w << bits;
  } else {
    return w >> -bits;
  }
}

// Codes (i, i + 4) of w, i in 0..3, as an f16 pair short of kFp4F16Bias. Code i is bits 4i..4i+3.
template <int i>
__device__ __forceinline__ std::uint32_t fp4_bits_f16(std::uint32_t w) {
  const std::uint32_t rest = move<9 - 4 * i>(w);
  return (move<12 - 4 * i>(w) & 0x80008000u) | (rest & 0x0e000e00u);
}

// The same as bf16 from plain words, short of 2^126.
template <int i>
__device__ __forceinline__ std::uint32_t fp4_bits_bf16(std::uint32_t w) {
  const std::uint32_t rest = move<6 - 4 * i>(w);
  return (move<12 - 4 * i>(w) & 0x80008000u) | (rest & 0x01c001c0u);
}

// Odd codes (1, 3, 5, 7) and even codes (0, 2, 4, 6) as four E4M3 bytes each, short of
// kFp4E4m3Bias.
__device__ __forceinline__ Pair fp4_bits_e4m3(std::uint32_t w) {
  return {(w & 0x80808080u) | ((w >> 2) & 0x1c1c1c1cu),
          ((w << 4) & 0x80808080u) | ((w << 2) & 0x1c1c1c1cu)};
}

// What block row `j` of the grid multiplies.
struct Work {
  int matrix, n_cols;
};

__device__ __forceinline__ Work work_of(const Args& a, int j) {
  if (a.jobs == nullptr) return {a.first_matrix + j, a.n_cols};
  return {a.jobs[j].matrix, a.jobs[j].n_cols};
}

__device__ __forceinline__ int x_row_of(const Args& a, int j, int col) {
  return a.jobs == nullptr ? col * a.n_jobs + j : a.jobs[j].x_row[col];
}

__device__ __forceinline__ int out_row_of(const Args& a, int j, int col) {
  return a.jobs == nullptr ? col * a.n_jobs + j : a.jobs[j].out_row[col];
}

}  // namespace ds4::bench
