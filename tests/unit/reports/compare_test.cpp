// Comparisons of two stored runs: planted changes are found, equal runs are not told apart, and
// what cannot be compared is named.
#include "reports/compare/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "reports/compare/endings.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kCases = 40;

class CompareTest : public testing::Test {
 protected:
  CompareTest() : base_(kCases), now_(kCases) {
    base_.data.run.id = "base-run";
    now_.data.run.id = "new-run";
    base_.launch("ok");
    now_.launch("ok");
  }

  /// All cases right but the first `n_wrong`; times spread over 10 %, all of them times `slower`.
  void answer(ExampleRun& run, int n_wrong, double slower = 1) {
    for (int i = 0; i < kCases; ++i) {
      StoredAttempt& attempt =
          i < n_wrong ? run.attempt(i, "wrong", 0) : run.attempt(i, "correct", 1);
      attempt.first_token_s *= slower * (1 + 0.1 * (i * 7 % kCases) / kCases);
    }
  }
  Comparison compare(const CompareSettings& settings = {}) {
    auto store = Store::open(folder_.path() / "results.db");
    base_.write(*store);
    now_.write(*store);
    return compare_runs(*store, "base-run", *store, "new-run", settings);
  }
  static const ScoreChange& exact(const Comparison& comparison) { return comparison.scores.at(0); }
  static const SampleChange& sample(const Comparison& comparison, const std::string& metric) {
    for (const SampleChange& line : comparison.samples) {
      if (line.metric == metric) return line;
    }
    throw std::runtime_error(metric);
  }

  TemporaryFolder folder_;
  ExampleRun base_, now_;
};

TEST_F(CompareTest, EqualRunsAreNotTakenForDifferent) {
  answer(base_, 5);
  answer(now_, 5);
  const Comparison comparison = compare();
  EXPECT_EQ(comparison.count(Change::kNotSeparable),
            static_cast<int>(comparison.scores.size() + comparison.samples.size()));
  EXPECT_EQ(comparison.exit_code(), 0);
  EXPECT_TRUE(comparison.environment.empty());
  EXPECT_TRUE(comparison.not_compared.empty());
  EXPECT_FALSE(exact(comparison).test.counted) << "no case differs: nothing to test";
  EXPECT_THAT(comparison_text(comparison, false), HasSubstr("= NOT SEPARABLE"));
}

TEST_F(CompareTest, APlantedLossIsARegressionAndTheReverseAnImprovement) {
  answer(base_, 0);
  answer(now_, 12);
  const Comparison comparison = compare();
  const ScoreChange& line = exact(comparison);
  EXPECT_EQ(line.difference.lost, 12);
  EXPECT_EQ(line.difference.gained, 0);
  // One score and three times can show something; two times 2^-12, times four.
  EXPECT_EQ(comparison.n_tests, 4);
  EXPECT_NEAR(line.test.adjusted_p, 4 * 2 / 4096.0, 1e-12);
  EXPECT_EQ(line.test.change, Change::kRegression);
  EXPECT_FALSE(line.no_worse.shown);
  EXPECT_EQ(comparison.exit_code(), 1);

  auto store = Store::open(folder_.path() / "results.db");
  const Comparison reverse = compare_runs(*store, "new-run", *store, "base-run", {});
  EXPECT_EQ(exact(reverse).test.change, Change::kImprovement);
  EXPECT_TRUE(exact(reverse).no_worse.shown);
  EXPECT_EQ(reverse.exit_code(), 0);
}

TEST_F(CompareTest, WhatOneTestShowsManyTestsMayNot) {
  answer(base_, 0);
  answer(now_, 6);  // p = 1/32 alone; with three times beside it 1/8
  const Comparison comparison = compare();
  EXPECT_NEAR(exact(comparison).test.p, 1.0 / 32, 1e-12);
  EXPECT_NEAR(exact(comparison).test.adjusted_p, 1.0 / 8, 1e-12);
  EXPECT_EQ(exact(comparison).test.change, Change::kNotSeparable);
}

// With three times beside it: 4 / 64 is not enough, 4 / 128 is.
TEST_F(CompareTest, AlphaIsWhereTheVerdictTurns) {
  answer(base_, 0);
  answer(now_, 7);
  const Comparison seven = compare();
  EXPECT_NEAR(exact(seven).test.adjusted_p, 1.0 / 16, 1e-12);
  EXPECT_EQ(exact(seven).test.change, Change::kNotSeparable);
  auto store = Store::open(folder_.path() / "results.db");
  CompareSettings lenient;
  lenient.alpha = 0.07;
  const Comparison again = compare_runs(*store, "base-run", *store, "new-run", lenient);
  EXPECT_EQ(exact(again).test.change, Change::kRegression);
}

