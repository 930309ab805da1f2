// The memory guard in real runs: there before the worker, gone with it, and missed when it is lost.
#include <gmock/gmock.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "tests/e2e/outcomes.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// The telemetry of the newest run's launches, as lines.
std::vector<std::vector<json>> telemetry(const Sweep& sweep) {
  std::vector<std::vector<json>> files;
  const auto store = sweep.store();
  const std::string run = store->run("latest").id;
  for (const auto& launch : store->launches(run)) {
    const auto path =
        sweep.folder() / run.substr(0, 8) /
        ("telemetry-" + launch.cell_key + "-" + std::to_string(launch.number) + ".jsonl");
    std::vector<json> lines;
    std::string text = read_file(path);
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      lines.push_back(json::parse(text.substr(at, end - at)));
    }
    files.push_back(lines);
  }
  return files;
}

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

}  // namespace
}  // namespace ds4::test_support
