// Equal prompts held against each other: which answers are a pair, what the shares and ratios are,
// and that a difference is seen.
#include "reports/figures/twins.h"

#include <gmock/gmock.h>

#include <cmath>

#include "reports/figures/payoff.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

using ::testing::HasSubstr;

CellRow cell(const std::string& key, int choice, double temperature = 0) {
  CellRow row = example_cell(key, choice);
  row.settings = R"({"choice": [)" + std::to_string(choice) +
                 R"(], "profile": {"sampling": {"temperature": )" + std::to_string(temperature) +
                 "}}}";
  return row;
}

StoredAttempt answer(RunData& run, const std::string& cell_key, int64_t prompt, int64_t text,
                     int launch = 1) {
  StoredAttempt attempt;
  static_cast<AttemptRow&>(attempt) = example_attempt(cell_key, "needle", "c1");
  attempt.case_id = "c" + std::to_string(run.attempts.size());
  attempt.id = std::ssize(run.attempts) + 1;
  attempt.prompt_id = prompt;
  attempt.text_id = text;
  attempt.launch = launch;
  return attempt;
}

void add(RunData& run, const std::string& cell_key, int64_t prompt, int64_t text, int launch = 1) {
  run.attempts.push_back(answer(run, cell_key, prompt, text, launch));
}

double value(const std::optional<Figure>& figure) {
  return figure && (*figure)->value ? *(*figure)->value : NAN;
}

TEST(Twins, EachAnswerIsHeldAgainstTheFirstOfItsLaunch) {
  RunData run;
  run.cells = {cell("a", 0)};
  add(run, "a", 1, 10);
  add(run, "a", 2, 20);
  add(run, "a", 1, 10);
  add(run, "a", 1, 11);     // differs
  add(run, "a", 1, 11, 2);  // another launch: against the first of the cell
  add(run, "a", 1, 11, 2);  // and this against the one before
  const auto pairs = twins_within(run, {"a", "needle", {}});
  ASSERT_EQ(pairs.size(), 4u);
  EXPECT_TRUE(pairs[0].agree());
  EXPECT_FALSE(pairs[1].agree());
  EXPECT_FALSE(pairs[2].agree());
  EXPECT_EQ(pairs[2].first->id, 1);
  EXPECT_TRUE(pairs[3].agree());
  EXPECT_EQ(pairs[3].first->id, 5);
}

TEST(Twins, SharesAverageThePairsOfAPromptFirst) {
  RunData run;
  run.cells = {cell("a", 0)};
  for (const int64_t text : {10, 10, 11, 11, 11}) add(run, "a", 1, text);  // 1 of 4 equal
  for (int i = 0; i < 2; ++i) add(run, "a", 2, 20);                        // 1 of 1
  const auto figure = metric_figure(run, {"a", "", {}}, "agreement");
  EXPECT_DOUBLE_EQ(value(figure), (0.25 + 1) / 2);
  EXPECT_EQ((*figure)->n, 2);
  EXPECT_EQ((*figure)->kind, FigureKind::kScore);
  EXPECT_EQ((*figure)->attempt_ids.size(), 7u);
}

TEST(Twins, AnswersOfOtherPromptsSuitesAndDrawnOnesAreNone) {
  RunData run;
  run.cells = {cell("a", 0), cell("warm", 1, 0.7)};
  add(run, "a", 1, 10);
  add(run, "a", 2, 10);
  add(run, "a", 1, 11);
  run.attempts.back().suite = "smoke";
  add(run, "a", 0, 12);  // not stored
  add(run, "a", 0, 12);
  add(run, "warm", 1, 10);
  add(run, "warm", 1, 11);
  EXPECT_TRUE(twins_within(run, {"a", "", {}}).empty());
  EXPECT_TRUE(twins_within(run, {"warm", "", {}}).empty());
  EXPECT_FALSE(metric_figure(run, {"a", "", {}}, "agreement"));
}

TEST(Twins, CellsAreHeldAgainstTheFirstValueOfASetting) {
  RunData run;
  run.cells = {cell("off", 0), cell("on", 1)};
  add(run, "off", 1, 10);
  add(run, "off", 2, 20);
  add(run, "on", 1, 10);
  add(run, "on", 2, 21);
  add(run, "on", 3, 30);  // nobody to compare with
  run.attempts[2].events = {{0.5, 1}, {0.55, 1}, {0.6, 1}};
  EXPECT_EQ(reference_cells(run, "on"), std::vector<std::string>{"off"});
  EXPECT_TRUE(reference_cells(run, "off").empty());
  EXPECT_DOUBLE_EQ(value(metric_figure(run, {"on", "", {}}, "parity")), 0.5);
  EXPECT_FALSE(metric_figure(run, {"off", "", {}}, "parity"));
  // 20 tokens a second instead of 10, and equal ones.
  EXPECT_NEAR(value(metric_figure(run, {"on", "", {}}, "decode_ratio")), 1.5, 1e-9);
}

TEST(Twins, RatiosNeedTimesThatCountAndOneLaunch) {
  RunData run;
  run.cells = {cell("a", 0)};
  add(run, "a", 1, 10);
  add(run, "a", 1, 10);
  run.attempts[1].first_token_s = 0.05;
  run.attempts[1].cached_tokens = 90;
  add(run, "a", 1, 10, 2);
  run.attempts[2].first_token_s = 50;
  EXPECT_DOUBLE_EQ(value(metric_figure(run, {"a", "", {}}, "ttft_ratio")), 0.1);
  EXPECT_DOUBLE_EQ(value(metric_figure(run, {"a", "", {}}, "cached_share")), 0);  // of 0, 0.9, 0
  run.attempts[1].outcome = "CONTAMINATED";
  EXPECT_FALSE(metric_figure(run, {"a", "", {}}, "ttft_ratio"));
  EXPECT_DOUBLE_EQ(value(metric_figure(run, {"a", "", {}}, "agreement")), 1);
}

PayoffPoint point(double context, double ratio, double half) {
  return {context, 8, ratio, Interval{ratio - half, ratio + half}};
}

TEST(Payoff, BreakEvenLiesBetweenTheLengthsAroundOne) {
  const Payoff payoff =
      payoff_of({point(8192, 0.5, 0.1), point(512, 2, 0.1), point(2048, 1.25, 0.1)});
  EXPECT_EQ(payoff.pays_up_to, 2048);
  // log 1.25 / log 2.5 of the way from 2048 to 8192, in logarithms.
  ASSERT_TRUE(payoff.break_even);
  EXPECT_NEAR(*payoff.break_even, 2048 * std::pow(4.0, std::log(1.25) / std::log(2.5)), 1e-6);
  EXPECT_THAT(payoff.verdict, HasSubstr("pays up to 2048 tokens of context, +25.0 % (95 %: +15.0 % "
                                        "to +35.0 %) there; break-even at about 2870 tokens"));
}

TEST(Payoff, SaysWhenItDoesNotPayOrIsNotShownTo) {
  EXPECT_THAT(payoff_of({point(512, 0.8, 0.1), point(2048, 0.7, 0.1)}).verdict,
              HasSubstr("does not pay: -20.0 %"));
  const Payoff open = payoff_of({point(512, 1.05, 0.1)});
  EXPECT_THAT(open.verdict, HasSubstr("not shown to pay: +5.0 %"));
  EXPECT_FALSE(open.pays_up_to);
  EXPECT_THAT(payoff_of({point(512, 1.5, 0.1), point(2048, 1.4, 0.1)}).verdict,
              HasSubstr("no break-even up to 2048 tokens"));
}

}  // namespace
}  // namespace ds4::reports
