// Statistics against published or hand-computed values.
#include "reports/stats/stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace ds4::reports {
namespace {

TEST(Median, OfOddAndEvenCounts) {
  EXPECT_FALSE(median({}).has_value());
  EXPECT_EQ(*median(std::vector<double>{7}), 7);
  EXPECT_EQ(*median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(*median(std::vector<double>{4, 1, 3, 2}), 2.5);
  EXPECT_EQ(*median(std::vector<double>{1e308, 1.7e308}), 1.35e308) << "no overflow";
}

TEST(Wilson, AgreesWithKnownIntervals) {
  struct Known {
    double right;
    int64_t n;
    double lo, hi;
  };
  // Percent with two decimals, from the closed formula; 15/15 also in Wilson's own form z²/(n+z²).
  for (const Known& k : {Known{1187, 1319, 88.25, 91.50}, Known{1253, 1319, 93.68, 96.05},
                         Known{150, 164, 86.18, 94.85}, Known{164, 164, 97.71, 100},
                         Known{15, 15, 79.61, 100}, Known{0, 15, 0, 20.39}}) {
    const Interval interval = *wilson_interval(k.right, k.n);
    EXPECT_NEAR(100 * interval.lo, k.lo, 0.005) << k.right << "/" << k.n;
    EXPECT_NEAR(100 * interval.hi, k.hi, 0.005) << k.right << "/" << k.n;
  }
}

TEST(Wilson, StaysWithinZeroAndOneAndHasNothingForNothing) {
  EXPECT_FALSE(wilson_interval(0, 0).has_value());
  for (int64_t n = 1; n < 200; ++n) {
    for (int64_t k = 0; k <= n; ++k) {
      const Interval interval = *wilson_interval(static_cast<double>(k), n);
      const double p = static_cast<double>(k) / static_cast<double>(n);
      EXPECT_LE(0, interval.lo);
      EXPECT_LE(interval.lo, p + 1e-12);
      EXPECT_GE(interval.hi, p - 1e-12);
      EXPECT_LE(interval.hi, 1);
    }
  }
  // Sums of thirds may exceed n by a rounding error.
  EXPECT_NO_FATAL_FAILURE(wilson_interval(1.0 / 3 + 1.0 / 3 + 1.0 / 3, 1));
}

TEST(PairedDifference, AgreesWithTheFormulaByHand) {
  // 20 pairs, 5 lost, 1 gained: centre -4/22, variance 7/22 - (4/22)^2, half 1.96 sqrt(var / 22).
  const Interval some = paired_difference_interval(-4, 6, 20);
  EXPECT_NEAR(some.lo, -0.40494, 1e-4);
  EXPECT_NEAR(some.hi, 0.04131, 1e-4);
  const Interval none = paired_difference_interval(0, 0, 24);
  EXPECT_NEAR(none.hi, 1.959964 / 26, 1e-6);
  EXPECT_EQ(none.lo, -none.hi);
  EXPECT_EQ(paired_difference_interval(-1, 1, 1).lo, -1) << "never beyond what is possible";
}

TEST(NonInferiority, IsTheLowerEndOfTheOneSidedInterval) {
  // 1,000 pairs, 12 lost and 10 gained: centre -2/1002, variance 23/1002 - centre^2, 1.645 of it.
  const NonInferiority loose = paired_non_inferiority(-2, 22, 1000, 0.01);
  EXPECT_NEAR(loose.lower_bound, -0.0098680, 1e-6);
  EXPECT_TRUE(loose.shown);
  EXPECT_FALSE(paired_non_inferiority(-2, 22, 1000, 0.0098).shown);
  EXPECT_FALSE(paired_non_inferiority(0, 0, 20, 0.02).shown) << "twenty equal cases prove little";
  EXPECT_TRUE(paired_non_inferiority(0, 0, 200, 0.02).shown);
}

// The truth must lie inside in about 95 of 100 experiments: correlated pairs of 24, true change
// -0.2.
TEST(PairedDifference, CoversTheTruthAsOftenAsItSays) {
  uint64_t state = 7;
  const auto uniform = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  constexpr int kExperiments = 4000;
  int covered = 0;
  for (int e = 0; e < kExperiments; ++e) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 24; ++i) {
      const double u = uniform();
      const double d = u < 0.3 ? -1 : u < 0.4 ? 1 : 0;
      sum += d;
      squares += d * d;
    }
    const Interval interval = paired_difference_interval(sum, squares, 24);
    covered += interval.lo <= -0.2 && -0.2 <= interval.hi;
  }
  EXPECT_NEAR(static_cast<double>(covered) / kExperiments, 0.95, 0.02);
}

TEST(McNemar, AgreesWithKnownValues) {
  struct Known {
    int64_t b, c;
    double exact, mid;
  };
  for (const Known& k : {Known{10, 25, 0.0167, 0.0113}, Known{30, 43, 0.160, 0.130},
                         Known{5, 14, 0.0636, 0.0414}, Known{1, 8, 0.0391, 0.0215}}) {
    EXPECT_NEAR(mcnemar(k.b, k.c).exact_p, k.exact, 0.0005) << k.b << "," << k.c;
    EXPECT_NEAR(mcnemar(k.b, k.c).mid_p, k.mid, 0.0005) << k.b << "," << k.c;
    EXPECT_EQ(mcnemar(k.b, k.c).exact_p, mcnemar(k.c, k.b).exact_p) << "either way round";
  }
  EXPECT_EQ(mcnemar(0, 0).exact_p, 1);
  EXPECT_EQ(mcnemar(4, 4).exact_p, 1);
  EXPECT_NEAR(mcnemar(0, 1).exact_p, 1, 1e-12);
  EXPECT_GT(mcnemar(5000, 5000).mid_p, 0.99);
}

}  // namespace
}  // namespace ds4::reports
