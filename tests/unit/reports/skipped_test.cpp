// Suites that a target could not be asked: neither measured nor failed, and never silent.
#include <gmock/gmock.h>

#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "reports/verdict/verdict.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;

// Two needle cases that are answered and two of tool_calls that were skipped.
ExampleRun with_skip(const std::string& gates = "") {
  ExampleRun run(2);
  for (const char* id : {"t0", "t1"}) run.data.cells[0].cases.push_back({"tool_calls", id, {}});
  run.launch("ok");
  run.data.launches[0].target = R"({"description":"a server","tools":false,"findings":{"x":1}})";
  run.data.launches[0].skipped = {{"tool_calls", "it takes no tools"}};
  run.attempt(0, "correct");
  run.attempt(1, "correct");
  run.data.run.resolved_profile = example_profile(gates);
  return run;
}

Verdict judged(const ExampleRun& run) {
  return judge(run.data, judging_of(run.data.run));
}

TEST(Skipped, LeavesACellComplete) {
  const ExampleRun run = with_skip();
  const CellStatus status = cell_status(run.data, run.data.cells[0]);
  EXPECT_EQ(status.n_planned, 2);
  EXPECT_EQ(status.n_skipped, 2);
  EXPECT_EQ(status.n_missing(), 0);
  EXPECT_TRUE(status.complete());
  EXPECT_EQ(judged(run).decision, Decision::kPass);
  EXPECT_THAT(judged(run).reason, HasSubstr("1 suite skipped"));
}

TEST(Skipped, ACellOfWhichNothingWasMeasuredIsNoPass) {
  ExampleRun run(2);
  run.launch("ok");
  run.data.launches[0].target = R"({"description":"a server","findings":{}})";
  run.data.launches[0].skipped = {{"needle", "it cannot be asked"}};
  run.data.run.resolved_profile = example_profile("");
  const Verdict verdict = judged(run);
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("1 of 1 cell lacks measurements"));
  EXPECT_THAT(verdict.next_step, HasSubstr("what the target lacks"));
}

TEST(Skipped, AGateOnItStaysUndecidedWithTheReason) {
  const Verdict verdict = judged(with_skip(
      R"({"suite":"tool_calls","figure":"correct","tags":{},"min_n":1,"source":"p.toml:9","min":0.5})"));
  ASSERT_EQ(verdict.gates.size(), 1u);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("it takes no tools"));
}

TEST(Skipped, MayBeOneCaseOfASuite) {
  ExampleRun run = with_skip();
  run.data.launches[0].skipped = {{"tool_calls/t1", "there is no t1 here"}};
  CellStatus status = cell_status(run.data, run.data.cells[0]);
  EXPECT_EQ(status.n_planned, 3);
  EXPECT_EQ(status.n_skipped, 1);
  EXPECT_EQ(status.n_missing(), 1) << "t0 was asked, and not answered";
  for (const char* id : {"t0", "t1"}) {
    StoredAttempt& attempt = run.attempt(0, "correct");
    attempt.suite = "tool_calls";
    attempt.case_id = id;
    status = cell_status(run.data, run.data.cells[0]);
    EXPECT_EQ(status.n_missing(), 0) << id;
  }
  EXPECT_EQ(status.n_skipped, 0) << "t1 was answered after all";
}

TEST(Skipped, IsForgottenOnceItIsAnswered) {
  ExampleRun run = with_skip();
  run.launch("ok");
  run.data.launches[1].target = "{}";
  EXPECT_TRUE(skipped_of(run.data, "k1").empty()) << "the newest launch did not skip it";
  EXPECT_FALSE(cell_status(run.data, run.data.cells[0]).complete());
  run.data.launches[1].target = "";
  EXPECT_EQ(skipped_of(run.data, "k1").size(), 1u) << "a launch that was not ready says nothing";
}

TEST(Skipped, IsStoredAndShown) {
  const TemporaryFolder folder;
  const auto store = Store::open(folder.path() / "r.db");
  with_skip().write(*store);
  const auto launches = store->launches("aaaaaaaa-1111");
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].skipped.at("tool_calls"), "it takes no tools");
  EXPECT_THAT(launches[0].target, HasSubstr("a server"));
  const Page page = build_page(*store, "aaaaaaaa-1111");
  EXPECT_THAT(render_markdown(page), HasSubstr("it takes no tools"));
  EXPECT_THAT(render_html(page), HasSubstr("a server"));
  EXPECT_THAT(render_json(page), HasSubstr("it takes no tools"));
}

}  // namespace
}  // namespace ds4::reports
