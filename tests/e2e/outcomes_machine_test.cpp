// Ends that are about the machine, provoked with the real binary: a machine that stood still or was
// restarted, a driver without memory, a slow state.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "reports/store/database.h"
#include "tests/e2e/outcomes.h"

namespace ds4::test_support {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// A supervisor that is frozen, and one that is stopped by a signal beside it: both pause for longer
// than the bound, and only the first saw a machine that stood still.
TEST(Outcomes, HostWedge) {
  const std::string freezer = "/sys/fs/cgroup/freezer/ds4-test-" + std::to_string(::getpid());
  std::error_code failed;
  std::filesystem::create_directory(freezer, failed);
  std::ofstream(freezer + "/freezer.state") << "THAWED";
  std::string state;
  std::ifstream(freezer + "/freezer.state") >> state;
  if (failed || state != "THAWED") GTEST_SKIP() << "no freezer cgroup can be made here";
  const Sweep sweep(R"({"rules": [{"text": "x", "delay_ms": 100}]})", kSmoke);
  const Sweep other(R"({"rules": [{"text": "x", "delay_ms": 100}]})", kSmoke);
  const int pid = start_command(sweep.command({"run", sweep.profile()}));
  const int stopped = start_command(other.command({"run", other.profile()}));
  sweep.wait_for_an_answer();
  other.wait_for_an_answer();
  std::ofstream(freezer + "/tasks") << pid;
  std::ofstream(freezer + "/freezer.state") << "FROZEN";
  ::kill(stopped, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(22));
  std::ofstream(freezer + "/freezer.state") << "THAWED";
  ::kill(stopped, SIGCONT);
  wait_command(pid);
  wait_command(stopped);
  ::rmdir(freezer.c_str());
  EXPECT_EQ(only_launch(other).outcome, "ok");
  EXPECT_EQ(only_launch(sweep).outcome, "HOST_WEDGE");
  expect_shown(sweep, "HOST_WEDGE");
}

// Kills a run in the middle and changes what its launch remembers of the machine; the telemetry is
// what the guard had synced.
void leave_unfinished(const Sweep& sweep, const char* change) {
  const int pid = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  ::kill(pid, SIGKILL);
  wait_command(pid);
  EXPECT_EQ(only_launch(sweep).outcome, "running");
  reports::Database(sweep.db(), reports::Database::Mode::kCreate)
      .execute(std::string("UPDATE launches SET ") + change, "change a launch");
}

constexpr const char* kSlow = R"({"rules": [{"text": "x", "delay_ms": 100}]})";

TEST(Outcomes, HostReset) {
  const Sweep sweep(kSlow, kSmoke);
  leave_unfinished(sweep, "boot_id = '11111111-2222-3333-4444-555555555555'");
  EXPECT_EQ(sweep.resume().exit_code, 4) << "what took the machine down is not tried unasked";
  EXPECT_EQ(only_launch(sweep).outcome, "HOST_RESET");
  EXPECT_THAT(
      only_launch(sweep).message,
      ContainsRegex("last telemetry after .*, in (prefill|decode): .* of memory available"));
  EXPECT_THAT(only_launch(sweep).message, HasSubstr("first case without an answer: smoke/"));
  expect_shown(sweep, "HOST_RESET");
  EXPECT_EQ(run_command(sweep.command({"resume", "latest", "--retry"})).exit_code, 0);
  const auto store = sweep.store();
  EXPECT_EQ(store->launches(store->run("latest").id).at(1).outcome, "ok") << "--retry went on";
}

TEST(Outcomes, HostOom) {
  const Sweep sweep(kSlow, kSmoke);
  leave_unfinished(sweep, "oom_kills = oom_kills - 1");  // as if the killer had been at work since
  expect_shown(sweep, "HOST_OOM");                       // the report settles it
}

// A file in the place of the kernel's log, for this run alone.
TEST(Outcomes, DriverNoMemory) {
  const Sweep sweep(R"({"rules": [{"contains": "Japan", "delay_ms": 3000, "end": "kill"},
                                  {"text": "x"}]})",
                    kSmoke);
  const std::string log = sweep.folder() / "kmsg";
  write_file_atomic(log, "");
  const int pid = start_command(
      {"/bin/sh", "-c",
       "unshare -rm sh -c 'mount --bind " + log + " /dev/kmsg && exec " + sweep.run_line() + "'"});
  for (int i = 0; i < 400 && sweep.answered().empty() && alive(pid); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  if (!alive(pid)) GTEST_SKIP() << "nothing can be mounted here (unshare -rm)";
  std::ofstream(log, std::ios::app)
      << "4,1234,5678,-;NVRM: GPU0 nvAssertOkFailedNoLog: Out of memory [NV_ERR_NO_MEMORY]\n";
  wait_command(pid);
  EXPECT_EQ(only_launch(sweep).outcome, "DRIVER_NOMEM") << only_launch(sweep).message;
  EXPECT_THAT(only_launch(sweep).notes, HasSubstr("NV_ERR_NO_MEMORY"));
  expect_shown(sweep, "DRIVER_NOMEM");
}

// A bound that no two readings keep.
TEST(Outcomes, SlowState) {
  const Sweep sweep(R"({"rules": [{"text": "x"}]})",
                    std::string(kSmoke) + "[sweep]\nsentinel = true\nsentinel_bound = 1e-9\n");
  sweep.run();
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  ASSERT_EQ(launches.size(), 2u) << "repeated once";
  EXPECT_EQ(launches[0].outcome, "SLOW_STATE");
  EXPECT_THAT(launches[0].message, HasSubstr("times slower than this run's best"));
  expect_shown(sweep, "SLOW_STATE");
}

TEST(Outcomes, AKilledSupervisorIsNamedByWhoeverLooksNext) {
  const Sweep sweep(R"({"rules": [{"text": "x", "delay_ms": 50}]})", kSmoke);
  const int pid = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  EXPECT_EQ(only_launch(sweep).outcome, "running");
  expect_shown(sweep, "running");  // and is left alone while it lives
  ::kill(pid, SIGKILL);
  wait_command(pid);
  expect_shown(sweep, "KILLED");
  EXPECT_THAT(only_launch(sweep).message, HasSubstr("its supervisor ended"));
}

}  // namespace
}  // namespace ds4::test_support
