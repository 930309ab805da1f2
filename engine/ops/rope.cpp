#include "engine/ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ds4::ops {
namespace {

// The pair index whose wave makes `rotations` turns over the original context.
double pair_of(double rotations, int rope_dim, double theta, const weights::Yarn& yarn) {
  const double context = static_cast<double>(yarn.original_context);
  return rope_dim * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

}  // namespace

std::vector<float> rope_frequencies(int rope_dim, double theta, const weights::Yarn* yarn) {
  double low = 0;
  double high = 0;
  if (yarn) {
    low = std::max(std::floor(pair_of(yarn->beta_fast, rope_dim, theta, *yarn)), 0.0);
    high = std::min(std::ceil(pair_of(yarn->beta_slow, rope_dim, theta, *yarn)), rope_dim - 1.0);
  }
  std::vector<float> frequencies(static_cast<size_t>(rope_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    double f = std::pow(theta, -2.0 * static_cast<double>(i) / rope_dim);
    if (yarn) {
      const double span = std::max(high - low, 1e-3);
      const double ramp = std::clamp((static_cast<double>(i) - low) / span, 0.0, 1.0);
      f = f / yarn->factor * ramp + f * (1 - ramp);
    }
    frequencies[i] = static_cast<float>(f);
  }
  return frequencies;
}

}  // namespace ds4::ops