// A cell that used to finish and was not even launched.
TEST_F(CompareTest, ACellThatNoLongerFitsIsARegression) {
  answer(base_, 0);
  now_.data.launches.clear();
  now_.data.queue = {{.cell_key = "k1", .state = "refused", .reason = "it needs 130 GiB"}};
  Comparison comparison;
  add_ending(comparison, base_.data, now_.data, {base_.data.cells[0], now_.data.cells[0]});
  ASSERT_EQ(comparison.endings.size(), 1u);
  EXPECT_EQ(comparison.endings[0].kind, "does not fit");
  EXPECT_EQ(comparison.endings[0].outcome, "PREFLIGHT_REFUSED");
  EXPECT_EQ(comparison.endings[0].n_cases, kCases);
  EXPECT_EQ(comparison.exit_code(), 1);
  EXPECT_EQ(
      add_tests(comparison, base_.data, now_.data, {{base_.data.cells[0], now_.data.cells[0]}}),
      0u);
  EXPECT_TRUE(comparison.not_compared.empty()) << "not each of its cases once more";
}

TEST_F(CompareTest, SecondaryScoresAreDescribedOnly) {
  answer(base_, 0);
  answer(now_, 0);
  for (StoredAttempt& attempt : now_.data.attempts) attempt.score->values["near"] = 1;
  const Comparison comparison = compare();
  ASSERT_EQ(comparison.scores.size(), 2u);
  EXPECT_EQ(comparison.scores[1].difference.change, 1);
  EXPECT_FALSE(comparison.scores[1].headline);
  EXPECT_EQ(comparison.scores[1].test.change, Change::kNotSeparable);
}

TEST_F(CompareTest, SlowerAnswersAreARegressionBeyondTheMargin) {
  answer(base_, 0);
  answer(now_, 0, 1.3);
  const Comparison comparison = compare();
  EXPECT_EQ(sample(comparison, "ttft").test.change, Change::kRegression);
  EXPECT_EQ(sample(comparison, "prefill_rate").test.change, Change::kRegression);
  EXPECT_EQ(sample(comparison, "decode_rate").test.change, Change::kNotSeparable);
  EXPECT_NEAR(*sample(comparison, "ttft").change, 0.3, 1e-9);
  EXPECT_LT(sample(comparison, "ttft").interval->lo, 0.3);
  EXPECT_GT(sample(comparison, "ttft").interval->hi, 0.3);
  EXPECT_THAT(comparison_text(comparison, false), HasSubstr("repeat both runs"));

  auto store = Store::open(folder_.path() / "results.db");
  CompareSettings tolerant;
  tolerant.margin = 0.4;
  const Comparison again = compare_runs(*store, "base-run", *store, "new-run", tolerant);
  EXPECT_EQ(sample(again, "ttft").test.change, Change::kNotSeparable);
}

// The machine was three times slower for one launch, which was repeated: nothing is slower.
TEST_F(CompareTest, TimesOfASlowLaunchAreLeftOutAndNamed) {
  answer(base_, 0);
  answer(now_, 0, 3);
  now_.data.launches[0].outcome = "SLOW_STATE";
  now_.sample("load_time", 9);
  now_.launch("ok").sample("load_time", 3);
  base_.sample("load_time", 3);
  answer(now_, 0);
  for (size_t i = 0; i < now_.data.attempts.size(); ++i) {
    now_.data.attempts[i].launch = now_.data.attempts[i].number = i < kCases ? 1 : 2;
  }
  const Comparison comparison = compare();
  EXPECT_EQ(comparison.count(Change::kRegression), 0);
  EXPECT_EQ(sample(comparison, "ttft").n_now(), static_cast<size_t>(kCases));
  EXPECT_NEAR(*sample(comparison, "ttft").change, 0, 1e-12);
  EXPECT_EQ(sample(comparison, "load_time").now, 3);
  EXPECT_EQ(exact(comparison).difference.n, kCases) << "its answers count";
  EXPECT_THAT(comparison.not_compared,
              ElementsAre("cell kv_dtype=k1: times of new's launch 1: SLOW_STATE"));
}

TEST_F(CompareTest, OneLaunchASideProvesNothing) {
  answer(base_, 0);
  answer(now_, 0);
  base_.sample("peak_memory", 1e9);
  now_.sample("peak_memory", 3e9);
  const SampleChange line = sample(compare(), "peak_memory");
  EXPECT_FALSE(line.test.counted);
  EXPECT_EQ(line.test.change, Change::kNotSeparable);
  EXPECT_EQ(*line.change, 2);
  EXPECT_FALSE(line.test.detectable.has_value());
}

