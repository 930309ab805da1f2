#include "reports/stats/bootstrap.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/base/check.h"

namespace ds4::reports {
namespace {

constexpr size_t kResamples = 2000;  // percentiles stable to about the 50 nearest of them
constexpr uint64_t kSeed = 0x9e3779b97f4a7c15;

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the i-th number is a function of the seed and i.
// The standard library's distributions differ between implementations; the interval must not.
class Generator {
 public:
  // Uniform in [0, n); the bias of the multiplication is below n / 2^32.
  size_t below(size_t n) { return static_cast<size_t>(((next() >> 32) * n) >> 32); }

 private:
  uint64_t next() {
    uint64_t z = kSeed + ++count_ * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t count_ = 0;
};

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
  bool positive() const { return sorted_.front() > 0; }

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

std::optional<Interval> bootstrap_median_difference(std::span<const double> base,
                                                    std::span<const double> now, double alpha) {
  if (base.size() < 2 || now.size() < 2) return std::nullopt;
  Resampler before(base), after(now);
  return percentiles(alpha, [&](Generator& g) {
    const double reference = before.median(g);
    return after.median(g) - reference;
  });
}

std::optional<Interval> bootstrap_median_ratio(std::span<const double> base,
                                               std::span<const double> now, double alpha) {
  if (base.size() < 2 || now.size() < 2) return std::nullopt;
  Resampler before(base), after(now);
  if (!before.positive() || !after.positive()) return std::nullopt;
  return percentiles(alpha, [&](Generator& g) {
    const double reference = before.median(g);
    return after.median(g) / reference;
  });
}

}  // namespace ds4::reports
