// The two clocks of the project: a monotonic one for measuring, UTC for naming moments.
#pragma once

#include <cstdint>
#include <string>

namespace ds4 {

/// Seconds on the monotonic clock; only differences mean anything.
double monotonic_seconds();

/// "2026-03-01T12:34:56.789Z".
std::string utc_now();
/// The same moment as seconds since 1970.
int64_t utc_seconds();

}  // namespace ds4
