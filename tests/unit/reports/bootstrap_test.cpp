// Bootstrap intervals against intervals by order statistics, and their promises.
#include "reports/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace ds4::reports {
namespace {

TEST(Bootstrap, NeedsTwoValues) {
  EXPECT_FALSE(bootstrap_median_interval({}).has_value());
  EXPECT_FALSE(bootstrap_median_interval(std::vector<double>{1}).has_value());
  const Interval two = *bootstrap_median_interval(std::vector<double>{1, 2});
  EXPECT_EQ(two.lo, 1);
  EXPECT_EQ(two.hi, 2);
  const Interval equal = *bootstrap_median_interval(std::vector<double>(9, 4.5));
  EXPECT_EQ(equal.lo, 4.5);
  EXPECT_EQ(equal.hi, 4.5);
}

TEST(Bootstrap, AgreesWithTheIntervalByOrderStatistics) {
  // For 1..101 the binomial ranks give [41, 61]; the bootstrap must come within a rank or two.
  std::vector<double> values(101);
  std::iota(values.begin(), values.end(), 1.0);
  const Interval interval = *bootstrap_median_interval(values);
  EXPECT_NEAR(interval.lo, 41, 2);
  EXPECT_NEAR(interval.hi, 61, 2);
}

TEST(Bootstrap, IsTheSameEveryTimeAndInAnyOrder) {
  std::vector<double> values(37);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<double>(i) * 3.7);
  const Interval first = *bootstrap_median_interval(values);
  std::reverse(values.begin(), values.end());
  const Interval second = *bootstrap_median_interval(values);
  EXPECT_EQ(first.lo, second.lo);
  EXPECT_EQ(first.hi, second.hi);
}

TEST(Bootstrap, LessAlphaIsAWiderInterval) {
  std::vector<double> values(41);
  std::iota(values.begin(), values.end(), 1.0);
  const Interval usual = *bootstrap_median_interval(values);
  const Interval wide = *bootstrap_median_interval(values, 0.01);
  EXPECT_LT(wide.lo, usual.lo);
  EXPECT_GT(wide.hi, usual.hi);
}

}  // namespace
}  // namespace ds4::reports
