// How small a change a comparison could have found: the answer to "not separable, but from what?".
// Pure functions, by the normal approximation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ds4::reports {

/// The smallest difference of two proportions, measured on the same n items of which the share
/// `differing` is right in one measurement only, that a two-sided test at level alpha finds with
/// probability `power`: n = (z_a sqrt(d) + z_b sqrt(d - x^2))^2 / x^2 solved for x (R. J. Connor,
/// Biometrics 43, 1987, 207-211). No difference exceeds the share that differs: where the formula
/// asks for more, d grows to x. Nothing when even n of n would not be found.
std::optional<double> smallest_detectable_difference(int64_t n, double differing, double alpha,
                                                     double power);

/// The smallest relative change of two sets of raw samples (0.1: a tenth more) that Mann and
/// Whitney's test finds likewise, from the pooled standard deviation of their logarithms (G. E.
/// Noether, J. Am. Stat. Assoc. 82, 1987, 645-647, for a shift of normal values). Optimistic below
/// 20 values a side: at 12 a power of 0.8 is 0.73 in truth. Nothing with fewer than two values in
/// either, or a value not above 0.
std::optional<double> smallest_detectable_change(std::span<const double> base,
                                                 std::span<const double> now, double alpha,
                                                 double power);

}  // namespace ds4::reports