TEST_F(CompareTest, NamesWhatDiffersInTheEnvironment) {
  answer(base_, 0);
  answer(now_, 0);
  base_.data.cells[0].semantics = R"({"engine":{"kv_dtype":"fp8","seed":1}})";
  now_.data.cells[0].semantics = R"({"engine":{"kv_dtype":"bf16","seed":1}})";
  now_.data.run.checkpoint_identity = "beef";
  now_.data.run.machine = R"({"cpu":"another cpu","cores":2})";
  now_.data.run.version = "0.2.0";
  std::vector<std::string> what;
  for (const EnvironmentDifference& d : compare().environment) {
    what.push_back(d.what + ": " + d.base + " -> " + d.now);
  }
  EXPECT_THAT(what, ElementsAre("checkpoint identity: feed -> beef", "engine.kv_dtype: fp8 -> bf16",
                                "machine.cpu: a cpu -> another cpu",
                                "build: 0.1.0, 0123456789abcdef, modified -> 0.2.0, "
                                "0123456789abcdef, modified"));
}

TEST_F(CompareTest, LongValuesAreShortInTheTextAndWholeInJson) {
  answer(base_, 0);
  answer(now_, 0);
  now_.data.run.checkpoint_identity = std::string(64, 'a');
  now_.data.run.machine = R"({"cpu":")" + std::string(70, 'c') + R"(","cores":2})";
  const Comparison comparison = compare();
  const std::string text = comparison_text(comparison, false);
  EXPECT_THAT(text, HasSubstr(std::string(64, 'a') + "\n"));
  EXPECT_THAT(text, HasSubstr(std::string(64, 'c') + "…\n"));
  EXPECT_THAT(comparison_json(comparison), HasSubstr(std::string(70, 'c')));
}

TEST_F(CompareTest, NamesCasesWithoutACounterpart) {
  answer(base_, 0);
  answer(now_, 0);
  now_.data.attempts.pop_back();                   // c39: no answer
  now_.data.attempts[3].score->grade = "invalid";  // c3
  now_.data.attempts[3].score->values.clear();
  now_.data.attempts[5].prompt = "another prompt";  // c5
  const Comparison comparison = compare();
  EXPECT_THAT(comparison.not_compared,
              ElementsAre("needle/c5: the prompts differ", "needle/c39: answered only in base",
                          "needle/c3: has a verdict only in base"));
  EXPECT_EQ(exact(comparison).difference.n, kCases - 3);
  EXPECT_EQ(sample(comparison, "ttft").n_now(), static_cast<size_t>(kCases - 2));
}

TEST_F(CompareTest, RefusesWhatAnotherScorerGradedAndRunsThatShareNothing) {
  answer(base_, 0);
  answer(now_, 0);
  for (StoredAttempt& attempt : now_.data.attempts) attempt.score->suite_version = 7;
  try {
    compare();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("share no case"));
  }
}

TEST_F(CompareTest, PairsCellsByKeyThenLabelThenWhatIsLeft) {
  base_.data.cells = {example_cell("a", 0), example_cell("b", 1), example_cell("c", 2)};
  now_.data.cells = {example_cell("a", 0), example_cell("x", 1), example_cell("y", 2)};
  now_.data.cells[1].label = "kv_dtype=b";
  std::vector<std::string> unpaired;
  auto pairs = pair_cells(base_.data, now_.data, unpaired);
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[1].base.key, "b");
  EXPECT_EQ(pairs[1].now.key, "x");
  EXPECT_EQ(pairs[2].base.key, "c");
  EXPECT_EQ(pairs[2].now.key, "y");
  EXPECT_TRUE(unpaired.empty());
  now_.data.cells.push_back(example_cell("z", 3));
  pairs = pair_cells(base_.data, now_.data, unpaired);
  EXPECT_EQ(pairs.size(), 2u) << "one against two is a guess";
  EXPECT_THAT(unpaired, ElementsAre("cell kv_dtype=c: only in base", "cell kv_dtype=y: only in new",
                                    "cell kv_dtype=z: only in new"));
}

TEST_F(CompareTest, JsonSaysWhatTheTextSays) {
  answer(base_, 0);
  answer(now_, 12);
  const Comparison comparison = compare();
  const auto json = nlohmann::json::parse(comparison_json(comparison));
  EXPECT_EQ(json.at("format"), "ds4-compare-1");
  EXPECT_EQ(json.at("exit_code"), 1);
  EXPECT_EQ(json.at("scores").at(0).at("verdict"), "regression");
  EXPECT_EQ(json.at("scores").at(0).at("lost"), 12);
  EXPECT_TRUE(json.at("scores").at(1).at("verdict").is_null());
  EXPECT_EQ(json.at("samples").at(0).at("n_base"), kCases);
  const std::string text = comparison_text(comparison, false);
  EXPECT_THAT(text, HasSubstr("the same checkpoint, settings, machine and build"));
  EXPECT_THAT(text, HasSubstr("✗ REGRESSION"));
  EXPECT_THAT(text, HasSubstr("1 regression, 0 improvements in 4 tests"));
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace ds4::reports
