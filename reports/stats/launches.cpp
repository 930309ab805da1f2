#include "reports/stats/launches.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <span>

#include "engine/base/check.h"
#include "reports/stats/generator.h"
#include "reports/stats/middle.h"
#include "reports/stats/normal.h"
#include "reports/stats/student.h"

namespace ds4::reports {
namespace {

constexpr size_t kResamples = 2000;      // for percentiles
constexpr size_t kErrorResamples = 200;  // for a standard deviation: known to 5 %

bool usable(const Launches& launches) {
  return !launches.empty() && std::all_of(launches.begin(), launches.end(), [](const auto& values) {
    return !values.empty() && *std::min_element(values.begin(), values.end()) > 0;
  });
}

double pooled_median(const Launches& launches) {
  std::vector<double> all;
  for (const auto& values : launches) all.insert(all.end(), values.begin(), values.end());
  return median_in_place(all);
}

// Logarithms of a side's medians, launch by launch.
struct LogMedians {
  double mean = 0;
  double variance_of_mean = 0;  // of k medians, divided by k
  double degrees = 0;           // k - 1
};

LogMedians log_medians(const Launches& launches) {
  const double k = static_cast<double>(launches.size());
  std::vector<double> logs;
  for (const auto& values : launches) logs.push_back(std::log(*median(values)));
  LogMedians result;
  for (const double x : logs) result.mean += x / k;
  for (const double x : logs) {
    result.variance_of_mean += (x - result.mean) * (x - result.mean) / (k - 1) / k;
  }
  result.degrees = k - 1;
  return result;
}

// Draws log(median) of resamples of one side.
class SideResampler {
 public:
  // Sorted first: the interval must not depend on the order in which launches and values came.
  explicit SideResampler(const Launches& launches) : launches_(launches) {
    for (auto& values : launches_) std::sort(values.begin(), values.end());
    std::sort(launches_.begin(), launches_.end());
  }

  double over_launches(Generator& generator) {
    drawn_.clear();
    for (size_t i = 0; i < launches_.size(); ++i) {
      const auto& values = launches_[generator.below(launches_.size())];
      drawn_.insert(drawn_.end(), values.begin(), values.end());
    }
    return std::log(median_in_place(drawn_));
  }

  /// Samples drawn within each launch, and the launches moved by the assumed spread.
  double within_launches(Generator& generator, double noise) {
    drawn_.clear();
    for (const auto& values : launches_) {
      for (size_t i = 0; i < values.size(); ++i) {
        drawn_.push_back(values[generator.below(values.size())]);
      }
    }
    const double moved = noise / std::sqrt(static_cast<double>(launches_.size()));
    return std::log(median_in_place(drawn_)) + moved * generator.normal();
  }

 private:
  Launches launches_;
  std::vector<double> drawn_;
};

// What draw_ratios() draws of two sides of one launch each: a function of their sizes.
struct Draws {
  struct One {
    uint32_t middle = 0;  // its place in `middles`
    double normal = 0;
  };
  struct Side {
    std::vector<Middle> middles;  // each once
    std::vector<One> all;

