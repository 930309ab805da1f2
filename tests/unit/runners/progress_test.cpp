// What people see of a run: rates, times to come, lines of a terminal, frames drawn in place.
#include <gmock/gmock.h>

#include "runners/progress/columns.h"
#include "runners/progress/labels.h"
#include "runners/progress/left.h"
#include "runners/progress/rate.h"
#include "runners/progress/roof.h"
#include "runners/progress/screen.h"
#include "runners/progress/view.h"
#include "tests/support/terminal.h"

namespace ds4::runners {
namespace {

using test_support::Terminal;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ResultOf;

constexpr int64_t kGiB = int64_t{1} << 30;

TurnState ended(const std::string& label, const std::string& outcome, int answered) {
  TurnState turn{.label = label, .outcome = outcome, .n_cases = 40};
  turn.answered = turn.graded = answered;
  turn.correct = answered / 2;
  if (answered > 0) turn.decode_rate = 51.3;
  turn.seconds = 80;
  return turn;
}

// The third of four cells writes its eleventh answer of forty.
RunState third_of_four() {
  RunState state;
  state.run_id = "3f2a91c0-0000";
  state.run_elapsed_s = 130;
  state.cell = 3;
  state.n_cells = 4;
  state.turns = {ended("experts=32", "ok", 40),
                 ended("experts=23", "PREFILL_OOM", 0),
                 {.label = "experts=20", .n_cases = 40},
                 {.label = "experts=18", .n_cases = 40}};
  state.cell_label = "experts=20";
  state.phase = "decode";
  state.suite = "needle";
  state.case_id = "2048/40";
  state.n_cases = 40;
  state.cases_done = 10;
  state.elapsed_s = 25;
  state.ready_s = 4;
  for (int i = 1; i <= 10; ++i) state.case_ends_s.push_back(2 * i);
  state.completion_done = 1234;
  state.rate = 48.3;
  state.memory = {110 * kGiB, 110 * kGiB - 312 * kGiB / 10, 8 * kGiB};
  return state;
}

TEST(RateMeter, IsTheSlopeOfTheLastSecondsOfOneKind) {
  RateMeter meter;
  EXPECT_FALSE(meter.rate(0));
  meter.add(0, 0, false);
  meter.add(0.25, 500, false);
  EXPECT_FALSE(meter.rate(0.25)) << "too short to tell";
  meter.add(1, 2000, false);
  EXPECT_DOUBLE_EQ(*meter.rate(1), 2000);
  meter.add(2, 10, true);
  EXPECT_FALSE(meter.rate(2)) << "an answer began";
  for (int i = 1; i <= 20; ++i) meter.add(2 + i, 10 + (i <= 10 ? 5 * i : 50 + 20 * (i - 10)), true);
  EXPECT_DOUBLE_EQ(*meter.rate(22), 20) << "what is older than ten seconds counts no more";
  EXPECT_FALSE(meter.rate(60)) << "nothing was heard for long";
  meter.add(61, 5, true);
  EXPECT_FALSE(meter.rate(61)) << "another count began";
}

TEST(TimeLeft, FollowsTheMeanAndTheCaseThatRuns) {
  RunState state = third_of_four();
  EXPECT_DOUBLE_EQ(*left_in_cell(state), 30 * 2 - 1) << "ten in 20 s, and a second into the next";
  state.elapsed_s = 1000;
  EXPECT_EQ(*left_in_cell(state), 0) << "a case that takes longer than all were to take";
  state = third_of_four();
  state.cases_done += 2;
  EXPECT_DOUBLE_EQ(*left_in_cell(state), 28 * 2 - 1) << "two had ended before it was ready";
  state = third_of_four();
  state.case_ends_s.clear();
  state.cases_done = 0;
  EXPECT_FALSE(left_in_cell(state)) << "no case has ended, nothing is known";
  state.ready_s = -1;
  EXPECT_FALSE(left_in_cell(state));
}

TEST(TimeLeft, FollowsThePatternOfAnEarlierCellStretched) {
  RunState state = third_of_four();
  for (int i = 1; i <= 40; ++i) state.pattern_s.push_back(i <= 10 ? i : 10 + 30 * (i - 10));
  // Ten cases took 20 s where they had taken 10 s; the 900 s that followed then are twice as long.
  EXPECT_DOUBLE_EQ(*left_in_cell(state), 2 * 900 - 1);
  state.case_ends_s.clear();
  state.cases_done = 0;
  state.elapsed_s = 10;
  EXPECT_DOUBLE_EQ(*left_in_cell(state), 910 - 6) << "before the first case: as it was";
  state.pattern_s.pop_back();
  EXPECT_FALSE(left_in_cell(state)) << "a cell with other cases is no pattern";
}

TEST(TimeLeft, OfTheRunCountsWhatACaseTookWhereOneWasAnswered) {
  RunState state = third_of_four();
  // 80 s for 40 cases; the cell that ran out of memory answered none and tells nothing.
  EXPECT_DOUBLE_EQ(*left_in_run(state), 59 + 40 * 2.0);
  state.turns[0] = {.label = "experts=32", .n_cases = 40};
  state.turns[0].outcome = "skipped";
  EXPECT_DOUBLE_EQ(*left_in_run(state), 59 + 40 * (25 + 59) / 40.0) << "only this cell to go by";
  state.ready_s = -1;
  EXPECT_FALSE(left_in_run(state));
}

TEST(View, ShowsEveryCellInALine) {
  EXPECT_THAT(
      render_view(third_of_four(), {140, 24}, false),
      ElementsAre(
          "run 3f2a91c0  cell 3 of 4  2m 10s  about 2m 19s left",
          "✓ experts=32  ok  40 of 40, 20 correct  51.3 tok/s  1m 20s", "✗ experts=23  PREFILL_OOM",
          "▸ experts=20  decode  11/40  answer 1,234  48.3 tok/s  31.2 of 110 GiB, floor 8.00  "
          "59 s left  needle/2048/40",
          "  experts=18  waiting"));
}

TEST(View, ColourRepeatsWhatSignsAndWordsSay) {
  const auto lines = render_view(third_of_four(), {140, 24}, true);
  EXPECT_THAT(lines[1], HasSubstr("\033[32m✓ experts=32\033[0m  \033[32mok\033[0m  40 of 40"));
  EXPECT_THAT(lines[2], HasSubstr("\033[31mPREFILL_OOM\033[0m"));
  EXPECT_EQ(lines[4], "\033[2m  experts=18\033[0m  \033[2mwaiting\033[0m");
}

// A cell measured twice, answered once by now, and one that was left out.
TEST(TurnStates, ARunThatIsGoneOnWithKnowsWhatIsBehindIt) {
  reports::CellRow a, b;
  a.key = a.label = "a";
  b.key = b.label = "b";
  a.cases = b.cases = {{"smoke", "x", {}}, {"smoke", "y", {}}};
  const std::vector<reports::TurnRow> queue = {{.ordinal = 0, .cell_key = "a", .state = "done"},
                                               {.ordinal = 1, .cell_key = "b", .state = "skipped"},
                                               {.ordinal = 2, .cell_key = "a", .again_of = 0}};
  reports::LaunchRow launch;
  launch.cell_key = "a";
  launch.outcome = "SLOW_STATE";
  launch.seconds = 12;
  std::vector<reports::StoredAttempt> attempts(4);
  for (size_t i = 0; i < attempts.size(); ++i) {
    attempts[i].cell_key = "a";
    attempts[i].suite = "smoke";
    attempts[i].case_id = i == 1 ? "y" : "x";  // the third is the second answer to x
    attempts[i].status = i == 3 ? "error" : "ok";
    attempts[i].score.emplace();
    attempts[i].score->grade = i == 0 ? "correct" : "wrong";
  }
  const auto turns = turn_states(queue, {a, b}, {launch}, attempts);
  ASSERT_EQ(turns.size(), 3u);
  EXPECT_EQ(turns[0].outcome, "SLOW_STATE");
  EXPECT_EQ(turns[0].seconds, 12);
  EXPECT_EQ(turns[0].answered, 2);
  EXPECT_EQ(turns[0].correct, 1);
  EXPECT_EQ(turns[1].outcome, "skipped");
  EXPECT_EQ(turns[2].label, "a again");
  EXPECT_EQ(turns[2].outcome, "");
  EXPECT_EQ(turns[2].answered, 1) << "one case has its second answer";
}

TEST(View, HoldsTheRateAgainstTheMachineWhereThatIsKnown) {
  RunState state = third_of_four();
  state.most = 80;
  EXPECT_THAT(render_view(state, {140, 24}, false)[3], HasSubstr("  48.3 tok/s (60 %)  "));
  state.rate.reset();
  state.tally.decode_rates = {10, 40, 20};
  EXPECT_THAT(render_view(state, {140, 24}, false)[3], HasSubstr("  20.0 tok/s (25 %) median  "));
}

// Ceilings of 1,000 B/s and 100 FLOP/s, and an answer of each of two lengths that tells its demand.
TEST(RoofWatch, KnowsTheMostOfTheNearestLengthOfASuite) {
  const auto attempt = [](const std::string& suite, int64_t prompt,
                          std::vector<probes::Sample> samples) {
    reports::StoredAttempt made;
    made.cell_key = "k1";
    made.suite = suite;
    made.case_id = std::to_string(prompt);
    made.tags = {{"length", std::to_string(prompt)}};
    made.status = made.outcome = "ok";
    made.prompt_tokens = prompt;
    made.completion_tokens = 3;
    made.first_token_s = 1;
    made.end_s = 3;
    made.events = {{1, 1}, {2, 1}, {3, 1}};
    made.samples = std::move(samples);
    made.score.emplace();
    made.score->grade = "correct";
    return made;
  };
  const auto demand = [](double bytes) {
    return std::vector<probes::Sample>{{"demand_bytes{of=experts}", bytes, 0, "decode"},
                                       {"demand_flops{of=experts}", 1, 0, "decode"},
                                       {"demand_bytes{of=experts}", 10 * bytes, 0, "prefill"},
                                       {"demand_flops{of=experts}", 1, 0, "prefill"}};
  };
  RoofWatch roof;
  const auto add = [&](const reports::StoredAttempt& one) { roof.add(one, one.score); };
  add(attempt("speed", 512, demand(10)));
  EXPECT_FALSE(roof.most("speed", 512, false)) << "no ceilings yet";
  add(attempt("bandwidth_roofline", 0,
              {{"read_rate{of=F32 sums}", 1000, 0, ""}, {"sgemm_rate{of=f32}", 100, 0, ""}}));
  add(attempt("speed", 4096, demand(50)));
  EXPECT_DOUBLE_EQ(*roof.most("speed", 600, false), 1000.0 / 10);
  EXPECT_DOUBLE_EQ(*roof.most("speed", 4000, false), 1000.0 / 50);
  EXPECT_DOUBLE_EQ(*roof.most("speed", 4000, true), 4096 * 1000.0 / 500);
  EXPECT_FALSE(roof.most("needle", 600, false)) << "none of it was answered";
}

TEST(View, LeavesOutTheLeastImportantWhereItIsNarrow) {
  const auto running = [](int columns) {
    return render_view(third_of_four(), {columns, 24}, false)[3];
  };
  EXPECT_EQ(running(80),
            "▸ experts=20  decode  11/40  48.3 tok/s  31.2 of 110 GiB, floor 8.00  59 s left");
  EXPECT_EQ(running(60), "▸ experts=20  decode  11/40  48.3 tok/s  59 s left");
  EXPECT_EQ(running(40), "▸ experts=20  decode  11/40  48.3 tok/s");
  for (int columns = 20; columns <= 140; ++columns) {
    EXPECT_THAT(render_view(third_of_four(), {columns, 24}, false),
                Each(ResultOf(text_columns, ::testing::Le(columns))))
        << columns;
  }
}

TEST(View, ShowsTheMemoryOfTheDeviceWhereItIsTold) {
  RunState state = third_of_four();
  const auto running = [&](int columns) { return render_view(state, {columns, 24}, false)[3]; };
  EXPECT_THAT(running(160), Not(HasSubstr("device")));
  state.device = {61 * kGiB, 78 * kGiB};
  EXPECT_THAT(running(160), HasSubstr("floor 8.00  device 61.0 GiB, 78.0 free  59 s left"));
  EXPECT_THAT(running(90), AllOf(HasSubstr("device 61.0 GiB"), Not(HasSubstr("floor"))))
      << "where there is room for one, the device's";
  state.device = {61 * kGiB, -1};
  EXPECT_THAT(running(160), HasSubstr("device 61.0 GiB  59 s"));
  state.device = {-1, 78 * kGiB};
  EXPECT_THAT(running(160), HasSubstr("device 78.0 GiB free  59 s"));
}

TEST(Labels, OfTwoCellsNeverLookAlike) {
  const auto cut = [](std::vector<std::string> labels, int columns) {
    return short_labels(labels, columns);
  };
  EXPECT_THAT(cut({"k144", "k160"}, 8), ElementsAre("k144", "k160"));
  EXPECT_THAT(cut({"model=k160 kv=fp8 draft_tokens=0", "model=k160 kv=fp8 draft_tokens=2"}, 16),
              ElementsAre("draft_tokens=0", "draft_tokens=2"))
      << "what they share is left out";
  EXPECT_THAT(cut({"deepseek-v4-flash-k144", "deepseek-v4-flash-k160"}, 12),
              ElementsAre("deepse…-k144", "deepse…-k160"));
  EXPECT_THAT(cut({"aaaaaaaa1bbbbbbbb", "aaaaaaaa2bbbbbbbb"}, 10),
              ElementsAre("1 aaa…bbbb", "2 aaa…bbbb"));
  EXPECT_THAT(cut({"k160-reap-april", "k160-reap-april again"}, 10),
              ElementsAre("k160-…pril", "again"));
  EXPECT_EQ(short_labels({"aaaaaaaa1bbbbbbbb", "aaaaaaaa2bbbbbbbb"}, 10, 41)[1], "42 aa…bbbb");
  EXPECT_EQ(cut_in_middle("专家的完整模型", 8), "专家…型") << "wide characters whole";
  EXPECT_EQ(cut_in_middle("abcde\xCC\x81", 4), "ab…e\xCC\x81") << "an accent with its letter";
  EXPECT_EQ(cut_in_middle("abcd", 4), "abcd");
}

TEST(View, OfManyCellsShowsThoseAroundTheOneThatRuns) {
  RunState state = third_of_four();
  state.turns.clear();
  for (int i = 1; i <= 200; ++i) {
    state.turns.push_back({.label = "seed=" + std::to_string(i),
                           .outcome = i > 100  ? ""
                                      : i == 7 ? "HANG"
                                               : "ok",
                           .n_cases = 40});
  }
  state.n_cells = 200;
  state.cell = 101;
  const auto lines = render_view(state, {80, 10}, false);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[1], "  97 above: 1 HANG, 96 ok");
  EXPECT_THAT(lines[5], HasSubstr("▸ seed=101"));
  EXPECT_EQ(lines[8], "  97 below: 97 waiting");
  state.cell = 200;
  EXPECT_THAT(render_view(state, {80, 10}, false).back(), HasSubstr("seed=200"));
  for (int rows = 1; rows <= 30; ++rows) {
    const auto all = render_view(state, {80, rows}, false);
    EXPECT_LE(all.size(), static_cast<size_t>(std::max(1, rows - 1))) << rows;
    EXPECT_THAT(all, ::testing::Contains(HasSubstr("seed=200"))) << rows;
  }
}

TEST(View, HostileAndWideLabelsKeepTheirPlace) {
  RunState state = third_of_four();
  state.turns[0].label = "专家=三十二个专家的完整模型与很长的名字";
  state.turns[1].label =
      "\033[2J\nno\xE2\x80\xAE"
      "evil";
  state.turns[2].label = "e\xCC\x81t\xCC\x81";  // combining accents take no column
  state.phase_detail = "\033]0;title\a";
  state.case_id = "a\rb";
  for (int columns = 20; columns <= 140; ++columns) {
    for (const std::string& line : render_view(state, {columns, 24}, false)) {
      EXPECT_LE(text_columns(line), columns) << line;
      EXPECT_THAT(line, Not(::testing::AnyOf(HasSubstr("\033"), HasSubstr("\n"), HasSubstr("\r"),
                                             HasSubstr("\xE2\x80\xAE"))));
    }
  }
  EXPECT_EQ(text_columns("专家"), 4);
  EXPECT_EQ(text_columns("e\xCC\x81"), 1);
  EXPECT_EQ(cut_to_columns("专家的", 4), "专…");
  EXPECT_EQ(cut_to_columns("专家", 4), "专家");
}

TEST(View, SaysWhatLoadsAndWhatIsKnownBeforeTheFirstCase) {
  RunState state = third_of_four();
  state.phase = "load";
  state.phase_detail = "12.3 of 80.1 GiB";
  state.suite = state.case_id = "";
  state.completion_done = 0;
  state.ready_s = -1;
  state.n_cases = 0;
  state.rate.reset();
  state.case_ends_s.clear();
  EXPECT_EQ(render_view(state, {100, 24}, false)[3],
            "▸ experts=20  load      12.3 of 80.1 GiB  31.2 of 110 GiB, floor 8.00");
}

TEST(PlainProgress, HasTheTimesToComeAndNoControls) {
  RunState state = third_of_four();
  state.cell_label = "experts=20\033[31m";
  EXPECT_EQ(plain_progress(state),
            "cell 3/4 experts=20␛[31m: 10 of 40 cases (25.0 s), about 59 s left in this cell, "
            "2m 19s left in the run");
}

TEST(Screen, FramesReplaceEachOtherBelowWhatStays) {
  Terminal terminal(20, 5);
  Screen screen;
  terminal.feed("$ ds4-sweep run\r\n");
  terminal.feed(screen.frame("", {"one", "two", "three"}, 20));
  terminal.feed(screen.frame("", {"ONE", "\033[32mTW\033[0m"}, 20));
  EXPECT_THAT(terminal.lines(), ElementsAre("$ ds4-sweep run", "ONE", "TW", "", ""));
  EXPECT_EQ(terminal.cursor_line(), 3u);
  EXPECT_EQ(terminal.cursor_column(), 0u);
  EXPECT_TRUE(terminal.wraps());
  // Notes push the view down, over the end of the screen.
  terminal.feed(screen.frame("a note that is longer than the line\n", {"1", "2", "3"}, 20));
  terminal.feed("^C");  // what a terminal shows of a key
  terminal.feed(screen.frame("", {"1", "2", "3"}, 20));
  EXPECT_THAT(terminal.lines(), ElementsAre("$ ds4-sweep run", "a note that is longe",
                                            "r than the line", "1", "2", "3", ""));
  terminal.feed(screen.clear(20));
  terminal.feed("verdict\r\n");
  EXPECT_THAT(terminal.lines(), ElementsAre("$ ds4-sweep run", "a note that is longe",
                                            "r than the line", "verdict", "", "", ""));
  EXPECT_EQ(Screen().clear(20), "") << "nothing was drawn, nothing is written";
}

TEST(Screen, GoesUpOverLinesThatANarrowerTerminalHasBroken) {
  Screen screen;
  screen.frame("", {std::string(39, 'x'), "专家专家专家", ""}, 40);
  EXPECT_THAT(screen.frame("", {"x"}, 10), HasSubstr("\033[7A")) << "4 + 2 + 1 rows";
}

}  // namespace
}  // namespace ds4::runners
