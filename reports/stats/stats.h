// Statistics of the reports: pure functions of numbers, each with its source. What they are used
// for, and why, is in docs/method.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ds4::reports {

/// A two-sided interval of confidence 1 - alpha; 95 % where no alpha is asked for.
struct Interval {
  double lo = 0, hi = 0;
};

/// The median; of an even count the mean of the two middle values. Nothing of nothing.
std::optional<double> median(std::span<const double> values);

/// The same of values that may be reordered and are at least one.
double median_in_place(std::span<double> values);

/// Wilson's score interval for a proportion (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212).
/// `total` is the number of successes, or the sum of n values in [0, 1]: then the interval is
/// conservative, because no such values vary more than 0/1 values of equal mean. Nothing when n =
/// 0.
std::optional<Interval> wilson_interval(double total, int64_t n, double alpha = 0.05);

/// Interval for the mean of n paired differences in [-1, 1], from their sum and their sum of
/// squares: the adjusted Wald interval for matched proportions (A. Agresti, Y. Min, Stat. Med. 24,
/// 2005, 729-740), which counts half a case more in each of the four outcomes and so states an
/// interval even when no case differs. For values other than 0 and 1 the same formula on their
/// squares. n >= 1.
Interval paired_difference_interval(double sum, double sum_of_squares, int64_t n,
                                    double alpha = 0.05);

/// Whether the mean of paired differences is shown to be no lower than -margin: a one-sided test at
/// level alpha, which asks whether the lower end of the interval of confidence 1 - 2 alpha lies
/// above -margin. A difference that no test can separate is no proof of equality; this is.
struct NonInferiority {
  double lower_bound = -1;  // one-sided, confidence 1 - alpha
  bool shown = false;
};
NonInferiority paired_non_inferiority(double sum, double sum_of_squares, int64_t n, double margin,
                                      double alpha = 0.05);

/// One-sided p that the mean of paired differences is below -loss, by the normal test that belongs
/// to paired_difference_interval(). n >= 1, loss >= 0.
double paired_loss_p(double sum, double sum_of_squares, int64_t n, double loss);

/// Two gradings of the same items compared (Q. McNemar, Psychometrika 12, 1947, 153-157; mid-p:
/// M. W. Fagerland et al., BMC Med. Res. Methodol. 13:91, 2013). `only_first` and `only_second`
/// count the items that just one of the two has right.
struct McNemar {
  double exact_p = 1;  // two-sided binomial test: for gates
  double mid_p = 1;    // less conservative: for reports
};
McNemar mcnemar(int64_t only_first, int64_t only_second);

}  // namespace ds4::reports
