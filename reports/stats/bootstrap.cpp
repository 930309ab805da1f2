#include "reports/stats/bootstrap.h"

#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "reports/stats/generator.h"

namespace ds4::reports {
namespace {

constexpr size_t kResamples = 2000;  // percentiles stable to about the 50 nearest of them

// Draws medians of resamples of one set of values.
class Resampler {
 public:
  // Sorted first: the interval must not depend on the order in which the values were measured.
  explicit Resampler(std::span<const double> values)
      : sorted_(values.begin(), values.end()), resample_(values.size()) {
    std::sort(sorted_.begin(), sorted_.end());
  }
  double median(Generator& generator) {
    for (double& value : resample_) value = sorted_[generator.below(sorted_.size())];
    return median_in_place(resample_);
  }

 private:
  std::vector<double> sorted_, resample_;
};

template <class Draw>
Interval percentiles(double alpha, const Draw& draw) {
  DS4_CHECK(alpha > 0 && alpha < 1);
  Generator generator;
  std::vector<double> drawn(kResamples);
  for (double& value : drawn) value = draw(generator);
  std::sort(drawn.begin(), drawn.end());
  const auto tail = static_cast<size_t>(static_cast<double>(kResamples) * alpha / 2);
  return {drawn[tail], drawn[kResamples - 1 - tail]};
}

}  // namespace

std::optional<Interval> bootstrap_median_interval(std::span<const double> values, double alpha) {
  if (values.size() < 2) return std::nullopt;
  Resampler resampler(values);
  return percentiles(alpha, [&](Generator& g) { return resampler.median(g); });
}

std::optional<Interval> bootstrap_mean_interval(std::span<const SumAndCount> cases, double alpha) {
  if (cases.size() < 2) return std::nullopt;
  std::vector<SumAndCount> sorted(cases.begin(), cases.end());
  std::sort(sorted.begin(), sorted.end(), [](const SumAndCount& a, const SumAndCount& b) {
    return a.sum != b.sum ? a.sum < b.sum : a.count < b.count;
  });
  return percentiles(alpha, [&](Generator& generator) {
    SumAndCount drawn;
    for (size_t i = 0; i < sorted.size(); ++i) {
      const SumAndCount& one = sorted[generator.below(sorted.size())];
      drawn.sum += one.sum;
      drawn.count += one.count;
    }
    return drawn.sum / drawn.count;
  });
}

}  // namespace ds4::reports
