// A server as a child process: started without a shell in this process's group, with a mark in its
// environment, and ended with all that it started.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runners/guard/strays.h"

namespace ds4::runners::managed {

struct ServerStart {
  std::vector<std::string> words;                             // the first is looked for in PATH
  std::vector<std::pair<std::string, std::string>> env = {};  // beside this process's own
  std::string folder = {};                                    // "" = this process's
};

struct ServerEnd {
  int code = 0, signal = 0;  // one of the two
  /// "exit code 1", "signal 11 (Segmentation fault)".
  std::string text() const;
};

class ServerProcess {
 public:
  /// Starts it; from the main thread, since it dies with the thread that started it. It gets no
  /// input and no descriptor of this process. Throws Error(kMachine) when it cannot be run.
  explicit ServerProcess(const ServerStart& start);
  ~ServerProcess();  // kills what is left
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// What it prints, both streams; never blocks.
  int output() const { return output_; }
  /// How it ended; nothing while it runs.
  const std::optional<ServerEnd>& ended();
  /// TERM to the server, to what it leaves behind, and KILL to what is there after `patience_s`.
  /// Returns false when something had to be killed.
  bool stop(double patience_s);

 private:
  std::vector<guard::ProcessMark> left();

  pid_t pid_ = -1;
  int output_ = -1;
  std::string mark_;
  std::optional<ServerEnd> end_;
  std::vector<guard::ProcessMark> known_;  // of its tree when it was told to stop
};

}  // namespace ds4::runners::managed
