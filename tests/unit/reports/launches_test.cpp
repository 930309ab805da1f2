// Launches as the unit of repetition: known values of Student's distribution, and by simulation
// with a fixed seed what answers taken for independent would claim.
#include "reports/stats/launches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "reports/stats/ranks.h"
#include "reports/stats/student.h"

namespace ds4::reports {
namespace {

TEST(Student, AgreesWithPublishedQuantiles) {
  struct Known {
    double degrees, alpha, t;
  };
  // Table A.2 of E. S. Pearson, H. O. Hartley, Biometrika Tables for Statisticians, 1966.
  for (const Known& k : {Known{1, 0.05, 12.706}, Known{2, 0.05, 4.303}, Known{4, 0.01, 4.604},
                         Known{9, 0.05, 2.262}, Known{30, 0.001, 3.646}}) {
    EXPECT_NEAR(student_quantile(k.alpha, k.degrees), k.t, 0.0005) << k.degrees;
    EXPECT_NEAR(student_two_sided(k.t, k.degrees), k.alpha, 1e-4 * k.alpha + 2e-5) << k.degrees;
  }
  // One degree of freedom is Cauchy's distribution; many are nearly normal.
  for (const double t : {0.1, 1.0, 7.0, 1e6}) {
    EXPECT_NEAR(student_two_sided(t, 1) / (1 - 2 / M_PI * std::atan(t)), 1, t > 1e3 ? 1e-6 : 1e-12);
  }
  EXPECT_NEAR(student_two_sided(1.959963984540054, 1e7), 0.05, 1e-7);
  EXPECT_EQ(student_two_sided(0, 3), 1);
}

constexpr int kPairs = 2000;
constexpr double kAlpha = 0.05;

double monte_carlo_error(double rate) {
  return 3 * std::sqrt(rate * (1 - rate) / kPairs);
}

// Times of about a second: each launch has a level of its own, answers spread around it.
class Machine {
 public:
  Machine(double between, double within) : between_(between), within_(within) {}
  Launches run(int n_launches, int n_answers, double shift = 0) {
    Launches launches(static_cast<size_t>(n_launches));
    for (auto& values : launches) {
      const double level = shift + between_ * normal();
      for (int i = 0; i < n_answers; ++i) values.push_back(std::exp(level + within_ * normal()));
    }
    return launches;
  }

