// Each way to end, provoked with the real binary: what is stored names it, and every report shows
// it with its scope and its remedy. docs/outcomes.md says which test provokes which class.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "reports/outcomes/outcome.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using reports::outcome_class;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";
constexpr const char* kQuick = "[limits]\ncase_timeout = \"1s\"\n";

reports::LaunchRow only_launch(const Sweep& sweep) {
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  EXPECT_EQ(launches.size(), 1u);
  return launches.at(0);
}

// The class of the attempt at a case whose id begins with `name`, or of the first.
std::string attempt_class(const Sweep& sweep, const std::string& name = "") {
  const auto store = sweep.store();
  for (const auto& attempt : store->attempts(store->run("latest").id, false)) {
    if (attempt.case_id.starts_with(name)) return attempt.outcome;
  }
  return "no such attempt";
}

CommandResult run_shell(const std::string& script) {
  return run_command({"/bin/sh", "-c", script});
}

// Runs with at most this much address space, which a worker inherits.
void run_in_little_memory(const Sweep& sweep) {
  std::string line = "ulimit -v 700000; exec";
  for (const std::string& word : sweep.command({"run", sweep.profile(), "--no-progress"})) {
    line += " '" + word + "'";
  }
  EXPECT_EQ(run_shell(line).exit_code, 4);
}

// Everything a reader may look at names the class, whom it is about and what to do.
void expect_shown(const Sweep& sweep, const std::string& name) {
  const reports::OutcomeClass& known = outcome_class(name);
  ASSERT_EQ(known.name, name);
  const auto report = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"report", "latest"});
    return run_command(sweep.command(arguments)).out;
  };
  const std::string terminal = report({});
  EXPECT_THAT(terminal, HasSubstr(name));
  EXPECT_THAT(terminal, HasSubstr(known.scope));
  EXPECT_THAT(terminal, HasSubstr(known.remedy));
  for (const char* format : {"md", "html", "json"}) {
    const std::string text = report({"--format", format, "-o", "-"});
    // Markdown escapes braces and underscores, HTML quotes: the plain beginning is enough.
    EXPECT_THAT(text, HasSubstr(known.remedy.substr(0, 12))) << format;
    EXPECT_THAT(text, HasSubstr(known.scope.substr(0, 6))) << format;
  }
  const auto json = nlohmann::json::parse(report({"--format", "json", "-o", "-"}));
  bool found = false;
  for (const char* list : {"launches", "attempts"}) {
    for (const auto& row : json.at(list)) {
      if (row.at("outcome") != name) continue;
      found = true;
      EXPECT_EQ(row.at("scope"), known.scope);
      EXPECT_EQ(row.at("remedy"), known.remedy);
    }
  }
  EXPECT_TRUE(found) << name;
}

void expect_launch(const std::string& script, const std::string& profile, const char* outcome) {
  const Sweep sweep(script, profile);
  sweep.run();
  const reports::LaunchRow launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, outcome) << launch.message << "\n" << launch.log_tail;
  expect_shown(sweep, outcome);
}

void expect_attempt(const std::string& script, const std::string& profile, const char* outcome) {
  const Sweep sweep(script, profile);
  sweep.run();
  EXPECT_EQ(attempt_class(sweep), outcome);
  expect_shown(sweep, outcome);
}

// --- How a launch ends.

TEST(Outcomes, PreflightRefused) {
  expect_launch(R"({"open": {"error": "no GPU here"}})", kSmoke, "PREFLIGHT_REFUSED");
}

TEST(Outcomes, LoadIncompatible) {
  expect_launch(R"({"open": {"error": "config.json: 144 experts", "code": "checkpoint"}})", kSmoke,
                "LOAD_INCOMPATIBLE");
}

TEST(Outcomes, LoadOom) {
  const Sweep sweep(R"({"open": {"grow": true}})", kSmoke);
  run_in_little_memory(sweep);
  EXPECT_EQ(only_launch(sweep).outcome, "LOAD_OOM");
  expect_shown(sweep, "LOAD_OOM");
}

TEST(Outcomes, CaptureOom) {
  const Sweep sweep(R"({"capture": {"grow": true}})", kSmoke);
  run_in_little_memory(sweep);
  EXPECT_EQ(only_launch(sweep).outcome, "CAPTURE_OOM");
}

