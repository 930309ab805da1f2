// The heart of a guard: reads, decides, signals and records, one tick at a time. Who tells it what
// to watch is in guard_process.cpp (a supervisor) and attach.cpp (a person).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runners/guard/group.h"
#include "runners/guard/recorder.h"
#include "runners/guard/rules.h"
#include "runners/guard/sampler.h"
#include "runners/guard/slow_readings.h"
#include "runners/guard/trace.h"
#include "runners/guard/verdict.h"

namespace ds4::runners::guard {

struct Setup {
  Limits limits;
  std::filesystem::path telemetry;  // "" = none is written
  std::filesystem::path proc = "/proc";
};

std::string setup_to_json(const Setup& setup);
/// Throws Error(kUsage) when the text is no setup.
Setup setup_from_json(std::string_view text);

class Watch {
 public:
  /// Opens what it will read and write, protects this process, and takes a first reading.
  /// Throws ds4::Error.
  explicit Watch(const Setup& setup);

  const Sample& newest() const { return history_.back(0); }
  /// What protection this user was refused.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Set when memory is under the floor of the current phase: nothing should be started.
  std::optional<Verdict> refusal() const;

  /// From now on guards that group. Throws Error(kUsage) when it may not be signalled.
  void guard(std::unique_ptr<Group> group);
  void set_phase(Phase phase) { phase_ = phase; }

  /// One reading and what follows from it.
  void tick();
  /// Seconds until the next reading is due, 0 when it is.
  double due_in_s() const;
  /// A descriptor that becomes readable when the target ends, or -1.
  int target_fd() const { return group_ ? group_->pidfd() : -1; }
  bool guarding() const { return group_ != nullptr; }
  /// Notices that the target has ended; true from then on. When this guard ended it, whatever is
  /// left of its group is killed, and what that leaves in shared memory removed.
  bool target_ended();
  /// Kills the group for a reason that is no reading, and waits until it is gone (5 s at most). Of
  /// a target that has ended, what it left.
  void end_target(Rule rule);
  /// The most memory of the machine in use at a reading while the target was guarded: MemTotal less
  /// MemAvailable; -1 without a reading.
  int64_t most_used_bytes() const { return most_used_bytes_; }
  /// What was done to the target; nothing when nothing was.
  std::optional<Verdict> verdict() const;

 private:
  struct Fired {
    Decision decision;
    Sample sample;
    std::string at;
    std::optional<Rule> hard_rule;
    int64_t lowest_bytes = 0;
    double reaction_s = -1;
    Leftovers leftovers = {};
  };

  double now_s() const;
  Leftovers end_what_is_left();
  void read(Sample& sample);
  void note_use(const Sample& sample);
  void act(const Decision& decision, const Sample& sample);
  bool urgent(const Sample& sample) const;
  void record_event(std::string_view what, std::string_view why);

  Limits limits_;
  Sampler sampler_;
  History history_;
  TraceWriter trace_;
  double armed_s_;
  double next_s_ = 0;
  Phase phase_ = Phase::kLoad;
  std::shared_ptr<const Group> group_;
  bool ended_ = false;
  int64_t most_used_bytes_ = -1;
  std::optional<Fired> fired_;
  std::vector<std::string> notes_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<SlowReadings> slow_;
};

}  // namespace ds4::runners::guard
