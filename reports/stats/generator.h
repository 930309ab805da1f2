// Random numbers of the resampling: a function of a fixed seed alone, the same with every library,
// so that the same rows give the same interval.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ds4::reports {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the i-th number is a function of the seed and i.
/// The standard library's distributions differ between implementations; the interval must not.
class Generator {
 public:
  /// Uniform in [0, n); the bias of the multiplication is below n / 2^32.
  size_t below(size_t n) { return static_cast<size_t>(((next() >> 32) * n) >> 32); }

  /// Standard normal (G. E. P. Box, M. E. Muller, Ann. Math. Statist. 29, 1958), one of two.
  double normal() {
    constexpr double kTurn = 6.283185307179586;
    const double radius = std::sqrt(-2 * std::log1p(-uniform()));
    return radius * std::cos(kTurn * uniform());
  }

 private:
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  uint64_t next() {
    constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
    uint64_t z = kStep + ++count_ * kStep;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t count_ = 0;
};

}  // namespace ds4::reports