TEST(Outcomes, PrefillOom) {
  const Sweep sweep(R"({"rules": [{"contains": "Japan", "grow": true}, {"text": "x"}]})", kSmoke);
  run_in_little_memory(sweep);
  const reports::LaunchRow launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "PREFILL_OOM");
  EXPECT_THAT(launch.phase, HasSubstr("prefill: smoke/"));
}

TEST(Outcomes, DecodeOom) {
  const Sweep sweep(
      R"({"rules": [{"contains": "Japan", "grow": true, "after_token": true}, {"text": "x"}]})",
      kSmoke);
  run_in_little_memory(sweep);
  EXPECT_EQ(only_launch(sweep).outcome, "DECODE_OOM");
}

TEST(Outcomes, KernelCrash) {
  expect_launch(R"({"rules": [{"print": "the last words\n", "end": "segv"}]})", kSmoke,
                "KERNEL_CRASH");
  expect_launch(R"({"rules": [{"end": 7}]})", kSmoke, "KERNEL_CRASH");
}

TEST(Outcomes, TheLastLogLinesAreInEveryReportThatIsKept) {
  const Sweep sweep(R"({"rules": [{"print": "the last words\n", "end": "segv"}]})", kSmoke);
  sweep.run();
  for (const char* format : {"md", "html", "json"}) {
    const auto result =
        run_command(sweep.command({"report", "latest", "--format", format, "-o", "-"}));
    EXPECT_THAT(result.out, HasSubstr("the last words")) << format;
  }
}

TEST(Outcomes, Hang) {
  expect_launch(R"({"rules": [{"hang": true}]})", std::string(kQuick) + kSmoke, "HANG");
}

TEST(Outcomes, AStoppedWorkerWasStoppedBySomebody) {
  expect_launch(R"({"rules": [{"end": "stop"}]})", std::string(kQuick) + kSmoke, "KILLED");
}

TEST(Outcomes, Killed) {
  expect_launch(R"({"rules": [{"end": "kill"}]})", kSmoke, "KILLED");
}

TEST(Outcomes, HarnessError) {
  expect_launch(R"({"rules": [{"end": "check"}]})", kSmoke, "HARNESS_ERROR");
}

TEST(Outcomes, ReadyNotServing) {
  expect_launch(R"({"rules": [{"error": "HTTP 500"}]})", kSmoke, "READY_NOT_SERVING");
}

TEST(Outcomes, LaneWedge) {
  expect_launch(R"({"rules": [{"times": 4, "text": "x"}, {"error": "HTTP 503"}]})", kSmoke,
                "LANE_WEDGE");
}

TEST(Outcomes, SilentFallback) {
  expect_launch(R"({"open": {"print": "WARNING Falling back to BF16 KV\n"},
                    "rules": [{"text": "x"}]})",
                kSmoke, "SILENT_FALLBACK");
}

TEST(Outcomes, CellTimeout) {
  expect_launch(R"({"rules": [{"text": "x", "delay_ms": 300}]})",
                std::string("[limits]\ncell_timeout = \"1s\"\n") + kSmoke, "TIMEOUT");
}

TEST(Outcomes, ACrashAtTeardownLosesNothing) {
  const Sweep sweep(R"({"rules": [{"text": "x"}], "close": {"end": "segv"}})", kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 0);
  const reports::LaunchRow launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "KERNEL_CRASH");
  EXPECT_EQ(launch.phase, "teardown");
  EXPECT_GE(sweep.answered().size(), 10u);
}

// --- The machine.

// A memory cgroup of its own with a limit, where this machine lets a test make one (v1).
class MemoryGroup {
 public:
  explicit MemoryGroup(const std::string& limit) {
    std::error_code failed;
    std::filesystem::create_directory(path_, failed);
    std::ofstream(path_ / "memory.limit_in_bytes") << limit;
    std::string is;
    std::ifstream(path_ / "memory.limit_in_bytes") >> is;
    usable_ = !failed && is == limit;
  }
  ~MemoryGroup() { ::rmdir(path_.c_str()); }
  bool usable() const { return usable_; }
  std::string tasks() const { return path_ / "tasks"; }

