// Statistics of the reports: pure functions of numbers, each with its source. What they are used
// for, and why, is in docs/method.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ds4::reports {

/// A two-sided 95 % interval.
struct Interval {
  double lo = 0, hi = 0;
};

/// The median; of an even count the mean of the two middle values. Nothing of nothing.
std::optional<double> median(std::span<const double> values);

/// Wilson's score interval for a proportion (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212).
/// `total` is the number of successes, or the sum of n values in [0, 1]: then the interval is
/// conservative, because no such values vary more than 0/1 values of equal mean. Nothing when n =
/// 0.
std::optional<Interval> wilson_interval(double total, int64_t n);

/// Percentile bootstrap interval of the median (B. Efron, Ann. Statist. 7, 1979, 1-26): the 2.5th
/// and 97.5th percentile of the medians of resamples drawn with a fixed seed, so that the same
/// values give the same interval. Nothing when n < 2: one value says nothing about spread.
std::optional<Interval> bootstrap_median_interval(std::span<const double> values);

/// Interval for the mean of n paired differences in [-1, 1], from their sum and their sum of
/// squares: the adjusted Wald interval for matched proportions (A. Agresti, Y. Min, Stat. Med. 24,
/// 2005, 729-740), which counts half a case more in each of the four outcomes and so states an
/// interval even when no case differs. For values other than 0 and 1 the same formula on their
/// squares. n >= 1.
Interval paired_difference_interval(double sum, double sum_of_squares, int64_t n);

/// Two gradings of the same items compared (Q. McNemar, Psychometrika 12, 1947, 153-157; mid-p:
/// M. W. Fagerland et al., BMC Med. Res. Methodol. 13:91, 2013). `only_first` and `only_second`
/// count the items that just one of the two has right.
struct McNemar {
  double exact_p = 1;  // two-sided binomial test: for gates
  double mid_p = 1;    // less conservative: for reports
};
McNemar mcnemar(int64_t only_first, int64_t only_second);

}  // namespace ds4::reports
