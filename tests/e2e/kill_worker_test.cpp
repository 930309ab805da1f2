// kill -9 of the worker at random moments: no committed attempt is lost, resume finishes, nothing
// is repeated.
#include <signal.h>

#include <random>
#include <thread>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

constexpr const char* kScript = R"({"rules": [{"text": "OK", "delay_ms": 20}]})";
constexpr const char* kProfile = "[[suite]]\nname = \"smoke\"\n";

TEST(KillWorker, AtRandomMomentsLosesNothingCommitted) {
  std::mt19937 random(20260301);
  for (int round = 0; round < 6; ++round) {
    const Sweep sweep(kScript, kProfile);
    const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 500));
    const pid_t worker = child_running(supervisor, "worker");
    if (worker > 0) ::kill(worker, SIGKILL);
    const int code = wait_command(supervisor);
    EXPECT_TRUE(code == 4 || code == 0) << code;  // 0: the worker had already finished
    const auto before = sweep.answered();
    if (code == 4) {
      const auto store = sweep.store();
      EXPECT_EQ(store->launches(store->run("latest").id).at(0).outcome, "KILLED");
    }
    EXPECT_EQ(sweep.resume().exit_code, 0);
    const auto after = sweep.answered();
    EXPECT_GE(after.size(), 10u);
    for (const auto& [name, n] : after) EXPECT_EQ(n, 1) << name;
    for (const auto& [name, n] : before) EXPECT_TRUE(after.contains(name)) << name;
  }
}

}  // namespace
}  // namespace ds4::test_support
