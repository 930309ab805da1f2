// The guard of a launch: a process between its supervisor's commands and its own readings.
#pragma once

#include <cstdio>
#include <optional>

#include "runners/guard/verdict.h"

namespace ds4::runners::guard {

/// Exit codes of a guard; docs/guard.md lists them.
enum GuardExit {
  kNothingFired = 0,
  kEndedSoft = 10,
  kKilled = 11,
  kKilledBlind = 12,
  kKilledAlone = 13,  // the supervisor was gone
  kRefused = 14,
};

int guard_exit_code(const std::optional<Verdict>& verdict);

/// Reads a setup (one line of JSON), then commands, a line each, from descriptor `in`:
///   watch PID START_TICKS    guard that process group, the supervisor's own
///   watch NAME               guard a target of open_target(), which is somebody else's
///   phase NAME
///   end                      the target has ended, or nothing is to be guarded any more
/// and answers on `out` with one JSON object a line, by its "type": armed {available, notes},
/// refused {verdict}, watching, alive (every second), ended {verdict or null}, error {what, hint}.
/// The end of `in` without `end` means that the supervisor is gone: its own group is killed.
/// Returns a GuardExit, or the exit code of the error that was reported.
int run_guard_process(int in, std::FILE* out);

}  // namespace ds4::runners::guard
