// How long a worker may be silent while its server starts and ends.
#pragma once

#include "profiles/schema/profile.h"

namespace ds4::runners::managed {

/// Seconds beyond limits.case_timeout: before the target is open, and after. 0 for other targets.
inline double extra_silence_s(const profiles::Profile& profile, bool open) {
  if (profile.target != "managed") return 0;
  const profiles::LaunchLimits& limits = profile.launch.limits;
  const double end_s = 2 * limits.stop_s + 10;
  return open ? end_s : limits.port_s + limits.health_s + limits.model_s + limits.answer_s + end_s;
}

}  // namespace ds4::runners::managed
