// Student's distribution (W. S. Gosset, Biometrika 6, 1908), for few launches. Pure functions.
#pragma once

namespace ds4::reports {

/// P(|T| > t) for T with `degrees` > 0 degrees of freedom, which need not be whole.
double student_two_sided(double t, double degrees);

/// The t with P(|T| > t) = alpha, 0 < alpha < 1.
double student_quantile(double alpha, double degrees);

}  // namespace ds4::reports