 private:
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  double normal() {
    return std::sqrt(-2 * std::log1p(-uniform())) * std::cos(6.283185307179586 * uniform());
  }
  double between_, within_;
  std::mt19937_64 bits_{20240301};
};

std::vector<double> pooled(const Launches& launches) {
  std::vector<double> all;
  for (const auto& values : launches) all.insert(all.end(), values.begin(), values.end());
  return all;
}

template <class Alarm>
double rate_of(const Alarm& alarm) {
  int alarms = 0;
  for (int i = 0; i < kPairs; ++i) alarms += alarm();
  return static_cast<double>(alarms) / kPairs;
}

// Two runs of the same thing, each launch 5 % off its neighbour.
TEST(TwoRunsOfTheSame, RaiseNoMoreFalseAlarmsThanAllowed) {
  constexpr int kAnswers = 12;
  for (const int n_launches : {1, 2, 3, 5, 10}) {
    Machine machine(0.05, 0.1);
    EXPECT_LE(rate_of([&] {
                const auto test = launch_test(machine.run(n_launches, kAnswers),
                                              machine.run(n_launches, kAnswers), {});
                EXPECT_EQ(test->measured, n_launches > 1);
                return test->p <= kAlpha;
              }),
              kAlpha + monte_carlo_error(kAlpha))
        << n_launches;
  }
  // Sides of different size, and of different spread within.
  Machine machine(0.05, 0.02);
  EXPECT_LE(
      rate_of([&] { return launch_test(machine.run(3, 5), machine.run(8, 30), {})->p <= kAlpha; }),
      kAlpha + monte_carlo_error(kAlpha));
  // What all this is for: answers taken one by one.
  Machine naive(0.05, 0.1);
  EXPECT_GT(rate_of([&] {
              return mann_whitney(pooled(naive.run(1, 100)), pooled(naive.run(1, 100))).p <= kAlpha;
            }),
            0.4);
}

TEST(TwoRunsOfTheSame, AnAssumedSpreadThatIsTooSmallRaisesFalseAlarms) {
  Machine machine(0.2, 0.1);
  EXPECT_GT(
      rate_of([&] { return launch_test(machine.run(1, 12), machine.run(1, 12), {})->p <= kAlpha; }),
      0.5);
  LaunchSettings honest;
  honest.noise = 0.2;
  EXPECT_LE(rate_of([&] {
              return launch_test(machine.run(1, 12), machine.run(1, 12), honest)->p <= kAlpha;
            }),
            kAlpha + monte_carlo_error(kAlpha));
}

TEST(PlantedSlowdown, IsFoundAsOftenAsItsErrorSays) {
  constexpr double kShift = 0.12;
  for (const int n_launches : {1, 5, 10}) {
    Machine machine(0.03, 0.1);
    LaunchSettings settings;
    settings.noise = 0.03;
    const double found = rate_of([&] {
      return launch_test(machine.run(n_launches, 20), machine.run(n_launches, 20, kShift), settings)
                 ->p <= kAlpha;
    });
    // Standard errors 0.057, 0.026 and 0.018.
    EXPECT_NEAR(found, n_launches == 1 ? 0.55 : n_launches == 5 ? 0.98 : 1, 0.07) << n_launches;
  }
}

TEST(HierarchicalBootstrap, CoversTheTruthAsOftenAsItSays) {
  constexpr double kShift = 0.12;
  constexpr int kExperiments = 400;
  LaunchSettings settings;
  settings.noise = 0.03;
  for (const int n_launches : {1, 5, 10}) {
    Machine machine(0.03, 0.1);
    int covered = 0;
    for (int i = 0; i < kExperiments; ++i) {
      const auto interval = launch_ratio_interval(machine.run(n_launches, 15),
                                                  machine.run(n_launches, 15, kShift), settings);
      covered += interval->lo <= std::exp(kShift) && std::exp(kShift) <= interval->hi;
    }
    EXPECT_NEAR(static_cast<double>(covered) / kExperiments, 0.95, 0.035) << n_launches;
  }
}

TEST(LaunchTest, TestsAgainstARatio) {
  Machine machine(0.01, 0.02);
  const Launches base = machine.run(6, 20), now = machine.run(6, 20, std::log(1.1));
  EXPECT_LT(launch_test(base, now, {})->p, 1e-4);
  EXPECT_GT(launch_test(base, now, {}, 1.1)->p, 0.05);
  EXPECT_LT(launch_test(base, now, {}, 1.2)->p, 1e-4);
  const Interval interval = *launch_ratio_interval(base, now, {});
  EXPECT_GT(interval.lo, 1.05);
  EXPECT_LT(interval.hi, 1.15);
}

TEST(LaunchTest, OfConstantSamplesTheIntervalIsTheirRatio) {
  const Launches base{std::vector<double>(6, 4.0)}, now{std::vector<double>(9, 5.0)};
  const Interval alone = *launch_ratio_interval(base, now, {.noise = 0});
  EXPECT_DOUBLE_EQ(alone.lo, 1.25);
  EXPECT_DOUBLE_EQ(alone.hi, 1.25);
  const Interval assumed = *launch_ratio_interval(base, now, {.noise = 0.05});
  EXPECT_NEAR(std::log(assumed.hi / 1.25), 1.96 * 0.05 * std::sqrt(2), 0.01);
  EXPECT_NEAR(std::log(1.25 / assumed.lo), 1.96 * 0.05 * std::sqrt(2), 0.01);
}

TEST(LaunchTest, IsNothingWithoutARatioAndTheSameInAnyOrder) {
  EXPECT_FALSE(launch_test({}, {{1}}, {}).has_value());
  EXPECT_FALSE(launch_test({{1, 0}}, {{1}}, {}).has_value());
  EXPECT_FALSE(launch_ratio_interval({{1}}, {{1, 2}}, {}).has_value());
  EXPECT_EQ(launch_test({{1, 2}, {1, 2}}, {{1, 2}, {2, 1}}, {})->p, 1);
  EXPECT_EQ(launch_test({{1, 1}, {1}}, {{2}, {2}}, {})->p, 0) << "no spread at all";
  const Launches base = {{1, 2, 3}, {2, 3, 5}}, now = {{4, 2, 3}, {2, 7, 5}};
  const Launches shuffled_base = {{5, 3, 2}, {3, 2, 1}}, shuffled_now = {{2, 5, 7}, {3, 4, 2}};
  EXPECT_DOUBLE_EQ(launch_test(base, now, {})->p, launch_test(shuffled_base, shuffled_now, {})->p);
  const auto a = launch_ratio_interval(base, now, {});
  const auto b = launch_ratio_interval(shuffled_base, shuffled_now, {});
  EXPECT_EQ(a->lo, b->lo);
  EXPECT_EQ(a->hi, b->hi);
}

}  // namespace
}  // namespace ds4::reports
