// A profile's [guard] section as the limits of a guard on this machine.
#pragma once

#include "profiles/schema/profile.h"
#include "runners/guard/rules.h"

namespace ds4::runners::guard {

/// Floors: guard.floors of the phase, else guard.floor, else limits.memory_floor, else
/// default_floor(). In teardown, where memory comes back by itself, half of it unless named.
Limits limits_of(const profiles::Profile& profile, int64_t total_bytes);

}  // namespace ds4::runners::guard
