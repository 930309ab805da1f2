#include "reports/stats/power.h"

#include <cmath>
#include <numbers>

#include "engine/base/check.h"
#include "reports/stats/normal.h"

namespace ds4::reports {
namespace {

// Sum of squared distances of the logarithms from their mean; nothing unless all are finite.
std::optional<double> squares_of_logs(std::span<const double> values) {
  double mean = 0, squares = 0, n = 0;
  for (const double value : values) {
    if (!(value > 0)) return std::nullopt;
    const double distance = std::log(value) - mean;
    mean += distance / ++n;  // Welford's update
    squares += distance * (std::log(value) - mean);
  }
  return squares;
}

}  // namespace

std::optional<double> smallest_detectable_difference(int64_t n, double differing, double alpha,
                                                     double power) {
  DS4_CHECK(n > 0 && differing >= 0 && differing <= 1 && power > 0.5 && power < 1);
  const double count = static_cast<double>(n);
  const double za = normal_quantile(1 - alpha / 2), zb = normal_quantile(power);
  // x sqrt(n) = za sqrt(d) + zb sqrt(d - x^2), squared: the larger root of a quadratic in x.
  const double a2 = za * za * differing, b2 = zb * zb;
  const double root = std::sqrt(std::max(0.0, a2 * count - (count + b2) * (a2 - b2 * differing)));
  const double x = (std::sqrt(a2 * count) + root) / (count + b2);
  if (x <= differing && differing > 0) return x;
  // All that differ differ one way, d = x: sqrt(x n) = za + zb sqrt(1 - x) has one root.
  if (std::sqrt(count) < za) return std::nullopt;
  double lo = 0, hi = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (lo + hi) / 2;
    (std::sqrt(middle * count) < za + zb * std::sqrt(1 - middle) ? lo : hi) = middle;
  }
  return hi;
}

std::optional<double> smallest_detectable_change(std::span<const double> base,
                                                 std::span<const double> now, double alpha,
                                                 double power) {
  if (base.size() < 2 || now.size() < 2) return std::nullopt;
  const auto before = squares_of_logs(base), after = squares_of_logs(now);
  if (!before || !after) return std::nullopt;
  const double n = static_cast<double>(base.size()), m = static_cast<double>(now.size());
  const double variance = (*before + *after) / (n + m - 2);
  const double z = normal_quantile(1 - alpha / 2) + normal_quantile(power);
  return std::expm1(z * std::sqrt(variance * std::numbers::pi / 3 * (1 / n + 1 / m)));
}

}  // namespace ds4::reports
