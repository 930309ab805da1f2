// A guard by hand: for a server that somebody else started.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runners/guard/verdict.h"
#include "runners/guard/watch.h"

namespace ds4::runners::guard {

/// Guards `target` ("pid:1234", "container:ID") until it ends, or until SIGINT or SIGTERM; then it
/// goes on unguarded. Calls `armed` once it is guarded. Returns what was done to it. Throws
/// ds4::Error.
std::optional<Verdict> attach(const Setup& setup, const std::string& target, Phase phase,
                              const std::function<void(const Watch&)>& armed);

}  // namespace ds4::runners::guard
