#include "reports/load/percentile.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"

namespace ds4::reports {

double percentile_linear(std::vector<double> values, double share) {
  DS4_CHECK(!values.empty() && share >= 0 && share <= 1);
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  if (below + 1 == values.size()) return values.back();
  return std::lerp(values[below], values[below + 1], place - static_cast<double>(below));
}

double percentile_inverse(std::span<const double> values, std::span<const double> weights,
                          double share) {
  DS4_CHECK(!values.empty() && (weights.empty() || weights.size() == values.size()));
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  const auto weight = [&](size_t i) { return weights.empty() ? 1 : weights[i]; };
  double total = 0;
  for (const size_t i : order) total += weight(i);
  double sum = 0;
  for (const size_t i : order) {
    sum += weight(i);
    if (sum >= share * total && weight(i) > 0) return values[i];
  }
  return values[order.back()];  // rounding
}

}  // namespace ds4::reports
