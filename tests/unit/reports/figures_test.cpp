// Figures: what enters a number, what is counted beside it, and which rows are named.
#include "reports/figures/difference.h"
#include "reports/figures/figure.h"

#include <gtest/gtest.h>

#include "reports/figures/format.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

const Selection kNeedle{"k1", "needle", {}};

TEST(FigureDeathTest, CannotBeMadeWithoutRows) {
  FigureData data;
  data.value = 1;
  data.n = 1;
  EXPECT_DEATH(Figure{data}, "no rows behind it");
}

TEST(ScoreFigure, IsTheMeanOverCasesWithAVerdict) {
  ExampleRun run(5);
  run.attempt(0, "correct", 1);
  run.attempt(1, "wrong", 0);
  run.attempt(2, "correct", 1);
  run.attempt(3, "invalid");
  const auto figure = score_figure(run.data, kNeedle, "exact");
  ASSERT_TRUE(figure);
  EXPECT_NEAR(*(*figure)->value, 2.0 / 3, 1e-12);
  EXPECT_EQ((*figure)->n, 3);
  EXPECT_EQ((*figure)->n_invalid, 1);
  EXPECT_EQ((*figure)->attempt_ids, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_NEAR((*figure)->interval->lo, wilson_interval(2, 3)->lo, 1e-12);
}

TEST(ScoreFigure, AveragesRepeatsOfACaseFirst) {
  ExampleRun run(2);
  run.attempt(0, "correct", 1, 1);
  run.attempt(0, "correct", 1, 2);
  run.attempt(0, "wrong", 0, 3);
  run.attempt(1, "wrong", 0, 1);
  const auto figure = score_figure(run.data, kNeedle, "exact");
  EXPECT_NEAR(*(*figure)->value, (2.0 / 3 + 0) / 2, 1e-12);
  EXPECT_EQ((*figure)->n, 2);
}

TEST(ScoreFigure, ARepeatWithAVerdictMakesTheCaseValid) {
  ExampleRun run(1);
  run.attempt(0, "invalid", 0, 1);
  run.attempt(0, "correct", 1, 2);
  const auto figure = score_figure(run.data, kNeedle, "exact");
  EXPECT_EQ((*figure)->n, 1);
  EXPECT_EQ((*figure)->n_invalid, 0);
}

TEST(ScoreFigure, OfInvalidAnswersOnlyHasNoValue) {
  ExampleRun run(2);
  run.attempt(0, "invalid");
  run.attempt(1, "invalid");
  const auto figure = score_figure(run.data, kNeedle, "exact");
  ASSERT_TRUE(figure);
  EXPECT_FALSE((*figure)->value.has_value());
  EXPECT_FALSE((*figure)->interval.has_value());
  EXPECT_EQ((*figure)->n, 0);
  EXPECT_EQ((*figure)->n_invalid, 2);
  EXPECT_EQ(format_value(**figure), "–");
}

TEST(ScoreFigure, LeavesOutScoresThatDoNotApply) {
  ExampleRun run(2);
  run.attempt(0, "correct", 1);
  run.attempt(1, "correct", 1).score->values = {{"near", 1}};
  EXPECT_EQ((*score_figure(run.data, kNeedle, "exact"))->n, 1);
  EXPECT_EQ((*score_figure(run.data, kNeedle, "near"))->n, 2);
  EXPECT_FALSE(score_figure(run.data, kNeedle, "unheard"));
}

TEST(ScoreFigure, IgnoresErrorsAndUngradedAttempts) {
  ExampleRun run(3);
  run.attempt(0, "correct", 1).status = "error";
  run.attempt(1, "");
  EXPECT_FALSE(score_figure(run.data, kNeedle, "exact"));
  run.attempt(2, "correct", 1);
  EXPECT_EQ((*score_figure(run.data, kNeedle, "exact"))->n, 1);
}

TEST(ScoreFigure, SelectsByCellSuiteAndTags) {
  ExampleRun run(3);
  run.attempt(0, "correct", 1);
  run.attempt(1, "wrong", 0).tags = {{"length", "2048"}, {"depth", "0.50"}};
  run.attempt(2, "wrong", 0).cell_key = "k2";
  EXPECT_EQ(*(*score_figure(run.data, {"k1", "needle", {{"length", "512"}}}, "exact"))->value, 1);
  EXPECT_EQ(*(*score_figure(run.data, {"k1", "", {{"length", "2048"}}}, "exact"))->value, 0);
  EXPECT_EQ((*score_figure(run.data, {"k2", "needle", {}}, "exact"))->n, 1);
  EXPECT_FALSE(score_figure(run.data, {"k1", "smoke", {}}, "exact"));
  EXPECT_EQ(tag_values(run.data, kNeedle, "length"), (std::vector<std::string>{"512", "2048"}));
}

TEST(ScoreDifference, PairsTheCasesThatBothCellsAnswered) {
  ExampleRun run(6);
  for (int i = 0; i < 5; ++i) run.attempt(i, "correct", 1);
  run.attempt(0, "wrong", 0, 2);  // a repeat: case 0 counts one half
  const auto in_second = [&](int i, const std::string& grade, double value) {
    run.attempt(i, grade, value).cell_key = "k2";
  };
  in_second(0, "correct", 1);  // gained a half
  in_second(1, "wrong", 0);    // lost
  in_second(2, "correct", 1);  // as before
  in_second(3, "invalid", 0);  // no verdict: no pair
  in_second(5, "wrong", 0);    // not in the first cell: no pair
  const auto difference = score_difference({run.data, "k1"}, {run.data, "k2"}, "needle", "exact");
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->n, 3);
  EXPECT_DOUBLE_EQ(difference->reference, 2.5 / 3);
  EXPECT_DOUBLE_EQ(difference->value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(difference->change, 2.0 / 3 - 2.5 / 3);
  EXPECT_EQ(difference->lost, 1);
  EXPECT_EQ(difference->gained, 1);
  const Interval expected = paired_difference_interval(-0.5, 1.25, 3);
  EXPECT_EQ(difference->interval.lo, expected.lo);
  EXPECT_EQ(difference->interval.hi, expected.hi);
  EXPECT_FALSE(score_difference({run.data, "k1"}, {run.data, "k3"}, "needle", "exact"));
}

TEST(AttemptMetric, FollowsTheGlossary) {
  AttemptRow attempt = example_attempt("k1", "needle", "c0");  // 100 tokens, 0.5 s, then 0.1 s each
  EXPECT_DOUBLE_EQ(*attempt_metric(attempt, "ttft"), 0.5);
  EXPECT_DOUBLE_EQ(*attempt_metric(attempt, "prefill_rate"), 200);
  EXPECT_NEAR(*attempt_metric(attempt, "decode_rate"), 10, 1e-9);
  attempt.cached_tokens = 60;
  EXPECT_DOUBLE_EQ(*attempt_metric(attempt, "prefill_rate"), 80)
      << "cached tokens were not computed";
  attempt.cached_tokens = 100;
  EXPECT_FALSE(attempt_metric(attempt, "prefill_rate"));
  attempt.events = {{0.5, 2}, {0.7, 3}, {0.9, 3}};  // several tokens at once
  EXPECT_NEAR(*attempt_metric(attempt, "decode_rate"), 15, 1e-9);
  attempt.events = {{0.5, 1}};
  EXPECT_FALSE(attempt_metric(attempt, "decode_rate")) << "one token has no rate";
  attempt.events = {{0.5, 1}, {0.5, 1}};
  EXPECT_FALSE(attempt_metric(attempt, "decode_rate")) << "no time passed";
  attempt.first_token_s = -1;
  for (const char* metric : {"ttft", "prefill_rate", "decode_rate"}) {
    EXPECT_FALSE(attempt_metric(attempt, metric)) << metric;
  }
}

TEST(MetricFigure, IsTheMedianOverAttempts) {
  ExampleRun run(4);
  for (int i = 0; i < 3; ++i) run.attempt(i, "correct").first_token_s = 0.1 * (i + 1);
  run.attempt(3, "correct").first_token_s = -1;
  const auto figure = metric_figure(run.data, kNeedle, "ttft");
  ASSERT_TRUE(figure);
  EXPECT_DOUBLE_EQ(*(*figure)->value, 0.2);
  EXPECT_EQ((*figure)->n, 3);
  EXPECT_EQ((*figure)->unit, "s");
  EXPECT_EQ((*figure)->attempt_ids, (std::vector<int64_t>{1, 2, 3})) << "only those that count";
  EXPECT_TRUE((*figure)->interval.has_value());
}

// Launches 1 and 3 count, 2 does not, whatever its outcome of that kind.
TEST(MetricFigure, LeavesOutInvalidLaunchesWhoseAnswersStillCount) {
  for (const char* outcome : {"SLOW_STATE", "CONTAMINATED", "SILENT_FALLBACK"}) {
    ExampleRun run(3);
    for (int launch = 1; launch <= 3; ++launch) {
      run.launch(launch == 2 ? outcome : "ok").sample("load_time", launch == 2 ? 9 : 1);
      StoredAttempt& attempt = run.attempt(launch - 1, "correct");
      attempt.launch = launch;
      attempt.first_token_s = launch == 2 ? 9 : 1;
    }
    EXPECT_EQ(invalid_launches(run.data, "k1"), std::set{2});
    EXPECT_EQ((*metric_figure(run.data, kNeedle, "ttft"))->attempt_ids,
              (std::vector<int64_t>{1, 3}))
        << outcome;
    EXPECT_EQ((*metric_figure(run.data, {"k1", "", {}}, "load_time"))->launches,
              (std::vector<int>{1, 3}))
        << outcome;
    EXPECT_EQ((*score_figure(run.data, kNeedle, "exact"))->n, 3) << outcome;
  }
}

TEST(MetricFigure, LeavesOutContaminatedAnswers) {
  ExampleRun run(2);
  run.attempt(0, "correct");
  run.attempt(1, "correct").outcome = "CONTAMINATED";
  EXPECT_EQ((*metric_figure(run.data, kNeedle, "ttft"))->attempt_ids, std::vector<int64_t>{1});
}

TEST(MetricFigure, OfOneAttemptHasNoInterval) {
  ExampleRun run(1);
  run.attempt(0, "correct");
  EXPECT_FALSE((*metric_figure(run.data, kNeedle, "ttft"))->interval.has_value());
}

TEST(MetricFigure, OfAStoredSampleIsTheMedianOverAttempts) {
  ExampleRun run(3);
  for (int i = 0; i < 2; ++i) {
    run.attempt(i, "correct").samples = {{"acceptance_length", 2.0 + i, 1, "decode"}};
  }
  run.attempt(2, "correct");  // decoded without drafts
  const auto figure = metric_figure(run.data, kNeedle, "acceptance_length");
  ASSERT_TRUE(figure);
  EXPECT_DOUBLE_EQ(*(*figure)->value, 2.5);
  EXPECT_EQ((*figure)->n, 2);
  EXPECT_FALSE(metric_figure(run.data, kNeedle, "acceptance_rate_1"));
  EXPECT_FALSE(is_launch_metric("acceptance_rate_1"));
  EXPECT_TRUE(is_launch_metric("load_time"));
}

TEST(MetricFigure, PeaksAreTheLargestAndOthersTheMedianOfLaunches) {
  ExampleRun run(1);
  run.launch("KERNEL_CRASH").sample("load_time", 3).sample("peak_memory", 5e8);
  run.launch("ok").sample("load_time", 1).sample("peak_memory", 2e8).sample("peak_memory", 9e8);
  const auto peak = metric_figure(run.data, {"k1", "", {}}, "peak_memory");
  EXPECT_EQ(*(*peak)->value, 9e8);
  EXPECT_EQ((*peak)->n, 2);
  EXPECT_EQ((*peak)->launches, (std::vector<int>{1, 2}));
  EXPECT_EQ(*(*metric_figure(run.data, {"k1", "", {}}, "load_time"))->value, 2);
  EXPECT_FALSE(metric_figure(run.data, {"k1", "", {}}, "planned_memory"));
}

TEST(CellStatus, CountsCasesByTheirNewestAnswer) {
  ExampleRun run(4);
  EXPECT_EQ(cell_status(run.data, run.data.cells[0]).outcome, "not run");
  run.launch("KERNEL_CRASH").launch("ok");
  run.attempt(0, "wrong", 0, 1);
  run.attempt(0, "correct", 1, 2);
  run.attempt(1, "invalid");
  run.attempt(2, "correct", 1).status = "error";
  const CellStatus status = cell_status(run.data, run.data.cells[0]);
  EXPECT_EQ(status.outcome, "ok");
  EXPECT_EQ(status.n_launches, 2);
  EXPECT_EQ(status.seconds, 4);
  EXPECT_EQ(status.n_planned, 4);
  EXPECT_EQ(status.n_ok, 2);
  EXPECT_EQ(status.n_missing(), 2);
  EXPECT_EQ(status.n_correct, 1);
  EXPECT_EQ(status.n_invalid, 1);
  EXPECT_FALSE(status.complete());
}

TEST(Format, FollowsTheUnit) {
  EXPECT_EQ(format_value("", 0.98765), "0.988");
  EXPECT_EQ(format_value("s", 0.01234), "12.3 ms");
  EXPECT_EQ(format_value("s", 0.0000123), "12.3 µs");
  EXPECT_EQ(format_value("s", 12.34), "12.3 s");
  EXPECT_EQ(format_value("tok/s", 2113.4), "2,113 tok/s");
  EXPECT_EQ(format_value("B", 3514), "3.43 KiB");
  EXPECT_EQ(format_value("B/s", 1101998530), "1.10 GB/s");
}

}  // namespace
}  // namespace ds4::reports
