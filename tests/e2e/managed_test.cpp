// The target `managed`: our own `serve` started by a profile answers as the embedded engine does,
// and servers that fail in one way or another end as the class that says so, with nothing left of
// them.
#include <gmock/gmock.h>

#include <map>

#include "tests/e2e/fake_server.h"
#include "tests/e2e/outcomes.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using testing::HasSubstr;

using Attempts = std::map<std::string, reports::AttemptRow>;

const char* const kSmall = R"(
[[suite]]
name = "smoke"
[[suite]]
name = "arithmetic"
cases = 4
)";

// A run of that profile text, checkpoint included.
struct Measured {
  explicit Measured(const std::string& head, const std::string& suites = kSmall) {
    const std::string profile = folder / "profile.toml", db = folder / "results.db";
    write_file_atomic(profile, "name = \"e2e\"\ndescription = \"started\"\ncheckpoint = \"" +
                                   (source_dir() / "checkpoints/tiny").string() + "\"\n" + head +
                                   suites);
    run = run_command({DS4_SWEEP_BINARY, "run", profile, "--db", db, "--no-progress"});
    if (!std::filesystem::exists(db)) return;
    store = reports::Store::open_read_only(db);
    const std::string id = store->run("latest").id;
    for (auto& row : store->attempts(id, true)) {
      attempts[row.suite + "/" + row.case_id] = std::move(row);
    }
    const auto launches = store->launches(id);
    if (!launches.empty()) launch = launches.front();
    for (const auto& [cell, number, sample] : store->launch_samples(id)) {
      samples[sample.metric] = sample.value;
    }
  }

  TemporaryFolder folder;
  CommandResult run;
  std::unique_ptr<reports::Store> store;
  Attempts attempts;
  reports::LaunchRow launch;
  std::map<std::string, double> samples;  // of the launch: the last of each metric
};

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
