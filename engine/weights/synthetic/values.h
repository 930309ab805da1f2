// The numbers of synthetic weights: element i of a tensor is a pure function of its Recipe and i,
// in integer and exact float arithmetic, so that CPU and GPU, any number of threads and any order
// give the same bytes. Constant expressions only; which tensor has which recipe is layout.h's
// business.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/weights/codecs/bf16.h"

namespace ds4::weights::synthetic {

/// How random bits become an element.
enum class Fill : uint8_t {
  kFp4Pairs,     // a byte of two E2M1 codes, all 16 equally likely; rms 2.926 before the scale
  kFp8,          // E4M3, sign and 32 codes of 2^-2 .. 3.75 equally likely; rms 1.689
  kScale,        // E8M0, 2^exponent or 2^(exponent-1) with equal chances
  kUniformBf16,  // centre + 2^exponent * u, u uniform in [-1, 1) in steps of 2^-15, nearest BF16
  kUniformF32,   // the same in steps of 2^-23, nearest float
  kExpertIds,    // I64 [tokens, chosen]: distinct experts, every expert equally likely
};

/// Everything an element depends on besides its index.
struct Recipe {
  uint64_t key = 0;  // tensor_key(seed, name)
  Fill fill = Fill::kUniformF32;
  int exponent = 0;   // of kScale and kUniform*
  float centre = 0;   // of kUniform*
  int n_experts = 0;  // of kExpertIds
  int n_chosen = 0;   // of kExpertIds: columns of the table
};

/// SplitMix64's output function (Steele, Lea, Flood 2014): a bijection of 64 bits.
constexpr uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// mix(seed * phi + FNV-1a of the tensor's full name), phi = 2^64 / golden ratio, made odd.
constexpr uint64_t tensor_key(uint64_t seed, const char* name, std::size_t length) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (std::size_t i = 0; i < length; ++i) {
    hash = (hash ^ static_cast<unsigned char>(name[i])) * 0x100000001B3u;
  }
  return mix(seed * 0x9E3779B97F4A7C15u + hash);
}

/// Word w of the tensor's random stream; its bytes 8w .. 8w+7, least significant first.
constexpr uint64_t word(uint64_t key, uint64_t w) {
  return mix(key + (w + 1) * 0x9E3779B97F4A7C15u);
}

/// E4M3 code of a random byte: sign from bit 7, codes 0x28 .. 0x47 from bits 0-4.
constexpr uint8_t fp8_code(uint8_t random) {
  return static_cast<uint8_t>((random & 0x9F) + 0x28);
}

/// E8M0 byte of a random byte.
constexpr uint8_t scale_code(uint8_t random, int exponent) {
  return static_cast<uint8_t>(127 + exponent - (random & 1));
}

/// 2^exponent for -126 .. 127; exponents of a Recipe are therefore above -103.
constexpr float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(127 + exponent) << 23);
}

/// BF16 code of two random bytes. The product is exact, so the sum is rounded once to float and
/// once to BF16.
constexpr uint16_t bf16_code(uint16_t random, int exponent, float centre) {
  const auto u = static_cast<float>(static_cast<int16_t>(random));
  return bf16_encode(centre + u * power_of_two(exponent - 15));
}

/// Float of four random bytes; the lowest eight bits are not used.
constexpr float f32_value(uint32_t random, int exponent, float centre) {
  const auto u = static_cast<float>(static_cast<int32_t>(random) >> 8);
  return centre + u * power_of_two(exponent - 23);
}

/// Expert of token `i / n_chosen` in column `i % n_chosen`: a random first expert, the others
/// floor(n_experts / n_chosen) apart, hence distinct.
constexpr int64_t expert_id(uint64_t key, uint64_t i, int n_experts, int n_chosen) {
  const auto experts = static_cast<uint64_t>(n_experts);
  const auto chosen = static_cast<uint64_t>(n_chosen);
  const uint64_t first = ((word(key, i / chosen) >> 32) * experts) >> 32;
  return static_cast<int64_t>((first + i % chosen * (experts / chosen)) % experts);
}

}  // namespace ds4::weights::synthetic
