#include "reports/stats/student.h"

#include <cmath>
#include <limits>

#include "engine/base/check.h"

namespace ds4::reports {
namespace {

// The continued fraction of the incomplete beta function (NIST Digital Library of Mathematical
// Functions, 8.17.22), by the modified Lentz method (W. J. Lentz, Appl. Opt. 15, 1976, 668-671).
double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  constexpr double kEnough = 4 * std::numeric_limits<double>::epsilon();
  constexpr int kMaxTerms = 10000;
  const auto not_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int i = 1; i < kMaxTerms; ++i) {
    const double m = i;
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 / not_zero(1 + term * d);
      c = not_zero(1 + term / c);
      fraction *= c * d;
    }
    if (std::abs(c * d - 1) < kEnough) break;
  }
  return fraction;
}

// The regularised incomplete beta function, 0 <= x <= 1.
double incomplete_beta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on one side of the mean only; the other is its complement.
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(1 - x, b, a);
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  return front * beta_fraction(x, a, b) / a;
}

}  // namespace

double student_two_sided(double t, double degrees) {
  DS4_CHECK(degrees > 0);
  return incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

double student_quantile(double alpha, double degrees) {
  DS4_CHECK(alpha > 0 && alpha < 1);
  double low = 0, high = 1;
  while (student_two_sided(high, degrees) > alpha) {
    low = high;
    high *= 2;
  }
  constexpr int kHalvings = 200;  // to the last digits of a double
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = low + (high - low) / 2;
    (student_two_sided(middle, degrees) > alpha ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

}  // namespace ds4::reports
