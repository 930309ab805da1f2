#include "reports/stats/stats.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/check.h"
#include "reports/stats/normal.h"

namespace ds4::reports {
double median_in_place(std::span<double> values) {
  DS4_CHECK(!values.empty());
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  const double lower = *std::max_element(values.begin(), middle);
  return lower + (*middle - lower) / 2;
}

std::optional<double> median(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  std::vector<double> copy(values.begin(), values.end());
  return median_in_place(copy);
}

std::optional<Interval> wilson_interval(double total, int64_t n, double alpha) {
  if (n == 0) return std::nullopt;
  DS4_CHECK(n > 0 && total >= 0 && total <= static_cast<double>(n) * (1 + 1e-12));
  const double count = static_cast<double>(n);
  const double p = std::min(1.0, total / count);
  const double z = normal_quantile(1 - alpha / 2);
  const double z2 = z * z;
  const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  const double half =
      z / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return Interval{std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

namespace {

// Centre and standard error of the adjusted Wald interval.
struct PairedMean {
  double centre = 0, error = 0;
};

PairedMean paired_mean(double sum, double sum_of_squares, int64_t n) {
  DS4_CHECK(n > 0 && std::abs(sum) <= static_cast<double>(n) * (1 + 1e-12));
  // Half a case in each of both right, both wrong, lost and gained: two cases, whose differences
  // 0, 0, -1/2 and +1/2 add nothing to the sum and 1 to the squares.
  const double count = static_cast<double>(n) + 2;
  const double centre = sum / count;
  const double variance = (sum_of_squares + 1) / count - centre * centre;
  return {centre, std::sqrt(std::max(0.0, variance) / count)};
}

}  // namespace

Interval paired_difference_interval(double sum, double sum_of_squares, int64_t n, double alpha) {
  const auto [centre, error] = paired_mean(sum, sum_of_squares, n);
  const double half = normal_quantile(1 - alpha / 2) * error;
  return {std::max(-1.0, centre - half), std::min(1.0, centre + half)};
}

double paired_loss_p(double sum, double sum_of_squares, int64_t n, double loss) {
  DS4_CHECK(loss >= 0);
  const auto [centre, error] = paired_mean(sum, sum_of_squares, n);
  if (error == 0) return centre < -loss ? 0 : 1;
  return normal_upper_tail(-(centre + loss) / error);
}

NonInferiority paired_non_inferiority(double sum, double sum_of_squares, int64_t n, double margin,
                                      double alpha) {
  DS4_CHECK(margin >= 0);
  const double lower = paired_difference_interval(sum, sum_of_squares, n, 2 * alpha).lo;
  return {lower, lower > -margin};
}

McNemar mcnemar(int64_t only_first, int64_t only_second) {
  DS4_CHECK(only_first >= 0 && only_second >= 0);
  const int64_t n = only_first + only_second;
  if (n == 0) return {};
  const int64_t least = std::min(only_first, only_second);
  // Binomial(n, 1/2) probabilities by logarithms: n may be thousands.
  const auto probability = [n](int64_t k) {
    const double x = static_cast<double>(k), total = static_cast<double>(n);
    return std::exp(std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) -
                    total * std::log(2.0));
  };
  double tail = 0;
  for (int64_t k = 0; k <= least; ++k) tail += probability(k);
  const double exact = std::min(1.0, 2 * tail);
  return {exact, std::min(1.0, 2 * tail - probability(least))};
}

}  // namespace ds4::reports
