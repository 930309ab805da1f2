// The guard against workers that take memory for real, in every phase: stopped before the machine
// is out of it, and named by the phase. Other processes take memory, too, so a floor may be reached
// before the worker begins; that is tried again.
#include <signal.h>

#include <algorithm>

#include "probes/host_memory.h"
#include "tests/e2e/outcomes.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;

// Runs with a floor 250 MiB under what is free, in one phase or (nullptr) in all.
struct Hog {
  Hog(const std::string& script, const char* phase) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      const std::string floor =
          std::to_string(probes::read_machine_memory().available_bytes - (int64_t{250} << 20));
      const std::string floors =
          phase ? std::string("floor = \"1MiB\"\nfloors = {") + phase + " = " + floor + "}\n"
                : "floor = " + floor + "\n";
      sweep = std::make_unique<Sweep>(script, "[guard]\ngrace = \"1s\"\n" + floors + kSmoke);
      exit_code = sweep->run().exit_code;
      launch = only_launch(*sweep);
      if (launch.guard.empty()) continue;
      verdict = json::parse(launch.guard);
      if (verdict["action"] != "refused") return;
    }
  }
  std::unique_ptr<Sweep> sweep;
  int exit_code = -1;
  reports::LaunchRow launch;
  json verdict;
};

TEST(Watchdog, TheCaseOfAGrowingWorkerIsRecorded) {
  const Hog hog(R"({"rules": [{"grow_mib": 1500, "grow_mib_s": 300}]})", nullptr);
  ASSERT_TRUE(hog.verdict.is_object());
  EXPECT_EQ(hog.exit_code, 4);
  EXPECT_EQ(hog.verdict["action"], "soft") << hog.verdict.dump(1);
  EXPECT_EQ(hog.launch.outcome, "WATCHDOG_KILL{prefill}");
  // The case that ran is recorded as cancelled, and the worker ended by the signal it was sent.
  const auto store = hog.sweep->store();
  const auto attempts = store->attempts(store->run("latest").id, false);
  ASSERT_FALSE(attempts.empty());
  EXPECT_EQ(attempts.back().status, "cancelled");
  EXPECT_EQ(hog.launch.signal, SIGTERM);
}

TEST(Watchdog, AWorkerDeafToTermIsKilled) {
  const Hog hog(R"({"rules": [{"grow_mib": 600, "grow_mib_s": 300, "deaf": true, "hang": true}]})",
                nullptr);
  ASSERT_TRUE(hog.verdict.is_object());
  EXPECT_EQ(hog.verdict["action"], "hard") << hog.verdict.dump(1);
  EXPECT_EQ(hog.launch.signal, SIGKILL);
  EXPECT_LT(hog.verdict["reaction_s"], 5);
  const std::string telemetry = read_file(hog.launch.origin.telemetry);
  EXPECT_NE(telemetry.find(R"("event":"hard")"), telemetry.npos) << "the kill is in the telemetry";
}

struct InPhase {
  const char* phase;
  const char* script;  // takes memory in that phase
};
void PrintTo(const InPhase& in, std::ostream* out) {
  *out << in.phase;
}

class WatchdogKill : public ::testing::TestWithParam<InPhase> {};

TEST_P(WatchdogKill, IsNamedByThePhase) {
  const std::string phase = GetParam().phase;
  const Hog hog(GetParam().script, GetParam().phase);
  ASSERT_TRUE(hog.verdict.is_object()) << hog.launch.outcome << " " << hog.launch.message;
  const std::string name = "WATCHDOG_KILL{" + phase + "}";
  EXPECT_EQ(hog.launch.outcome, name) << hog.verdict.dump(1);
  EXPECT_EQ(hog.verdict["phase"], phase);
  EXPECT_EQ(hog.verdict["in_teardown"], phase == "teardown");
  expect_shown(*hog.sweep, name);
  // A kill when all is measured is flagged and is no failure.
  EXPECT_EQ(hog.exit_code, phase == "teardown" ? 0 : 4);
  EXPECT_EQ(hog.sweep->answered().size(), phase == "teardown" ? 20u : phase == "idle" ? 1u : 0u);
}

constexpr InPhase kPhases[] = {
    {"load", R"({"open": {"grow_mib": 1500, "grow_mib_s": 300}})"},
    {"capture", R"({"capture": {"grow_mib": 1500, "grow_mib_s": 300}})"},
    {"prefill", R"({"rules": [{"grow_mib": 1500, "grow_mib_s": 300}]})"},
    {"decode", R"({"rules": [{"grow_mib": 1500, "grow_mib_s": 300, "after_token": true}]})"},
    {"idle", R"({"rules": [{"text": "x"}], "idle": {"grow_mib": 1500, "grow_mib_s": 300}})"},
    {"teardown", R"({"rules": [{"text": "x"}], "close": {"grow_mib": 1500, "grow_mib_s": 300}})"},
};
INSTANTIATE_TEST_SUITE_P(In, WatchdogKill, ::testing::ValuesIn(kPhases),
                         [](const auto& made) { return std::string(made.param.phase); });

}  // namespace
}  // namespace ds4::test_support
