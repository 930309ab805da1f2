// Two sets of raw samples compared when samples of one launch share its conditions: the launch is
// the unit that was repeated, not the answer. Pure functions.
#pragma once

#include <optional>
#include <vector>

#include "reports/stats/stats.h"

namespace ds4::reports {

/// Raw samples by the launch that gave them; no launch without a sample.
using Launches = std::vector<std::vector<double>>;

struct LaunchSettings {
  /// Standard deviation of the logarithms of launches' medians, assumed where a side has one launch
  /// only and so cannot show it. Two runs then differ by about 1.4 times as much.
  double noise = 0.05;
  double alpha = 0.05;  // of the interval
};

struct LaunchTest {
  double p = 1;           // two-sided
  double error = 0;       // standard error of the logarithm of the ratio
  bool measured = false;  // the spread between launches was seen, not assumed
  double degrees = 0;     // of freedom of Student's distribution where measured
};

/// The smallest relative change that this test finds with probability `power` at level alpha: its
/// error times the sum of both quantiles, of Student's distribution where the spread was measured.
double smallest_detectable_change(const LaunchTest& test, double alpha, double power);

/// Tests median(now) / median(base) against `ratio` (1: no change). With at least two launches on
/// each side by Welch's test (B. L. Welch, Biometrika 34, 1947, 28-35) on the logarithms of their
/// medians; else by a normal test with the spread of medians within launches, by 200 resamples, and
/// the assumed spread between them. Nothing when a side is empty or a value is not above 0: there
/// is no ratio then.
std::optional<LaunchTest> launch_test(const Launches& base, const Launches& now,
                                      const LaunchSettings& settings, double ratio = 1);

/// Interval of median(now) / median(base) by the hierarchical bootstrap: launches are drawn with
/// their samples (strategy 1 of A. C. Davison, D. V. Hinkley, Bootstrap Methods and their
/// Application, 1997, 3.8: to draw within them once more would count that spread twice),
/// percentiles widened for few launches (T. C. Hesterberg, Am. Statist. 69, 2015, 371-386). Where a
/// side has one launch, samples are drawn within it and the assumed spread is added. 2,000
/// resamples with a fixed seed. Nothing as launch_test(), or with one sample alone on a side.
std::optional<Interval> launch_ratio_interval(const Launches& base, const Launches& now,
                                              const LaunchSettings& settings);

}  // namespace ds4::reports
