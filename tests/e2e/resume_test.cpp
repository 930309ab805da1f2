// What resume refuses: a run of another commit or on other checkpoints, unless forced. And a resume
// that is killed itself (kill_any_test.cpp kills them at random).
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

// The newest run once more under a new id, with its cells, after `change`.
template <typename Change>
std::string copy_run(const Sweep& sweep, const Change& change) {
  const auto store = reports::Store::open(sweep.db());
  reports::RunRow run = store->run("latest");
  auto cells = store->cells(run.id);
  run.id = "aaaaaaaa-0000-4000-8000-000000000000";
  run.finished_at = "";
  change(run, cells);
  store->add_run(run, cells);
  return run.id;
}

TEST(Resume, RefusesAnotherCommitUnlessForced) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kSmoke);
  sweep.run();
  const std::string id =
      copy_run(sweep, [](reports::RunRow& run, auto&) { run.commit = "0123456789abcdef"; });
  const CommandResult refused = run_command(sweep.command({"resume", id, "--no-progress"}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("0123456789ab"));
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_EQ(run_command(sweep.command({"resume", id, "--force", "--no-progress"})).exit_code, 0);
}

TEST(Resume, RefusesAnotherCheckpointUnlessForced) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kSmoke);
  sweep.run();
  const std::string id = copy_run(sweep, [](reports::RunRow& run, auto&) {
    run.checkpoint_path = test_support::source_dir() / "checkpoints/tiny";
    run.checkpoint_identity = "not the identity it has now";
  });
  const CommandResult refused = run_command(sweep.command({"resume", id, "--no-progress"}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("checkpoints/tiny"));
  EXPECT_EQ(run_command(sweep.command({"resume", id, "--force", "--no-progress"})).exit_code, 0);
}

// A checkpoint may be an axis, so each cell has its own.
TEST(Resume, RefusesAnotherCheckpointOfACellUnlessForced) {
  const std::string tiny = source_dir() / "checkpoints/tiny";
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", "checkpoint = \"" + tiny + "\"\n" + kSmoke);
  sweep.run();
  std::string id = copy_run(sweep, [](auto&, std::vector<reports::CellRow>& cells) {
    cells.at(0).checkpoint_identity = "not the identity it has now";
  });
  const auto resume = [&] { return run_command(sweep.command({"resume", id, "--no-progress"})); };
  EXPECT_EQ(resume().exit_code, 2);
  EXPECT_THAT(resume().err, HasSubstr("checkpoints/tiny"));
  EXPECT_EQ(run_command(sweep.command({"resume", id, "--force", "--no-progress"})).exit_code, 0);
}

TEST(Resume, RefusesASiblingInAnotherFolder) {
  const std::string tiny = source_dir() / "checkpoints/tiny";
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", "checkpoint = \"" + tiny + "\"\n" + kSmoke);
  sweep.run();
  const std::string id = copy_run(sweep, [](auto&, std::vector<reports::CellRow>& cells) {
    cells.at(0).checkpoint_path = "/cache/siblings/of-an-older-plan";
  });
  const CommandResult refused = run_command(sweep.command({"resume", id, "--no-progress"}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("of-an-older-plan"));
  EXPECT_THAT(refused.err, HasSubstr("plan back"));
}

// A run that had ended, with a case missing, and is gone on with: killed then, it is interrupted
// again, and whoever looks next says so.
TEST(Resume, KilledAfterTheRunHadEndedIsNamedToo) {
  const Sweep sweep(R"({"rules": [{"contains": "Japan", "end": "kill"}, {"text": "OK"}]})", kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 4);
  EXPECT_FALSE(sweep.store()->run("latest").finished_at.empty());
  sweep.rewrite_script(R"({"rules": [{"text": "OK", "delay_ms": 60000}]})");
  const int supervisor = start_command(sweep.command({"resume", "latest"}));
  const auto launches = [&] { return sweep.store()->launches(sweep.store()->run("latest").id); };
  for (int i = 0; i < 1000 && launches().size() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(supervisor, SIGKILL);
  wait_command(supervisor);
  run_command(sweep.command({"report", "latest"}));
  ASSERT_EQ(launches().size(), 2u);
  EXPECT_EQ(launches()[1].outcome, "KILLED");
  sweep.rewrite_script(R"({"rules": [{"text": "OK"}]})");
  EXPECT_EQ(sweep.resume().exit_code, 0);
  EXPECT_FALSE(sweep.store()->run("latest").finished_at.empty());
}

TEST(Resume, UnknownRunIsNamed) {
  const Sweep sweep(R"({"rules": []})", kSmoke);
  sweep.run();
  const CommandResult result = run_command(sweep.command({"resume", "zzzz"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("zzzz"));
}

}  // namespace
}  // namespace ds4::test_support
