#include "reports/stats/bootstrap.h"

#include <algorithm>
#include <map>
#include <vector>

#include "engine/base/check.h"
#include "reports/stats/generator.h"
#include "reports/stats/middle.h"

namespace ds4::reports {
namespace {

constexpr size_t kResamples = 2000;  // percentiles stable to about the 50 nearest of them

constexpr size_t kKept = 64;  // drawings

// How often a resample has this middle.
struct Counted {
  Middle middle;
  size_t times = 0;
};

// The middles of all resamples of `n` values, each once.
const std::vector<Counted>& middles_of(size_t n) {
  thread_local std::map<size_t, std::vector<Counted>> drawn;
  if (drawn.size() == kKept && !drawn.contains(n)) drawn.clear();
  const auto [place, is_new] = drawn.try_emplace(n);
  if (is_new) {
    Generator generator;
    std::vector<uint32_t> places(n);
    std::map<std::pair<uint32_t, uint32_t>, size_t> times;
    for (size_t i = 0; i < kResamples; ++i) {
      const Middle middle = draw_middle(generator, places);
      ++times[{middle.lower, middle.upper}];
    }
    for (const auto& [middle, n_times] : times) {
      place->second.push_back({{middle.first, middle.second}, n_times});
    }
  }
  return place->second;
}

// Resamples left out on either side.
size_t tail_of(double alpha) {
  DS4_CHECK(alpha > 0 && alpha < 1);
  return static_cast<size_t>(static_cast<double>(kResamples) * alpha / 2);
}

}  // namespace

std::optional<Interval> bootstrap_median_interval(std::span<const double> values, double alpha) {
  if (values.size() < 2) return std::nullopt;
  const size_t tail = tail_of(alpha);
  // Sorted first: the interval must not depend on the order in which the values were measured.
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::pair<double, size_t>> medians;  // and how often
  for (const Counted& counted : middles_of(sorted.size())) {
    medians.emplace_back(median_of(counted.middle, sorted), counted.times);
  }
  std::sort(medians.begin(), medians.end());
  Interval interval;
  size_t n_below = 0;  // resamples
  for (const auto& [median, times] : medians) {
    if (n_below <= tail) interval.lo = median;
    if (n_below <= kResamples - 1 - tail) interval.hi = median;
    n_below += times;
  }
  return interval;
}

std::optional<Interval> bootstrap_mean_interval(std::span<const SumAndCount> cases, double alpha) {
  if (cases.size() < 2) return std::nullopt;
  std::vector<SumAndCount> sorted(cases.begin(), cases.end());
  std::sort(sorted.begin(), sorted.end(), [](const SumAndCount& a, const SumAndCount& b) {
    return a.sum != b.sum ? a.sum < b.sum : a.count < b.count;
  });
  Generator generator;
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    SumAndCount drawn;
    for (size_t i = 0; i < sorted.size(); ++i) {
      const SumAndCount& one = sorted[generator.below(sorted.size())];
      drawn.sum += one.sum;
      drawn.count += one.count;
    }
    mean = drawn.sum / drawn.count;
  }
  std::sort(means.begin(), means.end());
  const size_t tail = tail_of(alpha);
  return Interval{means[tail], means[kResamples - 1 - tail]};
}

}  // namespace ds4::reports
