// The memory guard in real runs: there before the worker, gone with it, and missed when it is lost.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "probes/host_memory.h"
#include "tests/e2e/guard.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(Guard, AQuietRunLeavesTelemetryAndNoVerdict) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 30}]})", kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_EQ(only_launch(sweep).guard, "");
  EXPECT_EQ(only_launch(sweep).outcome, "ok");
  const auto lines = telemetry(sweep).at(0);
  EXPECT_EQ(lines.at(0)["format"], "ds4-telemetry-1");
  std::vector<std::string> phases;
  for (const json& line : lines) {
    if (line.contains("phase")) phases.push_back(line["phase"]);
  }
  EXPECT_THAT(phases, ::testing::Contains("load"));
  EXPECT_THAT(phases, ::testing::Contains("prefill"));
}

TEST(Guard, CanBeTurnedOff) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})",
                    std::string("[guard]\nenabled = false\n") + kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_THROW(telemetry(sweep), Error);
}

TEST(Guard, UnderTheFloorNothingIsStarted) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})",
                    std::string("[guard]\nfloor = \"900TiB\"\n") + kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 4);
  const auto launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "PREFLIGHT_REFUSED");
  EXPECT_THAT(launch.message, HasSubstr("guard.floor"));
  EXPECT_EQ(json::parse(launch.guard)["action"], "refused");
  EXPECT_TRUE(sweep.answered().empty());
}

TEST(Guard, ItsDeathEndsTheLaunchAndResumeFinishes) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 150}]})", kSmoke);
  const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  const pid_t guard = child_running(supervisor, "guard-process");
  ASSERT_GT(guard, 0);
  ::kill(guard, SIGKILL);
  const double begin_s = monotonic_seconds();
  EXPECT_EQ(wait_command(supervisor), 4);
  EXPECT_LT(monotonic_seconds() - begin_s, 20);
  const auto launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "HARNESS_ERROR");
  EXPECT_THAT(launch.message, HasSubstr("guard was lost"));
  EXPECT_EQ(json::parse(launch.guard)["action"], "lost");
  EXPECT_EQ(sweep.resume().exit_code, 0);
}

// Caught as soon as it is there, most often before it is armed.
TEST(Guard, KilledAtItsBeginningIsLostToo) {
  for (int round = 0; round < 4; ++round) {
    const Sweep sweep(R"({"rules": [{"text": "OK"}], "open": {"delay_ms": 1000}})", kSmoke);
    const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
    pid_t guard = 0;
    while (guard == 0 && alive(supervisor)) guard = child_running(supervisor, "guard-process");
    ASSERT_GT(guard, 0);
    ::kill(guard, SIGKILL);
    EXPECT_EQ(wait_command(supervisor), 4);
    const auto launch = only_launch(sweep);
    EXPECT_EQ(launch.outcome, "HARNESS_ERROR") << launch.message;
    EXPECT_EQ(json::parse(launch.guard)["action"], "lost");
    EXPECT_TRUE(sweep.answered().empty());
  }
}

TEST(Guard, ItsSilenceEndsTheLaunchAndIsSaid) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 60000}]})", kSmoke);
  const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
  pid_t guard = 0, worker = 0;
  for (int i = 0; i < 2400 && worker == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    guard = child_running(supervisor, "guard-process");
    worker = child_running(supervisor, "worker");
  }
  ASSERT_GT(guard, 0);
  ASSERT_GT(worker, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ::kill(guard, SIGSTOP);
  const double begin_s = monotonic_seconds();
  EXPECT_EQ(wait_command(supervisor), 4);
  const double waited_s = monotonic_seconds() - begin_s;
  EXPECT_GT(waited_s, 8.9) << "it speaks once a second, and 10 s of silence are allowed";
  EXPECT_LT(waited_s, 30) << "the case would take a minute";
  const auto launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "HARNESS_ERROR");
  EXPECT_THAT(launch.message, HasSubstr("guard was lost"));
  EXPECT_EQ(json::parse(launch.guard)["action"], "lost");
  EXPECT_EQ(json::parse(launch.guard)["rule"], "guard_gone");
  EXPECT_FALSE(alive(guard)) << "a stopped guard is not left behind";
  EXPECT_FALSE(alive(worker));
}

// The same by a user without rights, who can lock no memory.
std::vector<std::string> as_nobody(std::vector<std::string> command) {
  const std::vector<std::string> prefix = {
      "/usr/bin/env", "prlimit",       "--memlock=65536:65536", "--nice=0:0",
      "setpriv",      "--reuid=65534", "--regid=65534",         "--clear-groups"};
  command.insert(command.begin(), prefix.begin(), prefix.end());
  return command;
}

TEST(Guard, OfAnOrdinaryUserProtectsAndSaysWhatItLacks) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  if (run_command(as_nobody({DS4_SWEEP_BINARY, "--version"})).exit_code != 0) {
    GTEST_SKIP() << "prlimit or setpriv is absent, or nobody may run " DS4_SWEEP_BINARY;
  }
  reports::LaunchRow launch;
  std::unique_ptr<Sweep> sweep;
  for (int attempt = 0;
       attempt < 5 && (launch.guard.empty() || launch.outcome == "PREFLIGHT_REFUSED"); ++attempt) {
    const int64_t floor = probes::read_machine_memory().available_bytes - (int64_t{250} << 20);
    sweep = std::make_unique<Sweep>(
        R"({"rules": [{"grow_mib": 1500, "grow_mib_s": 300}]})",
        "[guard]\ngrace = \"1s\"\nfloor = " + std::to_string(floor) + "\n" + kSmoke);
    for (const char* file : {"", "profile.toml", "script.json"}) {
      ASSERT_EQ(::chown((sweep->folder() / file).c_str(), 65534, 65534), 0);
    }
    EXPECT_EQ(run_command(as_nobody(sweep->command({"run", sweep->profile(), "--no-progress"})))
                  .exit_code,
              4);
    launch = only_launch(*sweep);
  }
  EXPECT_EQ(launch.outcome, "WATCHDOG_KILL{prefill}") << launch.message;
  EXPECT_EQ(json::parse(launch.guard)["action"], "soft") << launch.guard;
  const std::string notes = telemetry(*sweep).at(0).at(0)["notes"].dump();
  EXPECT_THAT(notes, HasSubstr("memory not locked"));
  EXPECT_THAT(notes, HasSubstr("LimitMEMLOCK=infinity"));
  EXPECT_THAT(notes, HasSubstr("not protected from the OOM killer"));
  EXPECT_THAT(notes, HasSubstr("ordinary priority"));
  // Another user's process is refused.
  const int other = start_command({"/usr/bin/env", "setsid", "sleep", "60"});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const CommandResult refused = run_command(
      as_nobody({DS4_SWEEP_BINARY, "guard", "--pid", std::to_string(other), "--floor", "1MiB"}));
  ::kill(other, SIGKILL);
  wait_command(other);
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("may not be signalled"));
}

}  // namespace
}  // namespace ds4::test_support
