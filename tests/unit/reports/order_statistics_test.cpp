// Order-statistic intervals of a median against ranks from tables and against simulation.
#include "reports/stats/order_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

namespace ds4::reports {
namespace {

std::vector<double> up_to(int n) {
  std::vector<double> values(static_cast<size_t>(n));
  std::iota(values.rbegin(), values.rend(), 1);  // descending: order of arrival must not matter
  return values;
}

TEST(MedianOrderInterval, TakesTheRanksOfTheTables) {
  // Ranks for 95 % (H. A. David, Order Statistics): 6: 1-6, 9: 2-8, 15: 4-12, 20: 6-15, 100: 40-61.
  for (const auto& [n, lo, hi] : std::vector<std::tuple<int, double, double>>{
           {6, 1, 6}, {7, 1, 7}, {8, 1, 8}, {9, 2, 8}, {15, 4, 12}, {20, 6, 15}, {100, 40, 61}}) {
    const auto interval = median_order_interval(up_to(n));
    ASSERT_TRUE(interval) << n;
    EXPECT_EQ(interval->lo, lo) << n;
    EXPECT_EQ(interval->hi, hi) << n;
  }
}

TEST(MedianOrderInterval, StatesNothingOfTooFew) {
  for (int n = 0; n < 6; ++n) EXPECT_FALSE(median_order_interval(up_to(n))) << n;
}

TEST(MedianOrderInterval, CoversTheMedianAsOftenAsItSays) {
  std::mt19937 random(5);
  std::exponential_distribution<double> skewed(1.0);
  int covered = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values(15);
    for (double& value : values) value = skewed(random);
    const auto interval = median_order_interval(values);
    covered += interval->lo <= std::log(2.0) && std::log(2.0) <= interval->hi;
  }
  EXPECT_GT(covered, 0.95 * kTrials);
  EXPECT_LT(covered, 0.98 * kTrials);  // the ranks 4 and 12 of 15 cover 96.5 %
}

}  // namespace
}  // namespace ds4::reports
