// kill -9 of the supervisor at random moments: worker and guard end with it, the database stays
// readable, no committed attempt is lost, resume finishes, nothing is repeated.
#include <signal.h>

#include <random>
#include <thread>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

constexpr const char* kScript = R"({"rules": [{"text": "OK", "delay_ms": 60}]})";
constexpr const char* kProfile = "[[suite]]\nname = \"smoke\"\n";

TEST(KillSupervisor, AtRandomMomentsLosesNothingCommitted) {
  std::mt19937 random(20260302);
  int with_attempts = 0;
  for (int round = 0; round < 6; ++round) {
    const Sweep sweep(kScript, kProfile);
    const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
    // Half of them at the beginning, half in the middle.
    if (round % 2) sweep.wait_for_an_answer();
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    const pid_t worker = child_running(supervisor, "worker");
    const pid_t guard = child_running(supervisor, "guard-process");
    ::kill(supervisor, SIGKILL);
    EXPECT_EQ(wait_command(supervisor), 128 + SIGKILL);
    for (const pid_t child : {worker, guard}) {
      for (int i = 0; child > 0 && i < 500 && alive(child); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      EXPECT_FALSE(child > 0 && alive(child))
          << (child == worker ? "the worker" : "the guard") << " outlived its supervisor";
    }
    if (!sweep.begun()) continue;
    const auto before = sweep.answered();
    with_attempts += before.empty() ? 0 : 1;
    EXPECT_EQ(sweep.resume().exit_code, 0);
    const auto after = sweep.answered();
    EXPECT_GE(after.size(), 10u);
    for (const auto& [name, n] : after) EXPECT_EQ(n, 1) << name;
    for (const auto& [name, n] : before) EXPECT_TRUE(after.contains(name)) << name;
  }
  EXPECT_GE(with_attempts, 1) << "no round was killed in the middle: the test proved nothing";
}

// A run that had ended, with a case missing, and is gone on with: killed then, it is interrupted
// again, and whoever looks next says so.
TEST(KillSupervisor, InAResumeOfARunThatHadEndedIsNamedToo) {
  const Sweep sweep(R"({"rules": [{"contains": "Japan", "end": "kill"}, {"text": "OK"}]})",
                    kProfile);
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
  sweep.rewrite_script(kScript);
  EXPECT_EQ(sweep.resume().exit_code, 0);
  EXPECT_FALSE(sweep.store()->run("latest").finished_at.empty());
}

}  // namespace
}  // namespace ds4::test_support
