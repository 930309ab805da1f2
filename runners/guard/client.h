// The supervisor's end of a guard: arms it before a worker, tells it what the worker does, hears
// what it did.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "runners/guard/rules.h"
#include "runners/guard/verdict.h"
#include "runners/process.h"

namespace ds4::runners::guard {

class Client {
 public:
  /// Starts a guard and returns when it is armed, or has refused, or was killed: refusal() then
  /// says so. `telemetry`: the file it writes; its folder is made. Throws ds4::Error when there can
  /// be none.
  Client(const profiles::Profile& profile, const std::filesystem::path& telemetry);

  /// Memory was under the floor, or the guard is lost: nothing may be started.
  const std::optional<Verdict>& refusal() const { return verdict_; }
  /// What protection the guard was refused, with remedies.
  const std::vector<std::string>& notes() const { return notes_; }

  /// Guards the group that `pid`, an unreaped child, leads, or the server that guard.target names;
  /// returns when it does, or when the guard is lost. The child should do nothing until then.
  void watch(pid_t pid);
  /// Tells the phase, when it is another than before.
  void phase(Phase phase);

  /// Readable when there is something to hear.
  int fd() const { return process_.protocol_fd(); }
  /// Memory of the machine as the guard read it last, in bytes; nothing before its first word.
  struct Memory {
    int64_t total = 0, available = 0;
    int64_t floor = 0;                             // of the phase it was told
    int64_t device_target = -1, device_free = -1;  // of GPUs (Sample::gpu_...); -1 = not told
  };
  std::optional<Memory> memory() const;

  /// Hears what there is. False when the guard is lost: it ended, or was silent for too long.
  bool listen();

  /// What a lost guard said; "" when it was cut off.
  const std::string& error() const { return error_; }

  /// The worker has ended, or was ended for want of a guard. Returns what the guard did: nothing,
  /// or the verdict, which says "lost" when listen() did.
  std::optional<Verdict> finish();
  /// After finish(): the most memory of the machine in use at a time while it guarded; -1 unknown.
  int64_t most_used_bytes() const { return most_used_bytes_; }

 private:
  enum class Heard { kNothing, kArmed, kRefused, kWatching, kEnded };
  Heard take(const std::string& line);
  Heard wait_for_answer();
  Verdict lost_verdict() const;

  int64_t total_bytes_;
  Limits limits_;
  ChildProcess process_;
  std::string target_;
  std::vector<std::string> notes_;
  std::string error_;  // why it was lost, when it said so
  Phase phase_ = Phase::kLoad;
  double heard_s_ = 0, armed_s_ = 0;
  bool lost_ = false;
  int64_t most_used_bytes_ = -1;
  int64_t available_bytes_ = -1, device_target_bytes_ = -1, device_free_bytes_ = -1;
  std::optional<Verdict> verdict_;
};

}  // namespace ds4::runners::guard
