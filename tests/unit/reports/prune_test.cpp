// Old runs out of a database: which of them go, that nothing of them stays and nothing else goes,
// and that a kill in between harms nothing.
#include "reports/store/prune.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "engine/base/error.h"
#include "reports/store/database.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RunRow run_of(const std::string& id, const std::string& profile, const std::string& started_at,
              bool finished = true) {
  RunRow run = example_run(id);
  run.profile_name = profile;
  run.started_at = started_at;
  run.finished_at = finished ? started_at : "";
  return run;
}

std::vector<std::string> ids(const std::vector<RunRow>& runs) {
  std::vector<std::string> found;
  for (const RunRow& run : runs) found.push_back(run.id);
  return found;
}

TEST(RunsToPrune, KeepsTheNewestOfEveryProfileBaselinesAndUnfinishedOnes) {
  const std::vector<RunRow> runs{
      run_of("f", "a", "2026-06-06"),        run_of("e", "b", "2026-06-05"),
      run_of("d", "a", "2026-06-04"),        run_of("c", "a", "2026-06-03"),
      run_of("b", "a", "2026-06-02", false), run_of("a", "b", "2026-06-01")};
  EXPECT_THAT(ids(runs_to_prune(runs, {}, {1, "", false})), ElementsAre("d", "c", "a"));
  EXPECT_THAT(ids(runs_to_prune(runs, {}, {1, "", true})), ElementsAre("d", "c", "b", "a"));
  EXPECT_THAT(ids(runs_to_prune(runs, {{"green", "d", ""}}, {1, "", false})),
              ElementsAre("c", "a"));
  EXPECT_THAT(ids(runs_to_prune(runs, {}, {0, "2026-06-04", false})), ElementsAre("c", "a"));
  EXPECT_THAT(runs_to_prune(runs, {}, {6, "", true}), IsEmpty());
  EXPECT_THAT(runs_to_prune({}, {}, {0, "", true}), IsEmpty());
}

class PruneTest : public ::testing::Test {
 protected:
  // A run with two attempts; their prompt is shared by all runs, their answers are its own.
  void add(const std::string& id) const {
    const auto store = Store::open(file());
    store->add_run(run_of(id, "example", "2026-01-01T00:00:00Z"), {example_cell("k", 0)});
    LaunchRow launch;
    launch.cell_key = "k";
    launch.outcome = "ok";
    store->add_launch(id, launch, {{"peak_memory", 1, 2, "load"}});
    for (const char* name : {"c1", "c2"}) {
      AttemptRow attempt;
      attempt.cell_key = "k";
      attempt.suite = "needle";
      attempt.case_id = name;
      attempt.status = "ok";
      attempt.prompt = "the same prompt";
      attempt.text = "the answer of " + id + " to " + name;
      attempt.events = {{0.5, 1}};
      attempt.samples = {{"x", 1, 2, ""}};
      ScoreRow score;
      score.grade = "correct";
      score.values = {{"exact", 1}};
      store->add_attempt(id, attempt, score);
    }
  }
  int64_t count(const std::string& table) const {
    return Database(file(), Database::Mode::kReadOnly).integer("SELECT count(*) FROM " + table);
  }
  void expect_whole() const {
    Database database(file(), Database::Mode::kReadOnly);
    Statement check(database, "PRAGMA integrity_check");
    ASSERT_TRUE(check.step());
    EXPECT_EQ(check.text(0), "ok");
    EXPECT_FALSE(Statement(database, "PRAGMA foreign_key_check").step());
  }
  std::filesystem::path file() const { return folder_.path() / "r.db"; }

  TemporaryFolder folder_;
};

TEST_F(PruneTest, LeavesWhatNeverHadTheRun) {
  add("one");
  const char* tables[] = {"runs",           "cells",  "planned_cases", "launches",
                          "launch_samples", "texts",  "attempts",      "events",
                          "samples",        "scores", "queue",         "score_values"};
  std::map<std::string, int64_t> before;
  for (const char* table : tables) before[table] = count(table);
  add("two");
  EXPECT_EQ(count("texts"), before["texts"] + 2);
  const Pruned pruned = prune(file(), {"two"});
  EXPECT_EQ(pruned.texts, 2);
  EXPECT_EQ(pruned.not_shrunk, "");
  for (const char* table : tables) EXPECT_EQ(count(table), before[table]) << table;
  expect_whole();
  const auto store = Store::open_read_only(file());
  EXPECT_EQ(store->attempts("one", true).at(1).text, "the answer of one to c2");
}

TEST_F(PruneTest, TheFileShrinks) {
  for (int i = 0; i < 40; ++i) add("run-" + std::to_string(i));
  std::vector<std::string> old;
  for (int i = 0; i < 39; ++i) old.push_back("run-" + std::to_string(i));
  const Pruned pruned = prune(file(), old);
  EXPECT_LT(pruned.bytes_after, pruned.bytes_before);
  EXPECT_EQ(count("runs"), 1);
}

TEST_F(PruneTest, ABaselineIsRefused) {
  add("one");
  Store::open(file())->set_baseline({"green", "one", "2026-01-01T00:00:00Z"});
  try {
    prune(file(), {"one"});
    FAIL() << "a baseline was removed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("green"));
  }
  EXPECT_EQ(count("attempts"), 2);
}

TEST_F(PruneTest, ARunThatIsNotThereChangesNothing) {
  add("one");
  EXPECT_EQ(prune(file(), {"never there"}).rows, 0);
  EXPECT_EQ(count("runs"), 1);
  EXPECT_EQ(count("texts"), 4);
}

TEST_F(PruneTest, AKillInBetweenHarmsNothing) {
  constexpr int kRuns = 60;
  std::vector<std::string> old;
  for (int i = 0; i < kRuns; ++i) {
    add("run-" + std::to_string(i));
    if (i > 0) old.push_back("run-" + std::to_string(i));
  }
  int in_between = 0;
  for (int round = 0; round < 8 && count("runs") > 1; ++round) {
    const int64_t before = count("runs");
    const pid_t child = ::fork();
    if (child == 0) {
      prune(file(), old);
      ::_exit(0);
    }
    while (count("runs") == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const int64_t left = count("runs");
    in_between += left > 1 && left < kRuns;
    EXPECT_EQ(count("attempts"), 2 * left);
    EXPECT_EQ(count("scores"), 2 * left);
    expect_whole();
  }
  prune(file(), old);  // goes on where it ended
  EXPECT_EQ(count("runs"), 1);
  EXPECT_EQ(count("texts"), 4);  // prompt, two answers, and the empty text
  expect_whole();
  EXPECT_GE(in_between, 1) << "nothing was killed in between: the test proved nothing";
}

}  // namespace
}  // namespace ds4::reports
