// Codes of the weight formats to pairs of f16 in registers. Each function says what factor its
// pairs still lack; all are exact. Device code.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace ds4::probes {

__device__ __forceinline__ __half2 as_half2(uint32_t bits) {
  return reinterpret_cast<const __half2&>(bits);
}
__device__ __forceinline__ uint32_t as_bits(__half2 pair) {
  return reinterpret_cast<const uint32_t&>(pair);
}
__device__ __forceinline__ uint32_t times(uint32_t pair, uint32_t factor) {
  return as_bits(__hmul2(as_half2(pair), as_half2(factor)));
}
__device__ __forceinline__ float half_float(uint32_t bits) {
  return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}
/// The same number twice.
__device__ __forceinline__ constexpr uint32_t both(uint32_t half) {
  return half | half << 16;
}
inline constexpr uint32_t kHalf1024 = 0x6400;  // whose last ten bits count ones

/// 2^(code - 127 + shift) as a float.
__device__ __forceinline__ float power_of_two(uint32_t code, int shift) {
  return __uint_as_float((code + shift) << 23);
}

/// Four E4M3 codes of a word, in order.
__device__ __forceinline__ void e4m3_pairs(uint32_t word, uint32_t (&pairs)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %2; cvt.rn.f16x2.e4m3x2 %0, lo; "
      "cvt.rn.f16x2.e4m3x2 %1, hi; }"
      : "=r"(pairs[0]), "=r"(pairs[1])
      : "r"(word));
#else
  // Exponent and mantissa fit f16's fields, short of 2^8.
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint32_t w = __byte_perm(word, 0, i == 0 ? 0x1404 : 0x3424);
    const uint32_t bits = (w & 0x80008000u) | ((w & 0x7F007F00u) >> 1);
    pairs[i] = times(bits, both(0x5C00));
  }
#endif
}

/// Four signed bytes of a word, in order.
__device__ __forceinline__ void int8_pairs(uint32_t word, uint32_t (&pairs)[2]) {
  const uint32_t above = word ^ 0x80808080u;    // 128 more
  const __half2 less = as_half2(both(0x6480));  // 1024 + 128
  pairs[0] = as_bits(__hsub2(as_half2(__byte_perm(above, 0x64646464u, 0x4140)), less));
  pairs[1] = as_bits(__hsub2(as_half2(__byte_perm(above, 0x64646464u, 0x4342)), less));
}

/// Eight E2M1 codes, (i, i + 4) a pair, short of 2^14. Each half of the word holds four codes,
/// their magnitudes at bits 9, 6, 3, 0 and their signs at 15, 12, 13, 14, so that two of four pairs
/// need one move.
__device__ __forceinline__ void e2m1_pairs(uint32_t word, uint32_t (&pairs)[4]) {
  pairs[0] = word & 0x8E008E00u;
  pairs[1] = (word << 3) & 0x8E008E00u;
  pairs[2] = ((word << 2) & 0x80008000u) | ((word << 6) & 0x0E000E00u);
  pairs[3] = ((word << 1) & 0x80008000u) | ((word << 9) & 0x0E000E00u);
}

/// Eight codes of 4 bits less 8, (i, i + 4) a pair.
__device__ __forceinline__ void int4_pairs(uint32_t word, uint32_t (&pairs)[4]) {
  const __half2 less = as_half2(both(0x6408));       // 1024 + 8
  const __half2 sixteenth = as_half2(both(0x2C00));  // 1/16
  const __half2 less_high = as_half2(both(0xD480));  // -(64 + 8)
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const uint32_t low = (word & 0x000F000Fu) | both(kHalf1024);
    const uint32_t high = (word & 0x00F000F0u) | both(kHalf1024);
    pairs[i] = as_bits(__hsub2(as_half2(low), less));
    pairs[i + 1] = as_bits(__hfma2(as_half2(high), sixteenth, less_high));
    word >>= 8;
  }
}

/// Byte `i` of a word (0 to 255) as f16, twice.
__device__ __forceinline__ uint32_t byte_twice(uint32_t word, int i) {
  const uint32_t bits =
      __byte_perm(word, 0x64646464u, 0x4040u | static_cast<uint32_t>(i) * 0x0101u);
  return as_bits(__hsub2(as_half2(bits), as_half2(both(kHalf1024))));
}
/// Bytes (0, 1) and (2, 3) as f16.
__device__ __forceinline__ void byte_pairs(uint32_t word, uint32_t (&pairs)[2]) {
  const __half2 less = as_half2(both(kHalf1024));
  pairs[0] = as_bits(__hsub2(as_half2(__byte_perm(word, 0x64646464u, 0x4140)), less));
  pairs[1] = as_bits(__hsub2(as_half2(__byte_perm(word, 0x64646464u, 0x4342)), less));
}

}  // namespace ds4::probes
