// What a guarded process is doing, as far as floors depend on it.
#pragma once

#include <optional>
#include <string_view>

namespace ds4::runners::guard {

enum class Phase {
  kLoad,      // weights are read and laid out
  kCapture,   // warm-up and graph capture, before the first request
  kPrefill,   // a prompt is being read
  kDecode,    // an answer is being written
  kIdle,      // ready, nothing in flight; also a process whose phases nobody tells us
  kTeardown,  // every request was tried; memory is being given back
};
inline constexpr int kPhases = 6;

/// "load", "capture", "prefill", "decode", "idle", "teardown".
std::string_view name(Phase phase);
/// The phase of that name, or nothing.
std::optional<Phase> phase_of(std::string_view name);

}  // namespace ds4::runners::guard
