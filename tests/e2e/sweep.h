// A scripted sweep in a folder of its own: writes profile and script, runs the real binary.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/store/store.h"
#include "tests/support/command.h"

namespace ds4::test_support {

/// The child of a process that runs `ds4-sweep VERB`, or 0.
inline pid_t child_running(pid_t parent, const std::string& verb) {
  std::ifstream children("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                         "/children");
  for (pid_t child = 0; children >> child;) {
    std::ifstream arguments("/proc/" + std::to_string(child) + "/cmdline");
    std::string name, first;
    std::getline(arguments, name, '\0');
    std::getline(arguments, first, '\0');
    if (first == verb) return child;
  }
  return 0;
}

/// False for a zombie, too.
inline bool alive(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(stat >> number >> name >> state) && state != "Z";
}

inline CommandResult run_shell(const std::string& script) {
  return run_command({"/bin/sh", "-c", script});
}

class Sweep {
 public:
  /// `profile_tail` is appended to a profile with the scripted target.
  Sweep(const std::string& script, const std::string& profile_tail) {
    write_file_atomic(folder_ / "script.json", script);
    write_file_atomic(folder_ / "profile.toml",
                      "name = \"e2e\"\ndescription = \"a scripted sweep\"\ntarget = \"scripted\"\n"
                      "script = \"script.json\"\n" +
                          profile_tail);
  }

  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), DS4_SWEEP_BINARY);
    arguments.insert(arguments.end(), {"--db", db().string()});
    return arguments;
  }
  CommandResult run() const { return run_command(command({"run", profile(), "--no-progress"})); }
  /// With at most this much address space, which a worker inherits.
  CommandResult run_in_little_memory() const {
    return run_shell("ulimit -v 700000; exec " + run_line());
  }
  /// `run`, for a shell.
  std::string run_line() const {
    std::string line;
    for (const std::string& word : command({"run", profile(), "--no-progress"})) line += word + " ";
    return line;
  }
  CommandResult resume() const {
    return run_command(command({"resume", "latest", "--no-progress"}));
  }

  std::string profile() const { return folder_ / "profile.toml"; }
  std::filesystem::path db() const { return folder_ / "results.db"; }
  std::filesystem::path folder() const { return folder_.path(); }
  void rewrite_script(const std::string& script) const {
    write_file_atomic(folder_ / "script.json", script);
  }

  std::unique_ptr<reports::Store> store() const { return reports::Store::open_read_only(db()); }

  /// False until a run has begun to be stored.
  bool begun() const {
    try {
      return !store()->runs().empty();
    } catch (const Error&) {  // no file, or one without a table yet
      return false;
    }
  }
  /// How many attempts with status "ok" each case has.
  std::map<std::string, int> answered() const {
    std::map<std::string, int> n;
    if (!begun()) return n;
    const auto s = store();
    for (const auto& attempt : s->attempts(s->run("latest").id, false)) {
      if (attempt.status == "ok")
        ++n[attempt.cell_key + " " + attempt.suite + "/" + attempt.case_id];
    }
    return n;
  }
  /// Returns when a case has been answered, or after a minute without any.
  void wait_for_an_answer() const {
    for (int i = 0; i < 2400 && answered().empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace ds4::test_support