 private:
  std::filesystem::path path_ = "/sys/fs/cgroup/memory/ds4-test-" + std::to_string(::getpid());
  bool usable_ = false;
};

TEST(Outcomes, TheKernelsOomKillerIsSeen) {
  const MemoryGroup group("268435456");
  if (!group.usable()) GTEST_SKIP() << "no memory cgroup can be made here";
  const Sweep sweep(R"({"rules": [{"grow": true}]})", kSmoke);
  std::string line = "echo $$ > " + group.tasks() + "; exec";
  for (const std::string& word : sweep.command({"run", sweep.profile(), "--no-progress"})) {
    line += " '" + word + "'";
  }
  run_shell(line);
  reports::LaunchRow launch = only_launch(sweep);
  if (launch.outcome == "running") {  // the killer chose the supervisor: the next verb says so
    run_command(sweep.command({"report", "latest"}));
    launch = only_launch(sweep);
  }
  EXPECT_THAT(launch.outcome, AnyOf("PREFILL_OOM", "HOST_OOM")) << launch.message;
}

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

// The row of a launch that began and never ended, as another boot or a dead supervisor leaves it.
void leave_unfinished(const Sweep& sweep, const reports::LaunchOrigin& origin) {
  const auto store = reports::Store::open(sweep.db());
  reports::RunRow run = store->run("latest");
  auto cells = store->cells(run.id);
  run.id = "aaaaaaaa-0000-4000-8000-000000000000";
  run.started_at = "2999-01-01T00:00:00.000Z";
  run.finished_at = "";
  store->add_run(run, cells);
  reports::LaunchRow launch;
  launch.cell_key = cells.at(0).key;
  launch.outcome = "running";
  launch.origin = origin;
  store->add_launch(run.id, launch, {});
}

TEST(Outcomes, HostReset) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", kSmoke);
  sweep.run();
  reports::LaunchOrigin origin = only_launch(sweep).origin;
  ASSERT_EQ(origin.boot_id.size(), 36u);
  origin.boot_id = "11111111-2222-3333-4444-555555555555";
  origin.telemetry = (sweep.folder() / "t.jsonl").string();
  write_file_atomic(origin.telemetry,
                    "{\"t\":8.25,\"available\":104857600,\"phase\":\"prefill\"}\n");
  leave_unfinished(sweep, origin);
  EXPECT_EQ(sweep.resume().exit_code, 4) << "what took the machine down is not tried unasked";
  EXPECT_EQ(run_command(sweep.command({"resume", "latest", "--retry"})).exit_code, 0);
  const auto store = sweep.store();
  const auto launches = store->launches(store->run("latest").id);
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].outcome, "HOST_RESET");
  EXPECT_THAT(launches[0].message, HasSubstr("100 MiB"));
  EXPECT_EQ(launches[1].outcome, "ok") << "--retry went on";
  expect_shown(sweep, "HOST_RESET");
}

TEST(Outcomes, HostOom) {
  const Sweep sweep(R"({"rules": [{"text": "Tokyo"}]})", kSmoke);
  sweep.run();
  reports::LaunchOrigin origin = only_launch(sweep).origin;
  origin.oom_kills -= 1;  // as if the killer had been at work since
  leave_unfinished(sweep, origin);
  expect_shown(sweep, "HOST_OOM");  // the report settles it
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

TEST(Outcomes, Interrupted) {
  const Sweep sweep(R"({"rules": [{"text": "x", "delay_ms": 100}]})", kSmoke);
  const int pid = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  ::kill(pid, SIGINT);
  EXPECT_EQ(wait_command(pid), 130);
  expect_shown(sweep, "interrupted");
}

TEST(Outcomes, AReadOnlyDatabaseIsSaidBeforeAnythingRuns) {
  const Sweep sweep(R"({"rules": [{"text": "x"}]})", kSmoke);
  const std::string script = "mount -t tmpfs none " + (sweep.folder() / "disk").string() +
                             " && mount -o remount,ro " + (sweep.folder() / "disk").string() +
                             " && exec " + DS4_SWEEP_BINARY + " run " + sweep.profile() + " --db " +
                             (sweep.folder() / "disk" / "r.db").string();
  std::filesystem::create_directory(sweep.folder() / "disk");
  const CommandResult result = run_shell("unshare -rm sh -c '" + script + "'");
  if (result.err.find("unshare") != std::string::npos) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("r.db"));
}

