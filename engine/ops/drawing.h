// The arithmetic of a draw (sampling.h says what it is for), one text for host and device. Every
// operation is rounded by itself: files that include this are compiled without contraction
// (CMakeLists.txt).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define DS4_HOST_DEVICE __host__ __device__
#else
#define DS4_HOST_DEVICE
#endif

namespace ds4::ops {

/// e^x for x <= 0 within 2 ulp, by one sequence of IEEE operations: k = floor(x log2(e) + 1/2),
/// r = (x - k ln2_high) - k ln2_low, Taylor's polynomial of degree 13 in r by Horner's rule, times
/// 2^k. 0 below -708, for -inf and NaN.
DS4_HOST_DEVICE inline double exp_of_negative(double x) {
  constexpr double kLog2e = 0x1.71547652b82fep+0;
  constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits: k * kLn2High is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kInverseFactorials[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800};
  if (!(x >= -708)) return 0;
  const double k = std::floor(x * kLog2e + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double p = kInverseFactorials[13];
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
  for (int n = 12; n >= 0; --n) p = p * r + kInverseFactorials[n];
  const uint64_t bits = static_cast<uint64_t>(1023 + static_cast<int64_t>(k)) << 52;
  double power = 0;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

/// Weights are whole multiples of 2^-40 of the largest token's, so that their sums are exact and
/// the same in any order.
inline constexpr int kWeightBits = 40;
inline constexpr uint64_t kFullWeight = uint64_t{1} << kWeightBits;

/// The weight of a token at z, `top` being the largest z (> -inf).
DS4_HOST_DEVICE inline uint64_t weight_of(double z, double top, double temperature) {
  if (z == top) return kFullWeight;
  // Through a signed integer, which processors convert to in one instruction.
  return static_cast<uint64_t>(static_cast<int64_t>(exp_of_negative((z - top) / temperature) *
                                                    static_cast<double>(kFullWeight)));
}

/// The sum that the tokens kept by top_p must reach.
DS4_HOST_DEVICE inline uint64_t share_of(uint64_t total, double top_p) {
  const double share = std::ceil(top_p * static_cast<double>(total));
  return share < static_cast<double>(total) ? static_cast<uint64_t>(share) : total;
}

/// The upper 64 bits of a * b.
DS4_HOST_DEVICE inline uint64_t high_product(uint64_t a, uint64_t b) {
  const uint64_t a0 = static_cast<uint32_t>(a);
  const uint64_t a1 = a >> 32;
  const uint64_t b0 = static_cast<uint32_t>(b);
  const uint64_t b1 = b >> 32;
  const uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
  const uint64_t other = a0 * b1 + static_cast<uint32_t>(middle);
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

/// What changes one token's logit before a draw.
struct TokenChange {
  int32_t token = 0;
  int32_t first_bias = 0;  // in the list of biases
  int32_t n_biases = 0;
  int32_t seen = 0;   // whether it occurs in prompt or answer
  int32_t count = 0;  // how often it occurs in the answer
};
struct Penalties {
  double repetition = 1;
  double frequency = 0;
  double presence = 0;
};

/// Steps 2-4 of a draw for the token that `change` names.
DS4_HOST_DEVICE inline double changed(double z, const TokenChange& change, const float* biases,
                                      const Penalties& penalties) {
  for (int32_t i = 0; i < change.n_biases; ++i) z += biases[change.first_bias + i];
  if (change.seen) z = z > 0 ? z / penalties.repetition : z * penalties.repetition;
  if (change.count) z = (z - penalties.frequency * change.count) - penalties.presence;
  return z;
}

}  // namespace ds4::ops
