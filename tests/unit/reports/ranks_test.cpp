// Mann-Whitney's and Holm's procedures and the normal distribution against known values.
#include "reports/stats/ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "reports/stats/holm.h"
#include "reports/stats/normal.h"

namespace ds4::reports {
namespace {

using Values = std::vector<double>;

TEST(Normal, QuantilesAndTails) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.8), 0.8416212335729143, 1e-14);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-14);
  EXPECT_EQ(normal_quantile(0.125), -normal_quantile(0.875));
  EXPECT_NEAR(normal_upper_tail(1.959963984540054), 0.025, 1e-15);
  EXPECT_NEAR(normal_upper_tail(10) / 7.619853024160527e-24, 1, 1e-12) << "far into the tail";
}

// p by counting all ways to choose which values are the first sample's.
double p_by_enumeration(const Values& first, const Values& second) {
  Values pooled = first;
  pooled.insert(pooled.end(), second.begin(), second.end());
  const size_t total = pooled.size();
  const auto u_of = [&](unsigned chosen) {
    double u = 0;
    for (size_t i = 0; i < total; ++i) {
      for (size_t j = 0; j < total; ++j) {
        if ((chosen >> i & 1) == 0 || (chosen >> j & 1) == 1) continue;
        u += pooled[i] > pooled[j] ? 1 : pooled[i] == pooled[j] ? 0.5 : 0;
      }
    }
    return u;
  };
  const double mean = static_cast<double>(first.size() * second.size()) / 2;
  const double observed = std::abs(u_of((1u << first.size()) - 1) - mean);
  double as_far = 0, all = 0;
  for (unsigned chosen = 0; chosen < 1u << total; ++chosen) {
    if (static_cast<size_t>(__builtin_popcount(chosen)) != first.size()) continue;
    ++all;
    as_far += std::abs(u_of(chosen) - mean) >= observed;
  }
  return as_far / all;
}

TEST(MannWhitney, AgreesWithKnownValues) {
  // By counting: of the 126 ways to choose five of nine ranks, 14 are as far from the middle.
  const MannWhitney known = mann_whitney(Values{19, 22, 16, 29, 24}, Values{20, 11, 17, 12});
  EXPECT_EQ(known.u, 17);
  EXPECT_TRUE(known.exact);
  EXPECT_NEAR(known.p, 14.0 / 126, 1e-12);
  // By hand with tie and continuity correction: u = 19.5, erfc(z / sqrt(2)) = 0.0130492952.
  const MannWhitney tied =
      mann_whitney(Values{1, 2, 2, 3, 4, 4, 4, 5, 6, 7}, Values{3, 4, 5, 5, 6, 6, 7, 8, 9, 9, 10});
  EXPECT_EQ(tied.u, 19.5);
  EXPECT_FALSE(tied.exact);
  EXPECT_NEAR(tied.p, 0.0130492952, 1e-9);
}

TEST(MannWhitney, IsExactForSmallSamples) {
  const Values first{1.1, 2.5, 3.7, 9.9, 4.2, 8.8, 6.1}, second{0.3, 1.9, 2.2, 5.0, 2.6, 3.3};
  EXPECT_NEAR(mann_whitney(first, second).p, p_by_enumeration(first, second), 1e-12);
  EXPECT_NEAR(mann_whitney(second, first).p, mann_whitney(first, second).p, 1e-12);
  for (unsigned seed = 1; seed < 40; ++seed) {
    Values a, b;
    for (unsigned i = 0; i < 1 + seed % 5; ++i) a.push_back(std::sin(seed * 7.3 + i));
    for (unsigned i = 0; i < 1 + seed % 4; ++i) b.push_back(std::cos(seed * 3.1 + i) + 0.3);
    EXPECT_NEAR(mann_whitney(a, b).p, p_by_enumeration(a, b), 1e-12) << seed;
  }
}

TEST(MannWhitney, ReachesOnlySoSmallAP) {
  // The clearest outcome of so many values each: 2 of the ways to choose n of 2n.
  EXPECT_NEAR(mann_whitney(Values{1, 2, 3}, Values{4, 5, 6}).p, 0.1, 1e-12);
  EXPECT_NEAR(mann_whitney(Values{1, 2, 3, 4}, Values{5, 6, 7, 8}).p, 2.0 / 70, 1e-12);
  EXPECT_NEAR(mann_whitney(Values{1, 2, 3, 4, 5}, Values{6, 7, 8, 9, 10}).p, 2.0 / 252, 1e-12);
}

TEST(MannWhitney, OfNothingOrOfEqualValuesSaysNothing) {
  EXPECT_EQ(mann_whitney(Values{}, Values{1, 2}).p, 1);
  EXPECT_EQ(mann_whitney(Values{1}, Values{2}).p, 1);
  EXPECT_EQ(mann_whitney(Values(30, 2.0), Values(40, 2.0)).p, 1);
}

TEST(MannWhitney, ApproximationMeetsTheExactTestWhereTheyChange) {
  Values a, b;
  for (int i = 0; i < 50; ++i) {
    a.push_back(std::sin(i * 12.9898) * 10);
    b.push_back(std::sin(i * 78.233 + 1) * 10 + 3);
  }
  const MannWhitney exact = mann_whitney(a, b);
  std::sort(a.begin(), a.end());
  a[1] = a[0];  // a tie, and hardly another order
  const MannWhitney approximate = mann_whitney(a, b);
  EXPECT_TRUE(exact.exact);
  EXPECT_FALSE(approximate.exact);
  EXPECT_NEAR(exact.p, approximate.p, 0.05 * exact.p);
}

TEST(Holm, AgreesWithAnExampleByHand) {
  // Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling.
  const Values adjusted = holm_adjusted(Values{0.01, 0.04, 0.03, 0.005});
  const Values expected{0.03, 0.06, 0.06, 0.02};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-15) << i;
  EXPECT_TRUE(holm_adjusted(Values{}).empty());
  EXPECT_EQ(holm_adjusted(Values{0.2}), Values{0.2});
  EXPECT_EQ(holm_adjusted(Values{0.6, 0.9}), (Values{1, 1}));
}

}  // namespace
}  // namespace ds4::reports
