// Whole comparisons of simulated runs with a fixed seed: how often two runs of the very same thing
// raise any alarm, and how often a planted change is found.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "reports/compare/comparison.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

constexpr int kPairs = 2000;
constexpr int kCases = 8;
constexpr double kAlpha = 0.05, kPower = 0.8;

double bound(double rate) {
  return rate + 3 * std::sqrt(rate * (1 - rate) / kPairs);
}

/// Runs of a model that gets four cases of five right, on a machine whose launches differ by 5 %
/// and whose answers differ by 10 % within one.
class Lab {
 public:
  ExampleRun run(int n_launches, double slower = 1, double right = 0.8) {
    ExampleRun run(kCases);
    for (int launch = 1; launch <= n_launches; ++launch) {
      const double level = slower * std::exp(0.05 * normal());
      run.launch("ok").sample("load_time", 3 * level * std::exp(0.1 * normal()));
      for (int i = 0; i < kCases; ++i) {
        StoredAttempt& attempt = uniform() < right ? run.attempt(i, "correct", 1, launch)
                                                   : run.attempt(i, "wrong", 0, launch);
        attempt.launch = launch;
        attempt.first_token_s = level * std::exp(0.1 * normal());
        const double step = 0.1 * level * std::exp(0.1 * normal());
        for (size_t e = 0; e < attempt.events.size(); ++e) {
          attempt.events[e].time_s = attempt.first_token_s + step * static_cast<double>(e);
        }
      }
    }
    return run;
  }
  static Comparison compare(const ExampleRun& base, const ExampleRun& now) {
    Comparison comparison;
    comparison.settings.margin = 0;  // of no help against false alarms
    add_tests(comparison, base.data, now.data, {{base.data.cells[0], now.data.cells[0]}});
    return comparison;
  }

 private:
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  double normal() {
    return std::sqrt(-2 * std::log1p(-uniform())) * std::cos(6.283185307179586 * uniform());
  }
  std::mt19937_64 bits_{20240307};
};

TEST(WholeComparison, OfTwoOfTheSameRaisesNoMoreFalseAlarmsThanAllowed) {
  for (const int n_launches : {1, 4}) {
    Lab lab;
    int alarms = 0, unadjusted = 0;
    for (int i = 0; i < kPairs; ++i) {
      const Comparison c = Lab::compare(lab.run(n_launches), lab.run(n_launches));
      alarms += c.count(Change::kRegression) + c.count(Change::kImprovement) > 0;
      bool any = false;
      for (const SampleChange& line : c.samples) any |= line.test.counted && line.test.p <= kAlpha;
      for (const ScoreChange& line : c.scores) any |= line.test.counted && line.test.p <= kAlpha;
      unadjusted += any;
    }
    EXPECT_LE(alarms / double{kPairs}, bound(kAlpha)) << n_launches;
    EXPECT_GT(unadjusted / double{kPairs}, bound(kAlpha)) << "this is what Holm is for";
  }
}

TEST(WholeComparison, FindsWhatItSaysItWouldHaveFound) {
  Lab lab;
  int found = 0, wrong_way = 0;
  constexpr int kTries = 200;
  for (int i = 0; i < kTries; ++i) {
    const Comparison same = Lab::compare(lab.run(5), lab.run(5));
    const auto ttft = [](const Comparison& c) {
      for (const SampleChange& line : c.samples) {
        if (line.metric == "ttft") return line;
      }
      return SampleChange{};
    };
    const double detectable = *ttft(same).test.detectable;
    const Change change = ttft(Lab::compare(lab.run(5), lab.run(5, 1 + detectable))).test.change;
    found += change == Change::kRegression;
    wrong_way += change == Change::kImprovement;
  }
  // Its own error, of few launches, is uncertain, too; and Holm asks less of the larger p.
  EXPECT_NEAR(found / double{kTries}, kPower, 0.1);
  EXPECT_EQ(wrong_way, 0);
}

}  // namespace
}  // namespace ds4::reports