    // Logarithms of the medians that the draws stand for.
    std::vector<double> logs(const std::vector<double>& sorted) const {
      std::vector<double> values;
      for (const Middle& middle : middles) values.push_back(std::log(median_of(middle, sorted)));
      return values;
    }
  };
  Side before, after;
};

constexpr size_t kKept = 16;  // drawings, 64 KB each at most

const Draws& draws_of(size_t n, size_t n_base, size_t n_now) {
  thread_local std::map<std::array<size_t, 3>, Draws> drawn;
  const std::array<size_t, 3> shape{n, n_base, n_now};
  if (drawn.size() == kKept && !drawn.contains(shape)) drawn.clear();
  const auto [place, is_new] = drawn.try_emplace(shape);
  if (!is_new) return place->second;
  Generator generator;
  using Known = std::map<std::pair<uint32_t, uint32_t>, uint32_t>;
  Known known_before, known_after;
  std::vector<uint32_t> before(n_base), after(n_now);
  const auto draw = [&](std::vector<uint32_t>& places, Known& known, Draws::Side& side) {
    const Middle middle = draw_middle(generator, places);
    const auto number = static_cast<uint32_t>(side.middles.size());
    const auto [at, first] = known.try_emplace({middle.lower, middle.upper}, number);
    if (first) side.middles.push_back(middle);
    side.all.push_back({at->second, generator.normal()});
  };
  for (size_t i = 0; i < n; ++i) {
    draw(before, known_before, place->second.before);
    draw(after, known_after, place->second.after);
  }
  return place->second;
}

// draw_ratios() of sides of one launch each, by within_launches().
std::vector<double> draw_single_ratios(size_t n, std::vector<double> base, std::vector<double> now,
                                       double noise) {
  std::sort(base.begin(), base.end());
  std::sort(now.begin(), now.end());
  const Draws& drawn = draws_of(n, base.size(), now.size());
  const std::vector<double> logs_before = drawn.before.logs(base);
  const std::vector<double> logs_after = drawn.after.logs(now);
  std::vector<double> draws(n);
  for (size_t i = 0; i < n; ++i) {
    const Draws::One &before = drawn.before.all[i], &after = drawn.after.all[i];
    const double reference = logs_before[before.middle] + noise * before.normal;
    draws[i] = logs_after[after.middle] + noise * after.normal - reference;
  }
  return draws;
}

// Logarithms of the ratios of n resamples.
std::vector<double> draw_ratios(size_t n, const Launches& base, const Launches& now, bool measured,
                                double noise) {
  if (base.size() == 1 && now.size() == 1) {
    return draw_single_ratios(n, base.front(), now.front(), noise);
  }
  Generator generator;
  SideResampler before(base), after(now);
  const auto draw = [&](SideResampler& side) {
    return measured ? side.over_launches(generator) : side.within_launches(generator, noise);
  };
  std::vector<double> draws(n);
  for (double& value : draws) {
    const double reference = draw(before);
    value = draw(after) - reference;
  }
  return draws;
}

// The draw with `place` others before it, `place` being one of the first: most draws are only held
// against a bound that a sample of them gives.
template <class Before>
double draw_at(size_t place, const std::vector<double>& draws, const Before& before) {
  constexpr size_t kEvery = 8;
  std::vector<double> sample;
  for (size_t i = 0; i < draws.size(); i += kEvery) sample.push_back(draws[i]);
  const size_t beyond = std::min(2 * place / kEvery + kEvery, sample.size() - 1);
  const auto bound = sample.begin() + static_cast<std::ptrdiff_t>(beyond);
  std::nth_element(sample.begin(), bound, sample.end(), before);
  std::vector<double> first;
  std::copy_if(draws.begin(), draws.end(), std::back_inserter(first),
               [&](double draw) { return !before(*bound, draw); });
  if (first.size() <= place) first = draws;
  const auto found = first.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(first.begin(), found, first.end(), before);
  return *found;
}

Interval percentiles(const std::vector<double>& draws, double tail) {
  const auto skip = static_cast<size_t>(static_cast<double>(draws.size()) * tail);
  return {std::exp(draw_at(skip, draws, std::less<>())),
          std::exp(draw_at(skip, draws, std::greater<>()))};
}

double deviation(std::span<const double> values) {
  double mean = 0, squares = 0;
  for (const double x : values) mean += x / static_cast<double>(values.size());
  for (const double x : values) squares += (x - mean) * (x - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// Both sides repeated: what their medians say about the spread between launches.
struct Welch {
  double change = 0, variance = 0, degrees = 1;
};

Welch welch(const Launches& base, const Launches& now) {
  const LogMedians b = log_medians(base), n = log_medians(now);
  Welch result;
  result.change = n.mean - b.mean;
  result.variance = b.variance_of_mean + n.variance_of_mean;
  if (result.variance > 0) {
    result.degrees = result.variance * result.variance /
                     (b.variance_of_mean * b.variance_of_mean / b.degrees +
                      n.variance_of_mean * n.variance_of_mean / n.degrees);
  }
  return result;
}

bool repeated(const Launches& base, const Launches& now) {
  return base.size() > 1 && now.size() > 1;
}

}  // namespace

std::optional<LaunchTest> launch_test(const Launches& base, const Launches& now,
                                      const LaunchSettings& settings, double ratio) {
  DS4_CHECK(settings.noise >= 0 && ratio > 0);
  if (!usable(base) || !usable(now)) return std::nullopt;
  LaunchTest result;
  result.measured = repeated(base, now);
  if (result.measured) {
    const Welch test = welch(base, now);
    const double beyond = std::abs(test.change - std::log(ratio));
    result.error = std::sqrt(test.variance);
    result.degrees = test.degrees;
    // Launches all alike: what differs, differs always.
    result.p = test.variance > 0 ? student_two_sided(beyond / result.error, test.degrees)
               : beyond > 0      ? 0
                                 : 1;
    return result;
  }
  const auto draws = draw_ratios(kErrorResamples, base, now, false, 0);
  const double assumed =
      settings.noise * settings.noise *
      (1 / static_cast<double>(base.size()) + 1 / static_cast<double>(now.size()));
  const double within = deviation(draws);
  result.error = std::sqrt(within * within + assumed);
  const double beyond = std::abs(std::log(pooled_median(now) / pooled_median(base) / ratio));
  result.p = beyond == 0 ? 1 : 2 * normal_upper_tail(beyond / result.error);
  return result;
}

double smallest_detectable_change(const LaunchTest& test, double alpha, double power) {
  const auto two_sided = [&](double p) {
    return test.measured ? student_quantile(p, test.degrees) : normal_quantile(1 - p / 2);
  };
  return std::expm1((two_sided(alpha) + two_sided(2 * (1 - power))) * test.error);
}

std::optional<Interval> launch_ratio_interval(const Launches& base, const Launches& now,
                                              const LaunchSettings& settings) {
  DS4_CHECK(settings.noise >= 0 && settings.alpha > 0 && settings.alpha < 1);
  if (!usable(base) || !usable(now)) return std::nullopt;
  for (const Launches* side : {&base, &now}) {
    if (side->size() == 1 && side->front().size() == 1) return std::nullopt;
  }
  const bool measured = repeated(base, now);
  const std::vector<double> draws = draw_ratios(kResamples, base, now, measured, settings.noise);
  if (!measured) return percentiles(draws, settings.alpha / 2);
  // Draws of k launches vary too little by (k - 1) / k, and their spread is itself estimated.
  const double k = static_cast<double>(std::min(base.size(), now.size()));
  const double width =
      student_quantile(settings.alpha, welch(base, now).degrees) * std::sqrt(k / (k - 1));
  return percentiles(draws, normal_upper_tail(width));
}

}  // namespace ds4::reports
