// E2M1, the 4-bit element of MXFP4: bit 3 sign, bits 2..0 an index into eight magnitudes; 8 is -0.
// Exact scalar conversions; nibble order and block scales belong to decode.h.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace ds4::weights {

inline constexpr float kE2m1Max = 6.0f;

inline constexpr std::array<float, 16> kE2m1Table = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,
                                                     4.0f,  6.0f,  -0.0f, -0.5f, -1.0f, -1.5f,
                                                     -2.0f, -3.0f, -4.0f, -6.0f};

/// Value of the low four bits of `code`.
inline float e2m1_decode(uint8_t code) {
  return kE2m1Table[code & 15];
}

/// Nearest code 0..15, ties to the even code (0.25 -> 0, 0.75 -> 1.0, 5 -> 4); beyond 6 saturates.
/// The format has no NaN: a NaN becomes a zero with its sign.
inline uint8_t e2m1_encode(float x) {
  const float a = std::fabs(x);
  const int index = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) +
                    (a >= 3.5f) + (a > 5.0f);
  return static_cast<uint8_t>(index | (std::signbit(x) ? 8 : 0));
}

}  // namespace ds4::weights
