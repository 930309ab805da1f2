// What a guard did and why: the one document it leaves behind, for people and for `outcome`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runners/guard/phase.h"

namespace ds4::runners::guard {

enum class Action {
  kSoft,     // told to end (TERM), and it ended in time
  kHard,     // its group was killed
  kRefused,  // memory was under the floor before the target began: it was never started
  kLost,     // the guard itself ended or fell silent; the supervisor ended the launch
};

/// What made a guard act. docs/guard.md explains each.
enum class Rule {
  kFloor,           // MemAvailable under the phase's floor
  kTimeToFloor,     // falling so fast that the floor is nearer than the reaction time
  kThrash,          // tight, and every process waits for memory (PSI "full")
  kSwapOut,         // tight, and pages are written to swap at a rate that hides starvation
  kGrace,           // told to end, still there after the grace
  kBlind,           // MemAvailable could not be read any more
  kSupervisorGone,  // nobody is left to record anything
  kGuardGone,       // with kLost: the guard was killed, crashed or stopped
};

struct Verdict {
  Action action = Action::kSoft;
  Rule rule = Rule::kFloor;  // what fired first
  std::optional<Rule> hard_rule =
      {};                      // why TERM was not enough (kFloor = the hard floor); kHard only
  Phase phase = Phase::kIdle;  // when it fired
  std::string at;              // ISO 8601 UTC, when it fired
  double time_s = 0;           // the same, since the guard was armed
  int64_t limit_bytes = 0;     // the floor of the phase
  int64_t value_bytes = 0;     // MemAvailable when it fired
  int64_t lowest_bytes = 0;    // the least MemAvailable seen until the target was gone
  double rate_bytes_s = 0;     // its slope when it fired; negative = falling
  double reaction_s =
      -1;  // from the reading that fired until the target was gone; -1 = never seen gone
  std::vector<std::string>
      removed;  // names under /dev/shm that the dead target left and the guard removed
  std::vector<std::string> kept;  // names it left that could not be proved its own
  std::string sample;             // the reading that fired: a line of the telemetry (JSON)

  /// How far under the floor memory went, 0 when the target was gone before.
  int64_t over_bytes() const { return lowest_bytes < limit_bytes ? limit_bytes - lowest_bytes : 0; }
  /// The target had answered all it was asked: to be flagged, not counted as a failure.
  bool in_teardown() const { return phase == Phase::kTeardown; }
};

/// "soft", "hard", "refused", "lost".
std::string_view name(Action action);
/// "floor", "time_to_floor", "thrash", "swap_out", "grace", "blind", "supervisor_gone",
/// "guard_gone".
std::string_view name(Rule rule);

/// One JSON object: every field by its name, and `over_bytes`; docs/guard.md has the table.
std::string to_json(const Verdict& verdict);
/// The verdict of a text by to_json(); nothing for any other text.
std::optional<Verdict> verdict_from_json(std::string_view text);

/// A sentence or two for a report, such as "memory fell under the floor in prefill: ...".
std::string explain(const Verdict& verdict);

}  // namespace ds4::runners::guard