// --- How an attempt ends.

TEST(Outcomes, ApiError) {
  expect_attempt(R"({"rules": [{"times": 1, "error": "HTTP 500"}, {"text": "x"}]})", kSmoke,
                 "API_ERROR");
}

TEST(Outcomes, StreamBroken) {
  expect_attempt(
      R"({"rules": [{"times": 1, "error": "no [DONE]", "failure": "broken"}, {"text": "x"}]})",
      kSmoke, "STREAM_BROKEN");
}

TEST(Outcomes, Timeout) {
  expect_attempt(R"({"rules": [{"times": 1, "text": "x", "delay_ms": 3000}, {"text": "x"}]})",
                 std::string(kQuick) + kSmoke, "TIMEOUT");
}

TEST(Outcomes, WrongAnswer) {
  expect_attempt(R"({"rules": [{"text": "a fish"}]})", kSmoke, "WRONG_ANSWER");
}

TEST(Outcomes, EmptyContent) {
  expect_attempt(R"({"rules": [{"text": "", "tokens": 12}]})", kSmoke, "EMPTY_CONTENT");
}

TEST(Outcomes, TruncatedByBudget) {
  expect_attempt(R"({"rules": [{"text": "Let me think", "finish_reason": "length"}]})", kSmoke,
                 "TRUNCATED_BY_BUDGET");
}

TEST(Outcomes, Garbled) {
  std::string loop;
  for (int i = 0; i < 80; ++i) loop += "of of ";
  expect_attempt(R"({"rules": [{"text": ")" + loop + R"("}]})", kSmoke, "GARBLED");
}

TEST(Outcomes, ToolSchema) {
  expect_attempt(R"({"rules": [{"tool_calls": [{"name": "no_such_tool", "arguments": {}}]}]})",
                 "[[suite]]\nname = \"tool_calls\"\ncases = 2\n", "TOOL_SCHEMA");
}

constexpr const char* kNeedle = "[[suite]]\nname = \"needle\"\nlengths = [1024]\nsamples = [3]\n";

TEST(Outcomes, NearMiss) {
  const Sweep sweep(R"({"rules": [{"text": "x"}]})", kNeedle);
  sweep.run();
  const auto store = sweep.store();
  const auto attempts = store->attempts(store->run("latest").id, true);
  std::string value = nlohmann::json::parse(attempts.at(0).expected).at("value");
  value.back() = value.back() == '7' ? '8' : '7';
  sweep.rewrite_script(R"({"rules": [{"text": ")" + value + R"("}]})");
  sweep.run();
  EXPECT_EQ(attempt_class(sweep), "NEAR_MISS");
  expect_shown(sweep, "NEAR_MISS");
}

TEST(Outcomes, CacheLeak) {
  const Sweep sweep(R"({"rules": [{"leak": true}]})", kNeedle);
  sweep.run();
  const auto store = sweep.store();
  const auto attempts = store->attempts(store->run("latest").id, false);
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_NE(attempts[0].outcome, "CACHE_LEAK");
  EXPECT_EQ(attempts[1].outcome, "CACHE_LEAK");
  expect_shown(sweep, "CACHE_LEAK");
}

TEST(Outcomes, Contaminated) {
  expect_attempt(R"({"rules": [{"text": "x", "finish_reason": "length", "cached_tokens": 900}]})",
                 "[[suite]]\nname = \"speed\"\nlengths = [1024]\nsamples = [2]\n", "CONTAMINATED");
}

TEST(Outcomes, RescoreClassifiesAnew) {
  const Sweep sweep(R"({"rules": [{"text": "a fish"}]})", kSmoke);
  sweep.run();
  {
    const auto store = reports::Store::open(sweep.db());
    for (const auto& attempt : store->attempts(store->run("latest").id, false)) {
      store->set_outcome(attempt.id, "", "");  // as an older version stored it
    }
  }
  EXPECT_EQ(run_command(sweep.command({"rescore", "latest"})).exit_code, 0);
  EXPECT_EQ(attempt_class(sweep), "WRONG_ANSWER");
}

}  // namespace
}  // namespace ds4::test_support
