// The target `managed`: our own `serve` started by a profile answers as the embedded engine does,
// and servers that fail in one way or another end as the class that says so, with nothing left of
// them.
#include <gmock/gmock.h>

#include <map>

#include "probes/host_memory.h"
#include "tests/e2e/fake_server.h"
#include "tests/e2e/measured.h"
#include "tests/e2e/outcomes.h"
#include "tests/support/chat_server.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using testing::HasSubstr;

const std::string kServe = R"(target = "managed"
[server]
concurrency = 2
[launch]
server = "other"
command = ["{ds4-sweep}", "serve", "--checkpoint", "{checkpoint}", "--host", "{host}", "--port", "{port}", "--context", "{context_length}", "--threads", "1", "--sequences", "{sequences}"]
metrics_interval = 0.2
[launch.limits]
port = "30s"
health = "30s"
model = "5s"
answer = "30s"
stop = "10s"
[engine]
context_length = 2048
sequences = 2
)";

TEST(Managed, OurOwnServerAnswersAsTheEmbeddedEngine) {
  const Measured embedded("target = \"engine\"\n[engine]\ncontext_length = 2048\n");
  const Measured started(kServe);
  ASSERT_FALSE(embedded.attempts.empty());
  ASSERT_EQ(started.attempts.size(), embedded.attempts.size())
      << started.run.err << started.launch.message << "\n"
      << started.launch.log_tail;
  for (const auto& [name, wanted] : embedded.attempts) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(started.attempts.contains(name));
    const reports::AttemptRow& got = started.attempts.at(name);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.content, wanted.content);
    EXPECT_EQ(got.prompt_tokens, wanted.prompt_tokens);
    EXPECT_EQ(got.completion_tokens, wanted.completion_tokens);
    EXPECT_EQ(got.outcome, wanted.outcome);
  }
  EXPECT_EQ(started.launch.outcome, "ok") << started.launch.message;
  // The rungs in their order, then the end.
  double before = 0;
  for (const char* rung : {"ready_process_time", "ready_port_time", "ready_health_time",
                           "ready_model_time", "ready_answer_time"}) {
    ASSERT_TRUE(started.samples.contains(rung)) << rung;
    EXPECT_GE(started.samples.at(rung), before) << rung;
    before = started.samples.at(rung);
  }
  EXPECT_GT(started.samples.at("server_stop_time"), 0);
  EXPECT_TRUE(started.samples.contains("server_memory_left"));
  EXPECT_THAT(started.launch.target, HasSubstr("\"started\""));
}

// How fake servers are started, with time limits that tests can wait for.
std::string fake(const FakeServer& server, const std::string& more = "") {
  return "target = \"managed\"\n[launch]\nserver = \"other\"\ncommand = " + server.command() +
         "\n[launch.limits]\nport = 2\nhealth = 2\n"
         "model = 1\nanswer = 2\nstop = 1\n[limits]\ncase_timeout = 2\n" +
         more;
}

void expect_ends_as(const FakeServer& server, const char* outcome, const std::string& message) {
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, outcome) << measured.launch.message << measured.run.err;
  EXPECT_THAT(measured.launch.message, HasSubstr(message)) << measured.launch.log_tail;
  EXPECT_EQ(server.left(), std::vector<pid_t>()) << "processes are left";
}

TEST(Managed, ACommandThatCannotBeRunIsRefused) {
  const Measured measured(
      "target = \"managed\"\n[launch]\nserver = \"other\"\n"
      "command = [\"/nowhere/server\"]\n");
  EXPECT_EQ(measured.launch.outcome, "PREFLIGHT_REFUSED");
  EXPECT_THAT(measured.launch.message, HasSubstr("cannot run `/nowhere/server`"));
  EXPECT_THAT(measured.launch.message, HasSubstr("launch.command"));
}

TEST(Managed, ADeathAtLoadIsACrashWithItsLastWords) {
  expect_ends_as(FakeServer("lacks-weights"), "KERNEL_CRASH",
                 "ended with exit code 3 before its port was open");
}

TEST(Managed, ADeathAtLoadForWantOfMemoryIsSaid) {
  expect_ends_as(FakeServer("lacks-memory"), "LOAD_OOM", "out of memory");
}

TEST(Managed, ADeathBehindTheCacheIsOneOfCapture) {
  expect_ends_as(FakeServer("lacks-memory-for-graphs"), "CAPTURE_OOM", "out of memory");
}

TEST(Managed, AServerThatNeverListensIsAHang) {
  expect_ends_as(FakeServer("never-listens"), "HANG", "went by before its port was open");
}

TEST(Managed, AServerThatHangsAtHealthIsAHang) {
  expect_ends_as(FakeServer("hangs-at-health"), "HANG", "went by before /health was 200");
}

TEST(Managed, AModelThatIsNeverListedIsReadyAndNotServing) {
  expect_ends_as(FakeServer("lists-nothing"), "READY_NOT_SERVING", "GET models lists nothing");
}

TEST(Managed, AServerThatAnswersNoRequestIsReadyAndNotServing) {
  expect_ends_as(FakeServer("refuses"), "READY_NOT_SERVING", "its first answer: ");
}

