#include "reports/stats/order_statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ds4::reports {

std::optional<Interval> median_order_interval(std::span<const double> values, double alpha) {
  const size_t n = values.size();
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  // The k-th value and the k-th from the end miss the median with 2 P(Binomial(n, 1/2) < k).
  std::optional<Interval> narrowest;
  double term = std::pow(0.5, static_cast<double>(n)), below = 0;
  for (size_t k = 1; 2 * k <= n; ++k) {
    below += term;
    if (2 * below > alpha) break;
    narrowest = Interval{sorted[k - 1], sorted[n - k]};
    term *= static_cast<double>(n - k + 1) / static_cast<double>(k);
  }
  return narrowest;
}

}  // namespace ds4::reports
