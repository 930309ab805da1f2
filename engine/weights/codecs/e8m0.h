// F8_E8M0, the power-of-two scale: byte b is 2^(b-127), 255 is NaN. Always handled as uint8_t: a
// numeric copy through another 8-bit float would turn the bytes into zeros.
#pragma once

#include <bit>
#include <cstdint>

namespace ds4::weights {

inline constexpr uint8_t kE8m0Nan = 255;

/// 2^(code-127) exactly (code 0 is the float subnormal 2^-127); NaN for 255.
constexpr float e8m0_decode(uint8_t code) {
  if (code == 0) return std::bit_cast<float>(uint32_t{0x00400000});
  if (code == kE8m0Nan) return std::bit_cast<float>(uint32_t{0x7FC00000});
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

/// Code of the smallest power of two >= t for a positive normal float, read from the bits as
/// model.md 3.0 defines it. Beyond 2^127 gives 255.
constexpr uint8_t e8m0_ceil_encode(float t) {
  const uint32_t bits = std::bit_cast<uint32_t>(t);
  return static_cast<uint8_t>(((bits >> 23) & 255) + ((bits & 0x7FFFFF) != 0));
}

}  // namespace ds4::weights
