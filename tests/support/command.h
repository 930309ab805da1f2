// Runs a program from a test and collects what it printed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ds4::test_support {

struct CommandResult {
  int exit_code = -1;  // 128 + signal when killed by one
  std::string out, err;
};

/// Runs to the end. `input` goes to standard input.
CommandResult run_command(const std::vector<std::string>& argv, const std::string& input = "");

/// Starts and does not wait; output is discarded. The caller kills and reaps `pid`.
int start_command(const std::vector<std::string>& argv);

/// Exit code of a started command, 128 + signal when killed.
int wait_command(int pid);

/// A folder of its own, removed with everything in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace ds4::test_support
