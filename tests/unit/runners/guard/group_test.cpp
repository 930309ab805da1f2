// A process group told apart from others: by pidfd and by start ticks, alive, ended, replaced.
#include "runners/guard/group.h"

#include <gmock/gmock.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "engine/base/error.h"

namespace ds4::runners::guard {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A child that sleeps; leads a group of its own when `leader`. Killed and reaped at the end.
class Child {
 public:
  explicit Child(bool leader = true, pid_t wanted = 0) {
    if (wanted == 0) {
      pid_ = ::fork();
    } else {  // this very number, which is free
      clone_args arguments{};
      arguments.exit_signal = SIGCHLD;
      arguments.set_tid = reinterpret_cast<uint64_t>(&wanted);
      arguments.set_tid_size = 1;
      pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    }
    if (pid_ == 0) {
      if (leader) ::setpgid(0, 0);
      while (true) ::pause();
    }
    if (pid_ > 0 && leader) ::setpgid(pid_, pid_);
  }
  ~Child() { end(); }
  pid_t pid() const { return pid_; }
  void kill_only() const { ::kill(pid_, SIGKILL); }
  // Returns the signal it was ended by.
  int reap() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
  void end() {
    if (pid_ <= 0) return;
    kill_only();
    reap();
  }

 private:
  pid_t pid_ = -1;
};

class GuardGroup : public ::testing::TestWithParam<bool> {
 protected:
  bool use_pidfd() const { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Identity, GuardGroup, ::testing::Values(true, false),
                         [](const auto& p) { return p.param ? "Pidfd" : "StartTicks"; });

TEST_P(GuardGroup, SignalsEveryProcessOfTheGroup) {
  Child leader;
  Child member(false);
  ASSERT_EQ(::setpgid(member.pid(), leader.pid()), 0);
  const Group group(leader.pid(), read_stat(leader.pid())->start_ticks, use_pidfd());
  EXPECT_EQ(group.pidfd() >= 0, use_pidfd());
  EXPECT_TRUE(group.leader_runs());
  EXPECT_THAT(group.members(), ::testing::UnorderedElementsAre(leader.pid(), member.pid()));
  EXPECT_TRUE(group.signal(SIGKILL));
  EXPECT_EQ(leader.reap(), SIGKILL);
  EXPECT_EQ(member.reap(), SIGKILL);
  EXPECT_FALSE(group.leader_runs());
  EXPECT_FALSE(group.signal(0));
}

TEST_P(GuardGroup, AnEndedLeaderThatIsNotReapedDoesNotRun) {
  Child leader;
  const Group group(leader.pid(), {}, use_pidfd());
  leader.kill_only();
  for (int i = 0; i < 1000 && group.leader_runs(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(group.leader_runs());
}

TEST_P(GuardGroup, AReusedNumberIsNeverSignalled) {
  Child first;
  const pid_t number = first.pid();
  const Group group(number, {}, use_pidfd());
  first.end();
  // Start ticks are hundredths of a second: the next process must not begin in the same one.
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  Child second(true, number);
  if (second.pid() != number) GTEST_SKIP() << "choosing a process number needs root";
  EXPECT_FALSE(group.leader_runs());
  EXPECT_FALSE(group.signal(SIGKILL));
  EXPECT_EQ(::kill(number, 0), 0) << "the other process still runs";
  int status = 0;
  EXPECT_EQ(::waitpid(number, &status, WNOHANG), 0);
}

TEST(GuardGroupIdentity, ANumberGivenAwayMeanwhileIsRefused) {
  Child child;
  const uint64_t ticks = read_stat(child.pid())->start_ticks;
  EXPECT_NO_THROW(Group(child.pid(), ticks));
  try {
    Group(child.pid(), ticks + 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("another process"));
  }
}

TEST(GuardGroupIdentity, WhatCannotBeGuardedIsRefused) {
  EXPECT_THROW(Group(0), Error);
  EXPECT_THROW(Group(1), Error) << "everything descends from it";
  EXPECT_THROW(Group(-5), Error);
  EXPECT_THROW(Group(::getpgrp()), Error) << "this group";
  Child member(false);  // of this test's group
  EXPECT_THROW(Group(member.pid()), Error);
  Child leader;
  Child other(false);
  ASSERT_EQ(::setpgid(other.pid(), leader.pid()), 0);
  try {
    Group group(other.pid());
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(std::to_string(leader.pid())));
  }
  other.end();
}

TEST(GuardGroupIdentity, ReadsAStatWhoseNameHoldsBrackets) {
  const auto stat = parse_stat(
      "17 (a) b (c) S 1 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 50 184467\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->group, 42);
  EXPECT_EQ(stat->start_ticks, 98765u);
  EXPECT_FALSE(parse_stat("17 (a"));
  EXPECT_FALSE(parse_stat(""));
  EXPECT_FALSE(parse_stat("17 (a) S 1 x"));
}

}  // namespace
}  // namespace ds4::runners::guard
