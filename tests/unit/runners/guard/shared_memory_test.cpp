// What a killed group leaves under /dev/shm: only its own goes.
#include "runners/guard/shared_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ds4::runners::guard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GuardSharedMemory : public ::testing::Test {
 protected:
  ~GuardSharedMemory() override {
    for (const pid_t pid : pids_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    for (const std::string& name : names_) ::shm_unlink(name.c_str());
  }

  std::string name(const std::string& tail) {
    names_.push_back("/ds4-test-" + std::to_string(::getpid()) + "-" + tail);
    return names_.back();
  }
  static std::string file(const std::string& name) { return name.substr(1); }
  static bool exists(const std::string& name) {
    return ::access(("/dev/shm" + name).c_str(), F_OK) == 0;
  }

  // A process of its own group that maps the segment, and closes its descriptor as most do.
  pid_t user_of(const std::string& name) {
    int ready[2];
    if (::pipe(ready) != 0) return -1;
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setpgid(0, 0);
      const int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
      if (::ftruncate(fd, 4096) != 0) ::_exit(1);
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      ::close(fd);
      [[maybe_unused]] const ssize_t n = ::write(ready[1], "x", 1);
      while (true) ::pause();
    }
    ::setpgid(pid, pid);
    char byte;
    [[maybe_unused]] const ssize_t n = ::read(ready[0], &byte, 1);
    ::close(ready[0]);
    ::close(ready[1]);
    pids_.push_back(pid);
    return pid;
  }
  void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    std::erase(pids_, pid);
  }

  std::vector<pid_t> pids_;
  std::vector<std::string> names_;
};

TEST_F(GuardSharedMemory, WhatAKilledGroupMadeIsRemoved) {
  SharedMemory memory;
  const std::string segment = name("own");
  const pid_t target = user_of(segment);
  const Group group(target);
  memory.look(group);
  end(target);
  ASSERT_TRUE(exists(segment)) << "a killed process leaves it";
  const Leftovers left = memory.clean_up();
  EXPECT_THAT(left.removed, ElementsAre(file(segment)));
  EXPECT_THAT(left.kept, IsEmpty());
  EXPECT_FALSE(exists(segment));
}

TEST_F(GuardSharedMemory, WhatWasThereBeforeStays) {
  const std::string segment = name("older");
  const pid_t target = user_of(segment);
  SharedMemory memory;
  const Group group(target);
  memory.look(group);
  end(target);
  EXPECT_THAT(memory.clean_up().removed, IsEmpty());
  EXPECT_TRUE(exists(segment));
}

TEST_F(GuardSharedMemory, WhatIsSharedWithOthersStays) {
  SharedMemory memory;
  const std::string segment = name("shared");
  const pid_t target = user_of(segment);
  const pid_t other = user_of(segment);
  const Group group(target);
  memory.look(group);
  end(target);
  EXPECT_THAT(memory.clean_up().kept, ElementsAre(file(segment)));
  EXPECT_TRUE(exists(segment));
  end(other);
}

TEST_F(GuardSharedMemory, WhatAnotherTookUpLaterStays) {
  SharedMemory memory;
  const std::string segment = name("taken-up");
  const pid_t target = user_of(segment);
  const Group group(target);
  memory.look(group);
  user_of(segment);
  end(target);
  EXPECT_THAT(memory.clean_up().kept, ElementsAre(file(segment)));
  EXPECT_TRUE(exists(segment));
}

TEST_F(GuardSharedMemory, AnotherFileOfThatNameStays) {
  SharedMemory memory;
  const std::string segment = name("renewed");
  const pid_t target = user_of(segment);
  const Group group(target);
  memory.look(group);
  // The old file stays open here, so that its inode number cannot be the new one's.
  const int old = ::shm_open(segment.c_str(), O_RDWR, 0600);
  ::shm_unlink(segment.c_str());
  ::close(::shm_open(segment.c_str(), O_RDWR | O_CREAT, 0600));
  end(target);
  EXPECT_THAT(memory.clean_up().removed, IsEmpty());
  EXPECT_TRUE(exists(segment));
  ::close(old);
}

TEST_F(GuardSharedMemory, WhatOthersMakeIsNoneOfItsBusiness) {
  SharedMemory memory;
  const pid_t target = user_of(name("target"));
  const std::string segment = name("other");
  user_of(segment);
  const Group group(target);
  memory.look(group);
  end(target);
  const Leftovers left = memory.clean_up();
  EXPECT_THAT(left.removed, ElementsAre(file(names_[0])));
  EXPECT_TRUE(exists(segment));
}

}  // namespace
}  // namespace ds4::runners::guard
