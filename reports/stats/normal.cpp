#include "reports/stats/normal.h"

#include <cmath>

#include "engine/base/check.h"

namespace ds4::reports {

double normal_upper_tail(double z) {
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

namespace {

// Of p at least a half.
double upper_quantile(double p) {
  // Bisection of the upper tail: no table of coefficients to trust, and fast enough for a report.
  double lo = 0, hi = 40;
  while (true) {
    const double middle = lo + (hi - lo) / 2;
    if (middle <= lo || middle >= hi) return middle;
    (normal_upper_tail(middle) > 1 - p ? lo : hi) = middle;
  }
}

}  // namespace

double normal_quantile(double p) {
  DS4_CHECK(p > 0 && p < 1);
  if (p < 0.5) return -normal_quantile(1 - p);
  // Every interval asks, nearly always for the same p.
  thread_local double last = 0.5, quantile = upper_quantile(last);
  if (p != last) {
    quantile = upper_quantile(p);
    last = p;
  }
  return quantile;
}

}  // namespace ds4::reports
