// Change points by simulation: how often one is found where there is none, whatever the values'
// distribution, and how often a step is found where it is.
#include "reports/stats/change_points.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace ds4::reports {
namespace {

constexpr double kAlpha = 0.05;

std::vector<double> normal(std::mt19937_64& source, size_t n) {
  std::normal_distribution<double> distribution;
  std::vector<double> values(n);
  for (double& value : values) value = distribution(source);
  return values;
}

// Share of `n_series` series without a change in which one is found.
template <class Draw>
double false_alarms(int n_series, const Draw& draw) {
  int n = 0;
  for (int i = 0; i < n_series; ++i) n += !change_points(draw(), kAlpha).empty();
  return static_cast<double>(n) / n_series;
}

TEST(ChangePoints, MarksNothingInChanceMoreOftenThanStated) {
  constexpr int kSeries = 250;
  // Three standard errors of a share of 0.05 above it.
  const double most = kAlpha + 3 * std::sqrt(kAlpha * (1 - kAlpha) / kSeries);
  std::mt19937_64 source(11);
  for (const size_t n : {size_t{8}, size_t{14}, size_t{30}}) {
    EXPECT_LE(false_alarms(kSeries, [&] { return normal(source, n); }), most) << n;
  }
  // Long tails: one night in ten is slow by far.
  std::bernoulli_distribution slow(0.1);
  const double with_tails = false_alarms(kSeries, [&] {
    std::vector<double> values = normal(source, 20);
    for (double& value : values) value += slow(source) ? 30 : 0;
    return values;
  });
  EXPECT_LE(with_tails, most);
  // Shares of a few cases: many equal values.
  std::binomial_distribution<int> correct(20, 0.9);
  const double with_ties = false_alarms(kSeries, [&] {
    std::vector<double> values(20);
    for (double& value : values) value = correct(source) / 20.0;
    return values;
  });
  EXPECT_LE(with_ties, most);
}

TEST(ChangePoints, UsesTheLevelThatIsStated) {
  // No rule that never speaks: with values in no order about one series in twenty is marked.
  std::mt19937_64 source(5);
  EXPECT_GE(false_alarms(600, [&] { return normal(source, 20); }), 0.02);
}

TEST(ChangePoints, FindsAStepOfThreeDeviationsWhereItIs) {
  constexpr int kSeries = 100;
  std::mt19937_64 source(3);
  int found = 0, near = 0;
  for (int i = 0; i < kSeries; ++i) {
    std::vector<double> values = normal(source, 20);
    for (size_t k = 12; k < values.size(); ++k) values[k] += 3;
    const auto changes = change_points(values, kAlpha);
    found += !changes.empty();
    for (const ChangePoint& change : changes) {
      if (change.at < 11 || change.at > 13) continue;
      ++near;
      EXPECT_GT(change.after, change.before);
      EXPECT_LE(change.p, kAlpha);
      break;
    }
  }
  EXPECT_GE(found, 95);
  EXPECT_GE(near, 90);
}

TEST(ChangePoints, FindsSeveralSteps) {
  std::vector<double> values;
  for (int i = 0; i < 12; ++i) values.push_back(100 + 0.1 * i * (i % 2 ? 1 : -1));
  for (int i = 0; i < 12; ++i) values.push_back(80 + 0.1 * i * (i % 2 ? 1 : -1));
  for (int i = 0; i < 12; ++i) values.push_back(90 + 0.1 * i * (i % 2 ? 1 : -1));
  const auto changes = change_points(values, kAlpha);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].at, 12u);
  EXPECT_EQ(changes[1].at, 24u);
  EXPECT_NEAR(changes[0].before, 100, 1);
  EXPECT_NEAR(changes[0].after, 80, 1);
  EXPECT_NEAR(changes[1].before, 80, 1);
  EXPECT_NEAR(changes[1].after, 90, 1);
}

TEST(ChangePoints, OneWildValueIsNoNewLevel) {
  std::vector<double> values(20, 0);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = 10 + 0.01 * static_cast<double>(i * 7 % 20);
  values[9] = 1000;
  EXPECT_TRUE(change_points(values, kAlpha).empty());
}

TEST(ChangePoints, SaysNothingOfTooFewOrEqualValues) {
  EXPECT_TRUE(change_points(std::vector<double>{}, kAlpha).empty());
  EXPECT_TRUE(change_points(std::vector<double>{1, 1, 1, 9, 9, 9, 9}, kAlpha).empty());
  EXPECT_TRUE(change_points(std::vector<double>(40, 3.5), kAlpha).empty());
  EXPECT_EQ(change_points(std::vector<double>{1, 1, 1, 1, 9, 9, 9, 9}, kAlpha).size(), 1u);
}

}  // namespace
}  // namespace ds4::reports
