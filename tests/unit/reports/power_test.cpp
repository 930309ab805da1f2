// What the tests of reports/stats promise, by simulation with a fixed seed: false alarms of two
// measurements of the same thing, and how often a planted change is found.
#include "reports/stats/power.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <regex>
#include <vector>

#include "reports/stats/holm.h"
#include "reports/stats/launches.h"
#include "reports/stats/normal.h"
#include "reports/stats/ranks.h"
#include "reports/stats/stats.h"
#include "tests/support/source_dir.h"

namespace ds4::reports {
namespace {

constexpr int kPairs = 2000;
constexpr double kAlpha = 0.05, kPower = 0.8;

double monte_carlo_error(double rate) {
  return 3 * std::sqrt(rate * (1 - rate) / kPairs);
}

class Source {
 public:
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  double normal() {  // Box and Muller, one of two
    return std::sqrt(-2 * std::log1p(-uniform())) * std::cos(6.283185307179586 * uniform());
  }
  /// Times of about a second with the given standard deviation of their logarithms.
  std::vector<double> times(int n, double deviation, double shift = 0) {
    std::vector<double> values(static_cast<size_t>(n));
    for (double& value : values) value = std::exp(shift + deviation * normal());
    return values;
  }
  struct Counts {
    int64_t lost = 0, gained = 0;
  };
  Counts items(int n, double lost, double gained) {
    Counts counts;
    for (int i = 0; i < n; ++i) {
      const double u = uniform();
      counts.lost += u < lost;
      counts.gained += u >= lost && u < lost + gained;
    }
    return counts;
  }

