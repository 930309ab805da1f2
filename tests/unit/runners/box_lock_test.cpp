// The lock of a machine: held by one, told by name, freed by death, and never taken on a file that
// somebody else prepared.
#include "runners/box_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/support/command.h"

namespace ds4::runners {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class BoxLockTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_ / "lock"; }

  std::string refusal(std::chrono::milliseconds wait = 0ms) const {
    try {
      const BoxLock lock(file(), wait);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kMachine);
      return std::string(error.what()) + "\n" + error.hint();
    }
    return "";
  }

  // A child that takes the lock and then waits to be killed.
  pid_t holder_process() const {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      BoxLock lock(file(), 0ms);
      lock.name_run("0badcafe-1234");
      [[maybe_unused]] const ssize_t n = ::write(ready[1], "x", 1);
      while (true) ::pause();
    }
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
    return pid;
  }

  test_support::TemporaryFolder folder_;
};

TEST_F(BoxLockTest, TheSecondIsToldWhoHoldsIt) {
  BoxLock first(file(), 0ms);
  EXPECT_THAT(refusal(), HasSubstr("a run (pid " + std::to_string(::getpid()) + ") since 20"));
  first.name_run("3f2a91c0-aaaa-4bbb-8ccc-000000000000");
  const std::string text = refusal();
  EXPECT_THAT(text, HasSubstr("run 3f2a91c0 (pid " + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(text, HasSubstr("--wait"));
  EXPECT_THAT(text, HasSubstr("--no-lock"));
  const auto holder = BoxLock::holder(file());
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, ::getpid());
  EXPECT_TRUE(holder->alive);
}

TEST_F(BoxLockTest, IsFreeAgainAtTheEnd) {
  EXPECT_FALSE(BoxLock::holder(file()));
  { const BoxLock lock(file(), 0ms); }
  EXPECT_FALSE(BoxLock::holder(file()));
  EXPECT_EQ(refusal(), "");
}

TEST_F(BoxLockTest, DiesWithItsProcess) {
  const pid_t pid = holder_process();
  EXPECT_THAT(refusal(), HasSubstr("run 0badcafe (pid " + std::to_string(pid) + ")"));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_EQ(refusal(), "");
}

TEST_F(BoxLockTest, AWaiterGetsItWhenTheHolderEnds) {
  const pid_t pid = holder_process();
  std::thread killer([pid] {
    std::this_thread::sleep_for(200ms);
    ::kill(pid, SIGKILL);
  });
  std::string told;
  const BoxLock lock(file(), 60s, [&](const BoxLock::Holder& h) { told = h.text(); });
  EXPECT_THAT(told, HasSubstr("0badcafe"));
  killer.join();
  ::waitpid(pid, nullptr, 0);
}

// The supervisor is gone, its worker is not: the lock is the worker's until it has ended.
TEST_F(BoxLockTest, IsHeldByWhatTheHolderStarted) {
  int number[2];
  ASSERT_EQ(::pipe(number), 0);
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    const BoxLock lock(file(), 0ms);
    const pid_t worker = ::fork();
    if (worker == 0) {
      ::close(number[1]);
      ::execlp("sleep", "sleep", "60", nullptr);
      ::_exit(127);
    }
    [[maybe_unused]] const ssize_t n = ::write(number[1], &worker, sizeof worker);
    ::_exit(0);
  }
  pid_t worker = 0;
  ASSERT_EQ(::read(number[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ::waitpid(supervisor, nullptr, 0);
  const auto holder = BoxLock::holder(file());
  ASSERT_TRUE(holder);
  EXPECT_FALSE(holder->alive);
  EXPECT_THAT(holder->text(), HasSubstr("a process it started is not"));
  std::thread killer([worker] {
    std::this_thread::sleep_for(100ms);
    ::kill(worker, SIGKILL);
  });
  EXPECT_EQ(refusal(0ms), "") << "no patience with a worker that is just ending";
  killer.join();
  ::close(number[0]);
  ::close(number[1]);
}

TEST_F(BoxLockTest, OtherUsersMayTakeItNext) {
  const mode_t before = ::umask(077);
  { const BoxLock lock(file(), 0ms); }
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
}

TEST_F(BoxLockTest, NeverFollowsALink) {
  write_file_atomic(folder_ / "victim", "precious");
  std::filesystem::create_symlink(folder_ / "victim", file());
  EXPECT_THAT(refusal(), HasSubstr("symbolic link"));
  std::filesystem::remove(file());
  std::filesystem::create_hard_link(folder_ / "victim", file());
  EXPECT_THAT(refusal(), HasSubstr("no lock file"));
  EXPECT_EQ(read_file(folder_ / "victim"), "precious");
  EXPECT_FALSE(BoxLock::holder(folder_ / "victim"));
}

TEST_F(BoxLockTest, RefusesWhatIsNoFileWithoutWaiting) {
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("no lock file"));
  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  EXPECT_THAT(refusal(), HasSubstr("cannot be opened"));
}

TEST_F(BoxLockTest, RepeatsNothingHostileFromTheFile) {
  const BoxLock lock(file(), 0ms);
  for (const std::string& text :
       {std::string("99999999999999999999 \x1b[31mred <b>"), std::string("-1 x y\n"),
        std::string(5000, '7'), std::string("\0\0\0", 3), std::string()}) {
    // In place: a rename would make it another file, and a free one.
    const int fd = ::open(file().c_str(), O_WRONLY | O_TRUNC);
    ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
    const auto holder = BoxLock::holder(file());
    ASSERT_TRUE(holder);
    EXPECT_EQ(holder->pid, 0) << text;
    EXPECT_THAT(holder->text(), Not(HasSubstr("\x1b")));
    EXPECT_LT(holder->text().size(), 200u);
  }
}

TEST_F(BoxLockTest, AFileTakenAwayIsNotTheLock) {
  const BoxLock lock(file(), 0ms);
  std::filesystem::remove(file());
  EXPECT_FALSE(BoxLock::holder(file()));
  const BoxLock other(file(), 0ms);  // a new file: nobody can find the old one any more
  EXPECT_TRUE(BoxLock::holder(file()));
}

TEST(BoxLockFile, IsNamedByTheEnvironment) {
  ::setenv("DS4_SWEEP_LOCK", "/somewhere/lock", 1);
  EXPECT_EQ(BoxLock::default_file(), "/somewhere/lock");
  ::unsetenv("DS4_SWEEP_LOCK");
  EXPECT_EQ(BoxLock::default_file().filename(), "ds4-sweep.lock");
}

}  // namespace
}  // namespace ds4::runners
