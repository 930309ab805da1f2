// The memory guard in real runs: there before the worker, gone with it, and missed when it is lost.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "probes/host_memory.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

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

reports::LaunchRow only_launch(const Sweep& sweep) {
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  EXPECT_EQ(launches.size(), 1u);
  return launches.at(0);
}

TEST(Guard, AQuietRunLeavesTelemetryAndNoVerdict) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 30}]})", kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_EQ(only_launch(sweep).guard, "");
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

// A worker that takes memory at 300 MiB/s with the floor 250 MiB under what is free; it listens, so
// that the case is cancelled and recorded. Other processes take memory, too: the floor may be
// reached before the worker begins, which is tried again.
reports::LaunchRow run_hog(const std::string& rule, const Sweep*& kept,
                           std::unique_ptr<Sweep>& sweep) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    const int64_t floor = probes::read_machine_memory().available_bytes - (int64_t{250} << 20);
    sweep = std::make_unique<Sweep>(
        "{\"rules\": [" + rule + "]}",
        "[guard]\ngrace = \"1s\"\nfloor = " + std::to_string(floor) + "\n" + kSmoke);
    kept = sweep.get();
    EXPECT_EQ(sweep->run().exit_code, 4);
    const auto launch = only_launch(*sweep);
    if (!launch.guard.empty() && json::parse(launch.guard)["action"] != "refused") return launch;
  }
  return {};
}

TEST(Guard, AGrowingWorkerIsStoppedAndItsCaseRecorded) {
  std::unique_ptr<Sweep> sweep;
  const Sweep* kept = nullptr;
  const auto launch = run_hog(R"({"grow_mib": 1500, "grow_mib_s": 300})", kept, sweep);
  ASSERT_NE(launch.guard, "");
  const json verdict = json::parse(launch.guard);
  EXPECT_EQ(verdict["action"], "soft") << verdict.dump(1);
  EXPECT_EQ(launch.outcome, "WATCHDOG_KILL{prefill}");
  // The case that ran is recorded as cancelled, and the worker ended by the signal it was sent.
  const auto store = kept->store();
  const auto attempts = store->attempts(store->run("latest").id, false);
  ASSERT_FALSE(attempts.empty());
  EXPECT_EQ(attempts.back().status, "cancelled");
  EXPECT_EQ(launch.signal, SIGTERM);
}

TEST(Guard, AWorkerDeafToTermIsKilled) {
  std::unique_ptr<Sweep> sweep;
  const Sweep* kept = nullptr;
  const auto launch =
      run_hog(R"({"grow_mib": 600, "grow_mib_s": 300, "deaf": true, "hang": true})", kept, sweep);
  ASSERT_NE(launch.guard, "");
  const json verdict = json::parse(launch.guard);
  EXPECT_EQ(verdict["action"], "hard") << verdict.dump(1);
  EXPECT_EQ(launch.signal, SIGKILL);
  EXPECT_LT(verdict["reaction_s"], 5);
  const auto lines = telemetry(*kept).at(0);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const json& line) {
    return line.value("event", "") == "hard";
  })) << "the kill is in the telemetry";
}

}  // namespace
}  // namespace ds4::test_support
