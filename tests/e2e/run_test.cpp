// The real binary, from profile to verdict, on targets that need no model.
#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

TEST(Run, HelpAndVersionAreHelpful) {
  const CommandResult help = run_command({DS4_SWEEP_BINARY, "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_THAT(help.out, HasSubstr("Exit codes:"));
  EXPECT_THAT(help.out, ::testing::Not(HasSubstr("worker")));
  EXPECT_THAT(run_command({DS4_SWEEP_BINARY, "--version"}).out, HasSubstr("ds4-sweep 0."));
  for (const char* verb : {"run", "plan", "resume", "report", "compare", "show", "rescore", "list",
                           "inspect", "logits", "generate"}) {
    const CommandResult verb_help = run_command({DS4_SWEEP_BINARY, verb, "--help"});
    EXPECT_EQ(verb_help.exit_code, 0) << verb;
    EXPECT_THAT(verb_help.out, HasSubstr("Example")) << verb;
  }
}

TEST(Run, UsageErrorsExitWithTwo) {
  EXPECT_EQ(run_command({DS4_SWEEP_BINARY}).exit_code, 2);
  EXPECT_EQ(run_command({DS4_SWEEP_BINARY, "frobnicate"}).exit_code, 2);
  const CommandResult missing = run_command({DS4_SWEEP_BINARY, "no/such/profile.toml"});
  EXPECT_NE(missing.exit_code, 0);
  EXPECT_THAT(missing.err, HasSubstr("no/such/profile.toml"));
}

TEST(Run, UnknownKeyNamesLineAndNearestKey) {
  const Sweep sweep("{}", std::string("[engine]\ncontext_lenght = 100\n") + kSmoke);
  const CommandResult result = sweep.run();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("profile.toml:6"));
  EXPECT_THAT(result.err, HasSubstr("context_length"));
}

TEST(Run, NullTargetMeasuresEveryCaseAndAGateFails) {
  const Sweep sweep("{}", std::string(kSmoke) +
                              "[[gate]]\nsuite = \"smoke\"\nscore = \"normalised\"\nmin = 0.9\n");
  const CommandResult result =
      run_command(sweep.command({"run", sweep.profile(), "--set", "target=null", "--no-progress"}));
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.out, HasSubstr("FAIL"));
  EXPECT_GE(sweep.answered().size(), 10u);
  EXPECT_THAT(result.out, HasSubstr("report.html"));
}

TEST(Run, JsonIsOneObjectAndReportsAreWritten) {
  const Sweep sweep(R"({"rules": [{"text": "Paris"}]})", kSmoke);
  const CommandResult result = run_command(
      sweep.command({"run", sweep.profile(), "--json", "-o", (sweep.folder() / "out").string()}));
  EXPECT_EQ(result.out.front(), '{');
  for (const char* name : {"report.html", "report.md", "report.json"}) {
    EXPECT_TRUE(std::filesystem::exists(sweep.folder() / "out" / name)) << name;
  }
}

TEST(Run, CrashHangAndErrorBecomeOutcomesAndTheSweepGoesOn) {
  // Three cells: one crashes in a case, one hangs, one is well.
  const Sweep sweep(
      R"({"rules": [
        {"seed": 1, "contains": "Japan", "print": "about to fail\n", "end": "segv"},
        {"seed": 2, "contains": "Japan", "hang": true},
        {"text": "OK"}]})",
      std::string("[limits]\ncase_timeout = \"1s\"\n[sweep]\n\"engine.seed\" = [1, 2, 3]\n") +
          kSmoke);
  const CommandResult result = sweep.run();
  EXPECT_EQ(result.exit_code, 4) << result.err;
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  ASSERT_EQ(launches.size(), 3u);
  EXPECT_EQ(launches[0].outcome, "KERNEL_CRASH");
  EXPECT_EQ(launches[0].signal, SIGSEGV);
  EXPECT_THAT(launches[0].log_tail, HasSubstr("about to fail"));
  EXPECT_THAT(launches[0].phase, HasSubstr("smoke/"));
  EXPECT_EQ(launches[1].outcome, "HANG");
  EXPECT_EQ(launches[2].outcome, "ok");
}

TEST(Run, SetUpErrorIsStoredWithItsRemedy) {
  const Sweep sweep(R"({"open": {"error": "the device is on fire"}})", kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 4);
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].outcome, "PREFLIGHT_REFUSED");
  EXPECT_THAT(launches[0].message, HasSubstr("on fire"));
}

TEST(Run, FailedRequestsAreTriedAgainByResume) {
  const Sweep sweep(
      R"({"rules": [{"contains": "Japan", "error": "connection reset"}, {"text": "x"}]})", kSmoke);
  sweep.run();
  const size_t first = sweep.answered().size();
  sweep.rewrite_script(R"({"rules": [{"text": "Tokyo"}]})");
  sweep.resume();
  const auto answered = sweep.answered();
  EXPECT_EQ(answered.size(), first + 1);
  for (const auto& [name, n] : answered) EXPECT_EQ(n, 1) << name;  // nothing was repeated
}

TEST(Run, RescoreKeepsOldScoresAndShowExplains) {
  const Sweep sweep(R"({"rules": [{"text": "The capital of Japan is Tokyo."}]})", kSmoke);
  sweep.run();
  const CommandResult rescored = run_command(sweep.command({"rescore", "latest"}));
  EXPECT_EQ(rescored.exit_code, 0) << rescored.err;
  EXPECT_THAT(rescored.out, HasSubstr("0 with another result"));
  const CommandResult shown = run_command(sweep.command({"show", "latest", "smoke"}));
  EXPECT_THAT(shown.out, HasSubstr("Tokyo"));
  EXPECT_EQ(run_command(sweep.command({"show", "latest", "nothing"})).exit_code, 2);
}

TEST(Run, ControlCOnceKeepsWhatIsMeasured) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 100}]})", kSmoke);
  const int pid = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  ::kill(pid, SIGINT);
  EXPECT_EQ(wait_command(pid), 130);
  const size_t before = sweep.answered().size();
  EXPECT_GE(before, 1u);
  const auto store = sweep.store();
  EXPECT_EQ(store->launches(store->run("latest").id).at(0).outcome, "interrupted");
  sweep.resume();
  EXPECT_GT(sweep.answered().size(), before);
  for (const auto& [name, n] : sweep.answered()) EXPECT_EQ(n, 1) << name;
}

}  // namespace
}  // namespace ds4::test_support
