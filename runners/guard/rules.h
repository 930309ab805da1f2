// When a guard acts: a pure function of what was read so far. The running guard and a replayed
// trace go through the same one.
#pragma once

#include <array>
#include <cstdint>

#include "runners/guard/sample.h"
#include "runners/guard/verdict.h"

namespace ds4::runners::guard {

struct Limits {
  std::array<int64_t, kPhases> floor_bytes = {};  // MemAvailable that must stay, by phase
  double rate_hz = 10;                            // samples per second
  double reaction_s = 0.5;                        // a floor nearer than this is reached
  double grace_s = 5;                             // between TERM and KILL

  int64_t floor(Phase phase) const { return floor_bytes[static_cast<size_t>(phase)]; }
  /// Below it nobody is asked any more: a quarter under the floor.
  int64_t hard_floor(Phase phase) const { return floor(phase) / 4 * 3; }
};

/// The floor of a machine when nobody names one: a twentieth of its memory, at most 6 GiB.
int64_t default_floor(int64_t total_bytes);

/// The newest samples; the oldest are forgotten.
class History {
 public:
  static constexpr int kCapacity = 256;  // 5 s at the highest rate

  void push(const Sample& sample);
  int size() const { return size_; }
  /// 0 = the newest. `i` must be below size().
  const Sample& back(int i) const;

 private:
  std::array<Sample, kCapacity> samples_;
  int next_ = 0, size_ = 0;
};

/// Bytes per second by which MemAvailable changes: the line of least squares through the last three
/// to five readable samples; 0 with fewer.
double slope(const History& history);

enum class Stage { kNone, kSoft, kHard };

struct Decision {
  Stage stage = Stage::kNone;
  Rule rule = Rule::kFloor;
  int64_t limit_bytes = 0;  // the floor of the phase, or for a hard stage the hard floor
  double rate_bytes_s = 0;  // slope()
};

/// What is to be done after the newest sample. `soft_s`: time_s at which the target was told to
/// end, negative when it was not. Once told, only the hard stage is left. Allocates nothing.
/// docs/guard.md has the rules in words, with their sources.
Decision decide(const History& history, const Limits& limits, double soft_s);

}  // namespace ds4::runners::guard
