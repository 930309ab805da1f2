#include "reports/stats/stats.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/check.h"

namespace ds4::reports {
namespace {

constexpr double kZ95 = 1.959963984540054;  // 97.5th percentile of the normal distribution
constexpr size_t kResamples = 2000;         // percentiles stable to about the 50 nearest of them
constexpr uint64_t kSeed = 0x9e3779b97f4a7c15;

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). The standard library's distributions differ between
// implementations; the interval must not.
class Generator {
 public:
  explicit Generator(uint64_t seed) : state_(seed) {}
  // Uniform in [0, n); the bias of the multiplication is below n / 2^32.
  size_t below(size_t n) { return static_cast<size_t>(((next() >> 32) * n) >> 32); }

 private:
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// Reorders `values`, which must not be empty.
double median_in_place(std::vector<double>& values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle),
                   values.end());
  const double upper = values[middle];
  if (values.size() % 2 == 1) return upper;
  const double lower =
      *std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle));
  return lower + (upper - lower) / 2;
}

}  // namespace

std::optional<double> median(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  std::vector<double> copy(values.begin(), values.end());
  return median_in_place(copy);
}

std::optional<Interval> wilson_interval(double total, int64_t n) {
  if (n == 0) return std::nullopt;
  DS4_CHECK(n > 0 && total >= 0 && total <= static_cast<double>(n) * (1 + 1e-12));
  const double count = static_cast<double>(n);
  const double p = std::min(1.0, total / count);
  const double z2 = kZ95 * kZ95;
  const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  const double half =
      kZ95 / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return Interval{std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::optional<Interval> bootstrap_median_interval(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  // Sorted first: the interval must not depend on the order in which the values were measured.
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  Generator generator(kSeed);
  std::vector<double> medians(kResamples), resample(sorted.size());
  for (double& m : medians) {
    for (double& value : resample) value = sorted[generator.below(sorted.size())];
    m = median_in_place(resample);
  }
  std::sort(medians.begin(), medians.end());
  constexpr size_t kTail = kResamples / 40;  // 2.5 %
  return Interval{medians[kTail], medians[kResamples - 1 - kTail]};
}

Interval paired_difference_interval(double sum, double sum_of_squares, int64_t n) {
  DS4_CHECK(n > 0 && std::abs(sum) <= static_cast<double>(n) * (1 + 1e-12));
  // Half a case in each of both right, both wrong, lost and gained: two cases, whose differences
  // 0, 0, -1/2 and +1/2 add nothing to the sum and 1 to the squares.
  const double count = static_cast<double>(n) + 2;
  const double centre = sum / count;
  const double variance = (sum_of_squares + 1) / count - centre * centre;
  const double half = kZ95 * std::sqrt(std::max(0.0, variance) / count);
  return {std::max(-1.0, centre - half), std::min(1.0, centre + half)};
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
