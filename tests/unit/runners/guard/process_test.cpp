// A whole guard on a machine made of files: armed, told, and with a real process to end.
#include "runners/guard/guard_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/files.h"
#include "runners/guard/group.h"
#include "runners/guard/strays.h"
#include "runners/guard/watch.h"
#include "tests/support/command.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t kMiB = int64_t{1} << 20;

// A guard in a forked process, over pipes as a supervisor has them.
class GuardProcessTest : public ::testing::Test {
 protected:
  GuardProcessTest() {
    ::alarm(60);  // a guard that does not answer must not keep the tests waiting
    setup_.limits.floor_bytes.fill(100 * kMiB);
    setup_.limits.floor_bytes[static_cast<size_t>(Phase::kTeardown)] = 50 * kMiB;
    setup_.limits.rate_hz = 50;
    setup_.limits.grace_s = 0.5;
    setup_.telemetry = folder_ / "telemetry.jsonl";
    setup_.proc = folder_.path();
    available(500 * kMiB);
  }
  ~GuardProcessTest() override {
    ::alarm(0);
    close_input();
    for (const pid_t pid : {guard_, target_}) {
      if (pid <= 0) continue;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }

  // In place: the guard has the file open.
  void available(int64_t bytes) const {
    const std::string text =
        "MemTotal: 1048576 kB\nMemFree: 1024 kB\nMemAvailable: " + std::to_string(bytes / 1024) +
        " kB\n";
    const int fd = ::open((folder_ / "meminfo").c_str(), O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::pwrite(fd, (text + std::string(64 - text.size() % 64, '\n')).data(),
                       text.size() + 64 - text.size() % 64, 0),
              static_cast<ssize_t>(text.size() + 64 - text.size() % 64));
    ::close(fd);
  }

  void start() {
    int in[2], out[2];
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    guard_ = ::fork();
    if (guard_ == 0) {
      ::close(in[1]);
      ::setpgid(0, 0);
      ::_exit(run_guard_process(in[0], ::fdopen(out[1], "w")));
    }
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = ::fdopen(out[0], "r");
    say(setup_to_json(setup_));
  }

  // A process with a group of its own; deaf to TERM, or ended by it.
  void fork_target(bool deaf) {
    target_ = ::fork();
    if (target_ == 0) {
      ::close(in_);  // else the guard's input would not end with the supervisor
      ::setpgid(0, 0);
      ::signal(SIGTERM, deaf ? SIG_IGN : SIG_DFL);
      while (true) ::pause();
    }
    ::setpgid(target_, target_);
  }
  void start_target(bool deaf) {
    fork_target(deaf);
    // It must have set its mind on TERM.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    say("watch " + std::to_string(target_) + " " + std::to_string(read_stat(target_)->start_ticks));
    EXPECT_EQ(hear()["type"], "watching");
  }

  void say(const std::string& line) const {
    const std::string text = line + "\n";
    ASSERT_EQ(::write(in_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_input() {
    if (in_ >= 0) ::close(in_);
    in_ = -1;
  }
  // The next message that is no sign of life; null when the guard has ended.
  json hear() const {
    char* line = nullptr;
    size_t size = 0;
    json message;
    while (::getline(&line, &size, out_) > 0) {
      message = json::parse(line);
      if (message["type"] != "alive") break;
      message = json();
    }
    std::free(line);
    return message;
  }
  int guard_exit() {
    int status = 0;
    ::waitpid(guard_, &status, 0);
    guard_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // The signal that ended the target, reaping it.
  int target_signal() {
    int status = 0;
    ::waitpid(target_, &status, 0);
    target_ = -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
  bool target_runs() const {
    const auto stat = read_stat(target_);
    return stat && stat->state != 'Z';
  }

  test_support::TemporaryFolder folder_;
  guard::Setup setup_;
  pid_t guard_ = -1, target_ = -1;
  int in_ = -1;
  std::FILE* out_ = nullptr;
};

TEST_F(GuardProcessTest, ArmsWatchesAndEndsInPeace) {
  available(600 * kMiB);
  start();
  const json armed = hear();
  EXPECT_EQ(armed["type"], "armed");
  EXPECT_EQ(armed["available"], 600 * kMiB);
  start_target(false);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  available(500 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  available(700 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  say("end");
  const json ended = hear();
  EXPECT_EQ(ended["type"], "ended");
  EXPECT_TRUE(ended["verdict"].is_null());
  EXPECT_EQ(ended["most_used"], 524 * kMiB) << "of 1 GiB, at the fullest reading";
  EXPECT_EQ(guard_exit(), kNothingFired);
  EXPECT_TRUE(target_runs());
  EXPECT_GT(read_trace(setup_.telemetry).samples.size(), 4u);
}

TEST_F(GuardProcessTest, RefusesBelowTheFloor) {
  available(90 * kMiB);
  start();
  const json refused = hear();
  EXPECT_EQ(refused["type"], "refused");
  EXPECT_EQ(refused["verdict"]["action"], "refused");
  EXPECT_EQ(refused["verdict"]["over_bytes"], 10 * kMiB);
  EXPECT_EQ(guard_exit(), kRefused);
}

TEST_F(GuardProcessTest, TermIsEnoughForATargetThatListens) {
  start();
  hear();
  start_target(false);
  say("phase prefill");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  available(90 * kMiB);
  EXPECT_EQ(target_signal(), SIGTERM);
  const json ended = hear();
  const auto verdict = verdict_from_json(ended["verdict"].dump());
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kSoft);
  EXPECT_EQ(verdict->rule, Rule::kFloor);
  EXPECT_EQ(verdict->phase, Phase::kPrefill);
  EXPECT_EQ(verdict->limit_bytes, 100 * kMiB);
  EXPECT_EQ(verdict->value_bytes, 90 * kMiB);
  EXPECT_GE(verdict->reaction_s, 0);
  EXPECT_LT(verdict->reaction_s, 0.5);
  say("end");
  EXPECT_EQ(guard_exit(), kEndedSoft);
  const Trace trace = read_trace(setup_.telemetry);
  EXPECT_EQ(trace.samples.back().available, 90 * kMiB);
  EXPECT_THAT(trace.events, ::testing::Contains(::testing::Field(&TraceEvent::what, "soft")));
}

TEST_F(GuardProcessTest, ATargetDeafToTermIsKilledAfterTheGrace) {
  start();
  hear();
  start_target(true);
  available(90 * kMiB);
  const double begin_s = monotonic_seconds();
  EXPECT_EQ(target_signal(), SIGKILL);
  EXPECT_GT(monotonic_seconds() - begin_s, 0.4);
  const auto verdict = verdict_from_json(hear()["verdict"].dump());
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kHard);
  EXPECT_EQ(verdict->rule, Rule::kFloor);
  EXPECT_EQ(verdict->hard_rule, Rule::kGrace);
  say("end");
  EXPECT_EQ(guard_exit(), kKilled);
}

TEST_F(GuardProcessTest, BelowTheHardFloorNobodyIsAsked) {
  start();
  hear();
  start_target(false);
  available(60 * kMiB);
  EXPECT_EQ(target_signal(), SIGKILL);
  const auto verdict = verdict_from_json(hear()["verdict"].dump());
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kHard);
  EXPECT_EQ(verdict->hard_rule, Rule::kFloor);
}

TEST_F(GuardProcessTest, TheFloorFollowsThePhase) {
  start();
  hear();
  start_target(false);
  say("phase teardown");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  available(90 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_TRUE(target_runs());
  available(45 * kMiB);
  EXPECT_EQ(target_signal(), SIGTERM);
  const auto verdict = verdict_from_json(hear()["verdict"].dump());
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->in_teardown());
}

TEST_F(GuardProcessTest, WithoutItsSupervisorItEndsTheTarget) {
  start();
  hear();
  start_target(true);
  close_input();
  EXPECT_EQ(target_signal(), SIGKILL);
  EXPECT_EQ(guard_exit(), kKilledAlone);
}

// A killed supervisor's worker may be seen to end before the supervisor's end is.
TEST_F(GuardProcessTest, WithoutItsSupervisorItEndsWhatAnEndedTargetLeft) {
  start();
  hear();
  start_target(false);
  const std::string mark = mark_of(target_);
  const pid_t left = ::fork();
  if (left == 0) {
    ::setsid();
    std::string entry = std::string(kMarkVariable) + "=" + mark;
    char* const env[] = {entry.data(), nullptr};
    ::execle("/bin/sleep", "sleep", "60", nullptr, env);
    ::_exit(127);
  }
  while (marked_processes(mark).empty()) std::this_thread::yield();
  ::kill(target_, SIGKILL);
  EXPECT_EQ(hear()["type"], "ended");
  EXPECT_EQ(::waitpid(left, nullptr, WNOHANG), 0) << "the supervisor may still look after it";
  close_input();
  int status = 0;
  EXPECT_EQ(::waitpid(left, &status, 0), left);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(guard_exit(), kNothingFired);
}

TEST_F(GuardProcessTest, WithoutReadingsItEndsTheTarget) {
  start();
  hear();
  start_target(false);
  std::filesystem::resize_file(folder_ / "meminfo", 0);
  EXPECT_EQ(target_signal(), SIGKILL);
  say("end");
  EXPECT_EQ(guard_exit(), kKilledBlind);
}

TEST_F(GuardProcessTest, AnotherProcessOfThatNumberIsRefused) {
  start();
  hear();
  fork_target(false);
  say("watch " + std::to_string(target_) + " 1");
  const json error = hear();
  EXPECT_EQ(error["type"], "error");
  EXPECT_THAT(std::string(error["what"]), HasSubstr("another process"));
  EXPECT_EQ(guard_exit(), 2);
  EXPECT_TRUE(target_runs());
}

TEST_F(GuardProcessTest, NonsenseForASetupIsSaid) {
  setup_.telemetry = folder_ / "absent/telemetry.jsonl";
  start();
  const json error = hear();
  EXPECT_EQ(error["type"], "error");
  EXPECT_THAT(std::string(error["what"]), HasSubstr("absent/telemetry.jsonl"));
  EXPECT_EQ(guard_exit(), 3);
}

}  // namespace
}  // namespace ds4::runners::guard
