// F8_E4M3 (the "fn" variant): s eeee mmm, bias 7, no infinity, 0x7F and 0xFF are NaN, largest 448.
// Exact scalar conversions; block scales are the caller's business (decode.h).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace ds4::weights {

inline constexpr float kE4m3Max = 448.0f;

/// Value of a code from its definition; the table below is the fast way.
constexpr float e4m3_value(uint8_t code) {
  const int exponent = (code >> 3) & 15;
  const int mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) {
    return std::bit_cast<float>((code & 0x80) ? 0xFFC00000u : 0x7FC00000u);
  }
  // Subnormals have step 2^-9; normals are (8 + m) * 2^(e - 10).
  const int steps = exponent == 0 ? mantissa : 8 + mantissa;
  const int power = exponent == 0 ? -9 : exponent - 10;
  const float unit = std::bit_cast<float>(static_cast<uint32_t>(power + 127) << 23);
  return (code & 0x80) ? -(static_cast<float>(steps) * unit) : static_cast<float>(steps) * unit;
}

inline constexpr std::array<float, 256> kE4m3Table = [] {
  std::array<float, 256> table{};
  for (int code = 0; code < 256; ++code) table[code] = e4m3_value(static_cast<uint8_t>(code));
  return table;
}();

inline float e4m3_decode(uint8_t code) {
  return kE4m3Table[code];
}

/// Nearest code, ties to even; beyond 448 saturates, infinity too; NaN gives 0x7F with its sign.
inline uint8_t e4m3_encode(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint8_t sign = static_cast<uint8_t>((bits >> 24) & 0x80);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7F;
  if (magnitude >= std::bit_cast<uint32_t>(kE4m3Max)) return sign | 0x7E;
  if (magnitude < std::bit_cast<uint32_t>(0x1p-6f)) {
    // Adding 2^14 puts the rounding point of float addition at the subnormal step of 2^-9.
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return sign | static_cast<uint8_t>(std::bit_cast<uint32_t>(shifted) & 0xF);
  }
  const uint32_t rounded = magnitude + 0x7FFFF + ((magnitude >> 20) & 1);
  return sign | static_cast<uint8_t>((rounded >> 20) - ((127 - 7) << 3));
}

}  // namespace ds4::weights
