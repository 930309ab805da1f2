// What `show` finds and writes: cells and cases by name, failures with their logs, hostile texts
// made harmless.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "reports/pages/show_run.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Words = std::vector<std::string>;

// Two answers, a hostile one of two turns, and a case nobody answered.
ExampleRun one_cell() {
  ExampleRun run(4);
  run.launch("ok");
  run.attempt(0, "correct");
  run.attempt(1, "correct");
  StoredAttempt& wrong = run.attempt(2, "wrong", 0);
  wrong.prompt = "the prompt";
  wrong.text =
      "\033[31mred \xff \xE2\x80\xAE"
      "evil " +
      std::string(9000, 'z');
  wrong.expected = "blue";
  wrong.score->extracted = "red";
  wrong.score->explanation = "not \"equal\"\033]0;title\a";
  ExchangeRow turn;
  turn.said = {{"user", "And now?\x9b", ""}};
  turn.text = "still red";
  wrong.exchanges = {turn};
  return run;
}

// The same cell, one that crashed in its first case, and one that was never launched.
ExampleRun three_cells() {
  ExampleRun run = one_cell();
  run.data.cells[0].label = "kv_dtype=fp8";
  for (const char* label : {"kv_dtype=bf16", "threads=2"}) {
    CellRow cell = run.data.cells[0];
    cell.key = cell.label = label;
    run.data.cells.push_back(cell);
  }
  run.launch("KERNEL_CRASH");
  run.data.launches.back().cell_key = "kv_dtype=bf16";
  run.data.launches.back().log_tail = "the last words\033[2J";
  return run;
}

std::string shown(const ExampleRun& run, const Words& words, bool full = false) {
  return render_show(run.data, find_shown(run.data, words), full);
}

// What the error says and advises.
std::string refused(const ExampleRun& run, const Words& words) {
  try {
    find_shown(run.data, words);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
    return std::string(e.what()) + " | " + e.hint();
  }
  return "";
}

TEST(Show, ARunHasItsCellsWithALineForEachCase) {
  const std::string text = shown(three_cells(), {});
  EXPECT_THAT(text, HasSubstr("3 cells"));
  EXPECT_THAT(text, HasSubstr("1 kv_dtype=fp8: ok, 3 of 4 cases answered, 2 correct"));
  EXPECT_THAT(text, HasSubstr("  needle/c2  wrong       not \"equal\"␛]0;title␇\n"));
  EXPECT_THAT(text, HasSubstr("  1 case not answered\n"));
  EXPECT_THAT(text, HasSubstr("  4 cases not answered\n"));
  EXPECT_THAT(shown(three_cells(), {"1"}), HasSubstr("  needle/c3  not answered\n"));
  EXPECT_THAT(text, HasSubstr("2 kv_dtype=bf16: KERNEL_CRASH, 0 of 4"));
  EXPECT_THAT(text, HasSubstr("  launch 2: KERNEL_CRASH, signal 11, in prefill: needle/c0"));
  EXPECT_THAT(text, HasSubstr("3 threads=2: not run"));
  EXPECT_THAT(text, Not(HasSubstr("the last words"))) << "the cell has them";
}

TEST(Show, ACellIsNamedByNumberLabelOrABeginning) {
  for (const char* word : {"2", "kv_dtype=bf16", "kv_dtype=b"}) {
    const std::string text = shown(three_cells(), {word});
    EXPECT_THAT(text, HasSubstr("2 kv_dtype=bf16: KERNEL_CRASH")) << word;
    EXPECT_THAT(text, AllOf(HasSubstr("killed by SIGSEGV"), HasSubstr("the last words␛[2J")));
    EXPECT_THAT(text, Not(HasSubstr("fp8"))) << word;
  }
  EXPECT_THAT(refused(three_cells(), {"kv"}),
              AllOf(HasSubstr("2 cells begin with `kv`"), HasSubstr("1 kv_dtype=fp8"),
                    HasSubstr("2 kv_dtype=bf16"), Not(HasSubstr("threads"))));
  for (const char* word : {"4", "0", "-1", "k1"}) {
    EXPECT_THAT(refused(three_cells(), {word}), HasSubstr("3 threads=2")) << word;
  }
  EXPECT_THAT(refused(three_cells(), {"needle/c2"}), HasSubstr("a case is named behind its cell"));
}

TEST(Show, OneWordIsACaseInARunOfOneCell) {
  EXPECT_EQ(find_shown(one_cell().data, {"needle/c2"}).case_prefix, "needle/c2");
  EXPECT_THAT(find_shown(three_cells().data, {"1", "needle"}).cells, ElementsAre(0u));
  EXPECT_EQ(shown(one_cell(), {"needle/c2"}), shown(one_cell(), {"1", "needle/c2"}));
  EXPECT_THAT(refused(one_cell(), {"needle/zzz"}),
              AllOf(HasSubstr("begins with `needle/zzz`"), HasSubstr("needle/c0, needle/c1")));
  EXPECT_THAT(refused(one_cell(), {"arithmetic"}), HasSubstr("There are: needle."));
}

TEST(Show, ACaseOpensToTextsTurnsAndGrading) {
  const std::string text = shown(one_cell(), {"needle/c2"});
  for (const char* part :
       {"  prompt:\n    the prompt\n", "  answer:\n    ␛[31mred", "<U+202E>evil", "bytes left out",
        "  turn 2:", "    [user]\n    And now?\xEF\xBF\xBD\n", "still red", "  expected:\n    blue",
        "  extracted:\n    red", "  grading:\n    not \"equal\""}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  for (const char* active : {"\033", "\a", "\xE2\x80\xAE"}) {
    EXPECT_THAT(text, Not(HasSubstr(active)));
  }
  EXPECT_THAT(text, Not(HasSubstr("needle/c1")));
  EXPECT_THAT(shown(one_cell(), {"needle/c2"}, true), Not(HasSubstr("bytes left out")));
}

TEST(Show, ACaseWithoutAnAnswerShowsWhyItsLaunchesFailed) {
  const std::string text = shown(three_cells(), {"2", "needle/c3"});
  EXPECT_THAT(text, HasSubstr("needle/c3: not answered"));
  EXPECT_THAT(text, AllOf(HasSubstr("killed by SIGSEGV"), HasSubstr("the last words")));
}

TEST(Show, JsonHasTheSameAndIsAscii) {
  const ExampleRun run = three_cells();
  const auto parsed = [&](const Words& words) {
    const std::string text = show_json(run.data, find_shown(run.data, words));
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) {
      return c == '\n' ||
             (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
    }));
    return nlohmann::json::parse(text);
  };
  const auto all = parsed({});
  EXPECT_EQ(all["format"], "ds4-show-1");
  ASSERT_EQ(all["cells"].size(), 3u);
  EXPECT_EQ(all["cells"][0]["answered"], 3);
  EXPECT_EQ(all["cells"][1]["launches"][0]["log_tail"], "the last words\033[2J");
  EXPECT_FALSE(all["cells"][0]["attempts"][2].contains("prompt")) << "opened cases have texts";
  const auto one = parsed({"1", "needle/c2"});
  ASSERT_EQ(one["cells"][0]["attempts"].size(), 1u);
  const auto& attempt = one["cells"][0]["attempts"][0];
  EXPECT_EQ(attempt["prompt"], "the prompt");
  EXPECT_EQ(attempt["turns"][0]["answer"], "still red");
  EXPECT_EQ(attempt["grading"]["grade"], "wrong");
}

}  // namespace
}  // namespace ds4::reports
