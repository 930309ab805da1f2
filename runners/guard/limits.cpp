#include "runners/guard/limits.h"

namespace ds4::runners::guard {

Limits limits_of(const profiles::Profile& profile, int64_t total_bytes) {
  const profiles::GuardSection& section = profile.guard;
  const int64_t floor =
      section.floor.value_or(profile.memory_floor.value_or(default_floor(total_bytes)));
  Limits limits;
  limits.rate_hz = section.rate_hz;
  limits.reaction_s = section.reaction_s;
  limits.grace_s = section.grace_s;
  for (int i = 0; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    const auto named = section.floors.find(std::string(name(phase)));
    limits.floor_bytes[static_cast<size_t>(i)] = named != section.floors.end() ? named->second
                                                 : phase == Phase::kTeardown   ? floor / 2
                                                                               : floor;
  }
  return limits;
}

}  // namespace ds4::runners::guard
