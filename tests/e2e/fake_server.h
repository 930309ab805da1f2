// fake_server.cpp as a test starts it, and the processes that are left of it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/e2e/sweep.h"
#include "tests/support/command.h"

namespace ds4::test_support {

class FakeServer {
 public:
  explicit FakeServer(std::string behaviour) : behaviour_(std::move(behaviour)) {}
  ~FakeServer() {
    for (const pid_t pid : left()) ::kill(pid, SIGKILL);
  }

  /// The words of launch.command.
  std::string command() const {
    return "[\"" DS4_FAKE_SERVER "\", \"" + behaviour_ + "\", \"{port}\", \"" +
           (folder_ / "pids").string() + "\"]";
  }
  size_t started() const { return pids().size(); }
  std::vector<pid_t> left() const {
    std::vector<pid_t> running;
    for (const pid_t pid : pids()) {
      if (alive(pid)) running.push_back(pid);
    }
    return running;
  }

 private:
  std::vector<pid_t> pids() const {
    std::vector<pid_t> all;
    std::ifstream file(folder_ / "pids");
    for (pid_t pid = 0; file >> pid;) all.push_back(pid);
    return all;
  }

  std::string behaviour_;
  TemporaryFolder folder_;
};

}  // namespace ds4::test_support
