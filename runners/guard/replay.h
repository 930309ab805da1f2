// A recorded trace through the rules of a running guard: what it would have done.
#pragma once

#include <optional>

#include "runners/guard/trace.h"
#include "runners/guard/verdict.h"

namespace ds4::runners::guard {

/// The verdict that `limits` give on a trace; nothing when no rule fires. The trace's event "ended"
/// is the target's end: before a hard stage the action is soft. A trace without one is of a target
/// that does not listen.
std::optional<Verdict> replay(const Trace& trace, const Limits& limits);

}  // namespace ds4::runners::guard
