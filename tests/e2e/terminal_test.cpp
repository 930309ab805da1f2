// The view of a run that runs, through a pseudo-terminal: what stands on the screen while cells
// load, answer and crash, and what is left of it afterwards.
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <functional>

#include "engine/base/clock.h"
#include "tests/e2e/sweep.h"
#include "tests/support/terminal.h"

namespace ds4::test_support {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// A program whose standard streams are a terminal.
class OnTerminal {
 public:
  OnTerminal(std::vector<std::string> command, int columns, int rows) : screen_(columns, rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::forkpty(&fd_, nullptr, nullptr, &size);
    if (pid_ != 0) return;
    ::setenv("TERM", "xterm-256color", 1);
    ::unsetenv("NO_COLOR");
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~OnTerminal() {
    ::kill(pid_, SIGKILL);
    ::close(fd_);
  }

  /// Reads until a line on the screen has the text, or the program ends; false then, and after a
  /// minute.
  bool wait_for(const std::string& text) {
    const double end_s = monotonic_seconds() + 60;
    while (monotonic_seconds() < end_s) {
      for (const std::string& line : screen_.lines()) {
        if (line.find(text) != std::string::npos) return true;
      }
      if (!read_more()) return false;
    }
    return false;
  }
  void press_ctrl_c() const { EXPECT_EQ(::write(fd_, "\x03", 1), 1); }
  /// Reads to the end and returns the exit code.
  int wait() {
    while (read_more()) {
    }
    return wait_command(pid_);
  }
  const Terminal& screen() const { return screen_; }

 private:
  bool read_more() {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 60000) <= 0) return false;
    char bytes[4096];
    const ssize_t n = ::read(fd_, bytes, sizeof bytes);
    if (n <= 0) return false;  // EIO: nobody has it open any more
    screen_.feed(std::string_view(bytes, static_cast<size_t>(n)));
    return true;
  }

  int fd_ = -1;
  pid_t pid_ = -1;
  Terminal screen_;
};

const std::string kThreeSeeds =
    "[[suite]]\nname = \"smoke\"\n[sweep]\n\"engine.seed\" = [1, 2, 3]\nsettle_timeout = "
    "\"100ms\"\n";

TEST(TerminalView, OneLinePerCellThroughACrashAndNothingLeftBehind) {
  const Sweep sweep(R"({"rules": [
      {"seed": 1, "contains": "Japan", "end": "segv"},
      {"seed": 2, "delay_ms": 150, "text": "Tokyo"},
      {"text": "OK"}]})",
                    kThreeSeeds);
  OnTerminal run(sweep.command({"run", sweep.profile()}), 80, 24);
  ASSERT_TRUE(run.wait_for("▸ seed=2"));
  ASSERT_TRUE(run.wait_for(", floor ")) << "the guard's reading";
  const auto lines = run.screen().lines();
  EXPECT_THAT(lines, Contains(HasSubstr("✗ seed=1  KERNEL_CRASH")));
  EXPECT_THAT(lines, Contains(HasSubstr("  seed=3  waiting")));
  EXPECT_THAT(lines, Contains(HasSubstr("cell 2 of 3")));
  EXPECT_EQ(run.wait(), 4);
  const auto after = run.screen().lines();
  EXPECT_THAT(after, Not(Contains(HasSubstr("▸"))));
  EXPECT_THAT(after, Not(Contains(HasSubstr("waiting"))));
  EXPECT_THAT(after, Contains(HasSubstr("report.html")));
  EXPECT_TRUE(run.screen().wraps());
}

TEST(TerminalView, CtrlCLeavesTheCursorBelowWhatWasSaid) {
  const Sweep sweep(R"({"rules": [{"delay_ms": 300, "text": "OK"}]})", kThreeSeeds);
  OnTerminal run(sweep.command({"run", sweep.profile()}), 40, 12);
  ASSERT_TRUE(run.wait_for("▸ seed=1"));
  run.press_ctrl_c();
  EXPECT_EQ(run.wait(), 130);
  const auto after = run.screen().lines();
  EXPECT_THAT(after, Not(Contains(HasSubstr("▸"))));
  EXPECT_EQ(run.screen().cursor_column(), 0u);
  EXPECT_EQ(run.screen().cursor_line() + 1, after.size());
  EXPECT_TRUE(run.screen().wraps());
}

TEST(TerminalView, APipeGetsLinesWithoutControls) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kThreeSeeds);
  const CommandResult result = run_command(sweep.command({"run", sweep.profile()}));
  EXPECT_THAT(result.err, HasSubstr("cell 2/3 seed=2: "));
  EXPECT_THAT(result.err, HasSubstr(" left in the run"));
  for (const char c : result.err) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

}  // namespace
}  // namespace ds4::test_support
