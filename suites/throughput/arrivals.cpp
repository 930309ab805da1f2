#include "suites/throughput/arrivals.h"

#include <cmath>
#include <numbers>

#include "suites/common/rng.h"

namespace ds4::suites {
namespace {

// In (0, 1): never 0, whose logarithm is needed.
double uniform(Rng& rng) {
  return (static_cast<double>(rng.next() >> 11) + 0.5) * 0x1p-53;
}

double standard_normal(Rng& rng) {  // Box and Muller; the second value is thrown away
  const double radius = std::sqrt(-2 * std::log(uniform(rng)));
  return radius * std::cos(2 * std::numbers::pi * uniform(rng));
}

// G. Marsaglia, W. W. Tsang, ACM Trans. Math. Softw. 26, 2000, 363-372; below shape 1 their
// section 6. Scale 1.
double gamma(Rng& rng, double shape) {
  if (shape < 1) {
    const double boosted = gamma(rng, shape + 1);
    return boosted * std::pow(uniform(rng), 1 / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = standard_normal(rng);
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(uniform(rng)) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

std::vector<double> arrivals(uint64_t seed, int64_t n, double rate, double burstiness) {
  Rng rng(seed);
  std::vector<double> moments;
  double at = 0;
  for (int64_t i = 0; i < n; ++i) moments.push_back(at += gamma(rng, burstiness));
  for (double& moment : moments) moment *= static_cast<double>(n) / rate / at;
  return moments;
}

}  // namespace ds4::suites
