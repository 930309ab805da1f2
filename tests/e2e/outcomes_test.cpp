// Each way to end, provoked with the real binary: what is stored names it, and every report shows
// it with its scope and its remedy. docs/outcomes.md says which test provokes which class.
#include <signal.h>

#include "tests/e2e/outcomes.h"
#include "tests/support/chat_server.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

constexpr const char* kQuick = "[limits]\ncase_timeout = \"1s\"\n";

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
  EXPECT_EQ(sweep.run_in_little_memory().exit_code, 4);
  EXPECT_EQ(only_launch(sweep).outcome, "LOAD_OOM");
  expect_shown(sweep, "LOAD_OOM");
}

TEST(Outcomes, CaptureOom) {
  const Sweep sweep(R"({"capture": {"grow": true}})", kSmoke);
  EXPECT_EQ(sweep.run_in_little_memory().exit_code, 4);
  EXPECT_EQ(only_launch(sweep).outcome, "CAPTURE_OOM");
}

TEST(Outcomes, PrefillOom) {
  const Sweep sweep(R"({"rules": [{"contains": "Japan", "grow": true}, {"text": "x"}]})", kSmoke);
  EXPECT_EQ(sweep.run_in_little_memory().exit_code, 4);
  const reports::LaunchRow launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "PREFILL_OOM");
  EXPECT_THAT(launch.phase, HasSubstr("prefill: smoke/"));
}

TEST(Outcomes, DecodeOom) {
  const Sweep sweep(
      R"({"rules": [{"contains": "Japan", "grow": true, "after_token": true}, {"text": "x"}]})",
      kSmoke);
  EXPECT_EQ(sweep.run_in_little_memory().exit_code, 4);
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

TEST(Outcomes, Miscounted) {
  ChatPlay play;
  play.completion_tokens = 4000;
  const ChatServer server(play);
  const Sweep sweep("{}", kSmoke);
  write_file_atomic(sweep.profile(), "target = \"http\"\n[server]\nurl = \"" + server.url() +
                                         "\"\n[[suite]]\nname = \"smoke\"\nmax_tokens = 5000\n");
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_EQ(attempt_class(sweep), "MISCOUNTED");
  expect_shown(sweep, "MISCOUNTED");
}

// Each question before the first case has its own limit: a server that leaves several unanswered is
// slow to open, not dead.
TEST(Outcomes, QuestionsThatAServerLeavesOpenAreNoHang) {
  ChatPlay play;
  play.chat = [](int, const HttpRequest& request, HttpConnection& c) {
    const bool left = request.body.find("17 * 23") != std::string::npos;
    if (left) c.begin("text/event-stream");
    if (left) c.wait(20);
    return left;
  };
  const ChatServer server(play);
  const Sweep sweep("{}", kSmoke);
  write_file_atomic(sweep.profile(), "target = \"http\"\n[server]\nurl = \"" + server.url() +
                                         "\"\n[limits]\ncase_timeout = \"2s\"\n" + kSmoke);
  EXPECT_EQ(sweep.run().exit_code, 0);
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
  std::string value = nlohmann::json::parse(attempts.at(0).expected).at("values").at(0);
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

// Two problems of one wording: the second is answered from the cache, and otherwise.
TEST(Outcomes, CacheCorruption) {
  const Sweep sweep(R"({"rules": [{"text": "x"}]})",
                    "[[suite]]\nname = \"arithmetic\"\nkinds = [\"sum\"]\ncases = 500\n");
  sweep.run();
  std::map<std::string, int> asked;  // prompts
  std::string twice;
  {
    const auto store = sweep.store();
    for (const auto& attempt : store->attempts(store->run("latest").id, true)) {
      if (++asked[attempt.prompt] == 2) twice = attempt.prompt;
    }
  }
  ASSERT_FALSE(twice.empty()) << "no problem was drawn twice";
  const std::string question = twice.substr(twice.find('\n') + 1);
  const auto rule = [&](nlohmann::json more) {
    more["contains"] = question;
    return more.dump();
  };
  sweep.rewrite_script("{\"rules\": [" + rule({{"times", 1}, {"text", "#### 1"}}) + ", " +
                       rule({{"text", "#### 2"}, {"cached_tokens", 9}}) + R"(, {"text": "x"}]})");
  sweep.run();
  int corrupted = 0;
  const auto store = sweep.store();
  for (const auto& attempt : store->attempts(store->run("latest").id, true)) {
    if (attempt.outcome != "CACHE_CORRUPTION") continue;
    ++corrupted;
    EXPECT_EQ(attempt.prompt, twice);
    EXPECT_THAT(attempt.note, HasSubstr("9 prompt tokens from the cache"));
  }
  EXPECT_EQ(corrupted, asked[twice] - 1);
  expect_shown(sweep, "CACHE_CORRUPTION");
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