TEST(Managed, ADeathInTheMiddleOfAnAnswerIsACrashInDecode) {
  const FakeServer server("dies-answering");
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, "KERNEL_CRASH") << measured.launch.message;
  EXPECT_THAT(measured.launch.message, HasSubstr("with a request in work"));
  EXPECT_THAT(measured.launch.phase, testing::StartsWith("decode"));
  int broken = 0;
  for (const auto& [name, attempt] : measured.attempts)
    broken += attempt.outcome == "STREAM_BROKEN";
  EXPECT_EQ(broken, 1) << "and nothing is asked of a dead server";
  EXPECT_EQ(server.left(), std::vector<pid_t>());
}

TEST(Managed, WhatAServerLeavesBehindIsEnded) {
  const FakeServer server("leaves");
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, "ok") << measured.launch.message << measured.launch.log_tail;
  EXPECT_EQ(server.started(), 3u) << "the server and two it left";
  EXPECT_EQ(server.left(), std::vector<pid_t>());
  EXPECT_EQ(measured.samples.at("server_weights_memory"), 96.66 * (1 << 30));
  EXPECT_EQ(measured.samples.at("server_running"), 0);
}

TEST(Managed, ADeafServerIsKilled) {
  const FakeServer server("is-deaf");
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, "ok") << measured.launch.message;
  EXPECT_THAT(measured.launch.log_tail, HasSubstr("had to be killed"));
  EXPECT_EQ(server.left(), std::vector<pid_t>());
}

TEST(Managed, AFallbackInItsLogSpoilsTheMeasurement) {
  const FakeServer server("falls-back");
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, "SILENT_FALLBACK") << measured.launch.message;
  EXPECT_THAT(measured.launch.message, HasSubstr("packed KV refused"));
}

TEST(Managed, ADeathBeforeTheFirstTokenIsOneOfPrefill) {
  const FakeServer server("dies-reading");
  const Measured measured(fake(server));
  EXPECT_EQ(measured.launch.outcome, "KERNEL_CRASH") << measured.launch.message;
  EXPECT_THAT(measured.launch.phase, testing::StartsWith("prefill"));
  EXPECT_EQ(server.left(), std::vector<pid_t>());
}

TEST(Managed, AServerThatNeverAnswersACaseIsLateAndStopped) {
  const FakeServer server("never-answers");
  const Measured measured(fake(server, "[server]\nconcurrency = 8\n"));
  EXPECT_EQ(measured.attempts.at("smoke/france").outcome, "TIMEOUT");
  EXPECT_EQ(measured.launch.outcome, "ok") << measured.launch.message;
  EXPECT_EQ(server.left(), std::vector<pid_t>());
}

TEST(Managed, WhoeverListensThereAlreadyIsNotMeasured) {
  ChatServer other({});
  const FakeServer server("serves");
  const Measured measured(fake(server, "[server]\nurl = \"" + other.url() + "\"\n"));
  EXPECT_EQ(measured.launch.outcome, "PREFLIGHT_REFUSED");
  EXPECT_THAT(measured.launch.message, HasSubstr("somebody listens at " + other.http().origin()));
  EXPECT_EQ(server.started(), 0u);
}

// The key comes from the environment, for the server and for us, and stands nowhere.
TEST(Managed, AKeyIsUsedAndNeverWritten) {
  ::setenv("FAKE_SERVER_KEY", "sk-very-secret", 1);
  const FakeServer server("serves");
  const Measured measured(fake(server, "[server]\napi_key_env = \"FAKE_SERVER_KEY\"\n"));
  ::unsetenv("FAKE_SERVER_KEY");
  EXPECT_EQ(measured.launch.outcome, "ok") << measured.launch.message;
  EXPECT_THAT(measured.launch.log_tail, HasSubstr("my key is ***"));
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(measured.folder.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(read_file(entry.path()).find("sk-very-secret"), std::string::npos) << entry.path();
  }
  EXPECT_GE(files, 4u) << "profile, database, telemetry and the server's log";
}

// The guard counts what the server takes, and ends both.
TEST(Managed, TheGuardEndsAServerThatTakesTheMemory) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    const int64_t floor = probes::read_machine_memory().available_bytes - (int64_t{250} << 20);
    const FakeServer server("takes-memory");
    const Measured measured(
        fake(server, "[guard]\ngrace = \"1s\"\nfloor = " + std::to_string(floor) + "\n"));
    if (server.started() == 0) continue;  // others took it first
    EXPECT_EQ(measured.launch.outcome, "WATCHDOG_KILL{load}") << measured.launch.message;
    EXPECT_EQ(server.started(), 1u);
    EXPECT_EQ(server.left(), std::vector<pid_t>());
    return;
  }
  FAIL() << "the machine has too little memory to spare";
}

TEST(Managed, AKilledSupervisorTakesTheServerWithIt) {
  const FakeServer server("leaves");
  const TemporaryFolder folder;
  write_file_atomic(folder / "profile.toml", "name = \"e2e\"\ncheckpoint = \"" +
                                                 (source_dir() / "checkpoints/tiny").string() +
                                                 "\"\n" + fake(server) +
                                                 "[[suite]]\nname = \"smoke\"\n");
  const int run = start_command({DS4_SWEEP_BINARY, "run", folder / "profile.toml", "--db",
                                 folder / "results.db", "--no-progress"});
  for (int i = 0; i < 200 && server.started() < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(server.left().size(), 3u);
  ::kill(run, SIGKILL);
  wait_command(run);
  for (int i = 0; i < 300 && !server.left().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(server.left(), std::vector<pid_t>());
}

}  // namespace
}  // namespace ds4::test_support
