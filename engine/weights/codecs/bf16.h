// BF16: the upper half of a float. Exact widening and round-to-nearest-even narrowing.
#pragma once

#include <bit>
#include <cstdint>

namespace ds4::weights {

constexpr float bf16_decode(uint16_t code) {
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 16);
}

/// Nearest BF16, ties to even; overflow becomes infinity; a NaN stays a (quiet) NaN with its sign.
constexpr uint16_t bf16_encode(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x0040);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/// bf(x) of model.md: the nearest BF16 value as a float.
constexpr float bf16_round(float x) {
  return bf16_decode(bf16_encode(x));
}

}  // namespace ds4::weights