 private:
  std::mt19937_64 bits_{20240229};
};

template <class Alarm>
double rate_of(const Alarm& alarm) {
  int alarms = 0;
  for (int i = 0; i < kPairs; ++i) alarms += alarm();
  return static_cast<double>(alarms) / kPairs;
}

TEST(TwoOfTheSame, RaiseNoMoreFalseAlarmsThanAllowed) {
  Source source;
  const double bound = kAlpha + monte_carlo_error(kAlpha);
  for (const double differing : {0.02, 0.1, 0.5}) {
    EXPECT_LE(rate_of([&] {
                const auto [lost, gained] = source.items(400, differing / 2, differing / 2);
                return mcnemar(lost, gained).exact_p <= kAlpha;
              }),
              kAlpha)
        << differing;
    EXPECT_LE(rate_of([&] {
                const auto [lost, gained] = source.items(400, differing / 2, differing / 2);
                return mcnemar(lost, gained).mid_p <= kAlpha;
              }),
              bound)
        << differing;
  }
  for (const auto& [n, m] : {std::pair{5, 5}, std::pair{20, 12}, std::pair{60, 80}}) {
    EXPECT_LE(rate_of([&] {
                return mann_whitney(source.times(n, 0.2), source.times(m, 0.2)).p <= kAlpha;
              }),
              bound)
        << n << " against " << m;
  }
  EXPECT_LE(rate_of([&] {  // a coarse clock: many ties
              auto a = source.times(40, 0.2), b = source.times(30, 0.2);
              for (auto* values : {&a, &b}) {
                for (double& value : *values) value = std::round(value * 10);
              }
              return mann_whitney(a, b).p <= kAlpha;
            }),
            bound);
}

TEST(TwoOfTheSame, RaiseNoMoreFalseAlarmsWhenManyTestsAreMade) {
  Source source;
  const auto any_alarm = [&](bool adjusted) {
    std::vector<double> p;
    for (int i = 0; i < 4; ++i) {
      const auto [lost, gained] = source.items(300, 0.1, 0.1);
      p.push_back(mcnemar(lost, gained).exact_p);
      p.push_back(mann_whitney(source.times(20, 0.2), source.times(20, 0.2)).p);
    }
    if (adjusted) p = holm_adjusted(p);
    return *std::min_element(p.begin(), p.end()) <= kAlpha;
  };
  EXPECT_LE(rate_of([&] { return any_alarm(true); }), kAlpha + monte_carlo_error(kAlpha));
  EXPECT_GT(rate_of([&] { return any_alarm(false); }), 0.2) << "this is what Holm is for";
}

TEST(NonInferiority, IsRarelyShownOfALossOfTheMargin) {
  Source source;
  constexpr int kItems = 600;
  const auto shown = [&](double loss) {
    return rate_of([&] {
      const auto [lost, gained] = source.items(kItems, 0.05 + loss / 2, 0.05 - loss / 2);
      return paired_non_inferiority(static_cast<double>(gained - lost),
                                    static_cast<double>(gained + lost), kItems, 0.03, kAlpha)
          .shown;
    });
  };
  EXPECT_LE(shown(0.03), kAlpha + monte_carlo_error(kAlpha));
  EXPECT_GT(shown(0), 0.7);
}

TEST(RatioOfMedians, CoversTheTruthAsOftenAsItSays) {
  Source source;
  constexpr int kExperiments = 500;
  int covered = 0;
  for (int i = 0; i < kExperiments; ++i) {
    const auto interval = launch_ratio_interval(
        {source.times(25, 0.2)}, {source.times(25, 0.2, std::log(1.1))}, {.noise = 0});
    covered += interval->lo <= 1.1 && 1.1 <= interval->hi;
  }
  EXPECT_NEAR(static_cast<double>(covered) / kExperiments, 0.95, 0.03);
}

double binomial(int64_t n, int64_t k, double p) {
  const double x = static_cast<double>(k), total = static_cast<double>(n);
  return std::exp(std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) +
                  x * std::log(p) + (total - x) * std::log1p(-p));
}

// The probability that McNemar's test finds the change: over all numbers of items lost and gained.
double power_by_enumeration(int n, double lost, double gained) {
  double power = 0;
  for (int differing = 1; differing <= n; ++differing) {
    const double weight = binomial(n, differing, lost + gained);
    if (weight < 1e-12) continue;
    for (int k = 0; k <= differing; ++k) {
      if (mcnemar(k, differing - k).mid_p > kAlpha) continue;
      power += weight * binomial(differing, k, lost / (lost + gained));
    }
  }
  return power;
}

TEST(PlantedLoss, IsFoundAsOftenAsPredicted) {
  Source source;
  for (const auto& [n, differing] : {std::pair{200, 0.2}, std::pair{400, 0.1}}) {
    const double loss = *smallest_detectable_difference(n, differing, kAlpha, kPower);
    const double lost = (differing + loss) / 2, gained = (differing - loss) / 2;
    const double predicted = power_by_enumeration(n, lost, gained);
    EXPECT_NEAR(predicted, kPower, 0.02) << n;
    const double found = rate_of([&] {
      const auto counts = source.items(n, lost, gained);
      return mcnemar(counts.lost, counts.gained).mid_p <= kAlpha;
    });
    EXPECT_NEAR(found, predicted, monte_carlo_error(predicted)) << n;
  }
}

TEST(PlantedSlowdown, IsFoundAsOftenAsPredicted) {
  Source source;
  constexpr double kDeviation = 0.1;
  for (const int n : {20, 40}) {
    // Logarithms at +-c around their mean, so that their pooled deviation is kDeviation.
    std::vector<double> values;
    const double c = kDeviation * std::sqrt((n - 1.0) / n);
    for (int i = 0; i < n; ++i) values.push_back(std::exp(i % 2 == 0 ? c : -c));
    const double change = *smallest_detectable_change(values, values, kAlpha, kPower);
    const double found = rate_of([&] {
      return mann_whitney(source.times(n, kDeviation),
                          source.times(n, kDeviation, std::log1p(change)))
                 .p <= kAlpha;
    });
    // The formula is asymptotic: two points beside the error of the simulation.
    EXPECT_NEAR(found, kPower, monte_carlo_error(kPower) + 0.02) << n;
  }
}

TEST(SmallestDetectableDifference, AgreesWithKnownValues) {
  struct Known {
    int64_t n;
    double differing, points;
  };
  for (const Known& k :
       {Known{1319, 0.02, 1.09}, Known{1319, 0.03, 1.33}, Known{1319, 0.04, 1.54},
        Known{1319, 0.05, 1.72}, Known{1319, 0.08, 2.18}, Known{1319, 0.10, 2.44},
        Known{1570, 0.02, 1.00}, Known{2350, 0.03, 1.00}, Known{3140, 0.04, 1.00},
        Known{3920, 0.05, 1.00}, Known{6280, 0.08, 1.00}, Known{7850, 0.10, 1.00}}) {
    EXPECT_NEAR(100 * *smallest_detectable_difference(k.n, k.differing, kAlpha, kPower), k.points,
                0.0051)
        << k.n << " " << k.differing;
  }
}

// Items a side to tell p from p - x when each run has items of its own. `null_variance`: of the
// difference of two such proportions if nothing differed, times n.
double unpaired_items(double p, double x, double null_variance) {
  const double za = normal_quantile(1 - kAlpha / 2), zb = normal_quantile(kPower);
  const double q = p - x;
  const double root = za * std::sqrt(null_variance) + zb * std::sqrt(p * (1 - p) + q * (1 - q));
  return root * root / (x * x);
}

// The rows "| same cases | 2 % ... | 1,570 |" and "| other cases, each run | 85 % ... | 20,180 |".
TEST(HowManyCases, AreThoseOfTheMethodPage) {
  std::ifstream page(test_support::source_dir() / "docs/method.md");
  int same = 0, other = 0;
  for (std::string line; std::getline(page, line);) {
    std::smatch row;
    const bool is_row = std::regex_match(
        line, row, std::regex(R"(\| (same cases|other cases)[^|]*\| (\d+) %[^|]*\| ([\d,]+) \|)"));
    if (!is_row) continue;
    const double share = std::stod(row[2]) / 100;
    std::string digits = row[3];
    std::erase(digits, ',');
    const int64_t n = std::stoll(digits);
    if (row[1] == "same cases") {
      ++same;
      const auto x = smallest_detectable_difference(n, share, kAlpha, kPower);
      EXPECT_NEAR(100 * *x, 1, 0.0051) << line;
    } else {
      ++other;
      EXPECT_NEAR(static_cast<double>(n), unpaired_items(share, 0.01, 2 * share * (1 - share)), 5)
          << line;
    }
  }
  EXPECT_EQ(same, 6);
  EXPECT_EQ(other, 3);
  // With the variance of both proportions pooled, the textbook's formula, a little more or less.
  const double down = 0.845, up = 0.855;
  EXPECT_NEAR(unpaired_items(0.85, 0.01, 2 * down * (1 - down)), 20559, 1);
  EXPECT_NEAR(unpaired_items(0.85, -0.01, 2 * up * (1 - up)), 19460, 1);
}

TEST(SmallestDetectableDifference, NeverExceedsTheShareThatDiffers) {
  // Nothing differed: seven or eight of 100, all one way, would have been found.
  const double none = *smallest_detectable_difference(100, 0, kAlpha, kPower);
  EXPECT_NEAR(none, 0.07666, 0.00001);  // sqrt(100 x) = 1.96 + 0.8416 sqrt(1 - x)
  EXPECT_EQ(*smallest_detectable_difference(100, 0.01, kAlpha, kPower), none);
  EXPECT_GT(*smallest_detectable_difference(100, 0.2, kAlpha, kPower), none);
  EXPECT_FALSE(smallest_detectable_difference(3, 0.5, kAlpha, kPower).has_value());
}

TEST(SmallestDetectableChange, NeedsSpreadAndPositiveValues) {
  const std::vector<double> one{1}, some{1, 2, 3}, zero{0, 1, 2};
  EXPECT_FALSE(smallest_detectable_change(one, some, kAlpha, kPower).has_value());
  EXPECT_FALSE(smallest_detectable_change(some, zero, kAlpha, kPower).has_value());
  EXPECT_EQ(*smallest_detectable_change(std::vector<double>(3, 2), std::vector<double>(4, 5),
                                        kAlpha, kPower),
            0);
}

}  // namespace
}  // namespace ds4::reports
