// Whether the machine was as fast around a launch as it had been in this run; pure. What is
// measured: probes/sentinel.h.
#pragma once

#include <string>
#include <vector>

#include "probes/sample.h"
#include "probes/sentinel.h"

namespace ds4::runners::sweep {

/// Both readings as samples of the launch; `when`: "before" or "after".
std::vector<probes::Sample> sentinel_samples(const probes::SentinelReading& reading,
                                             const char* when, double time_s);

/// The best of each kind among the samples; others are passed over.
probes::SentinelReading best_sentinel(const std::vector<probes::Sample>& samples);

/// "" when each of `around`, the readings before and after a launch, reaches `best` / (1 + bound);
/// else a sentence with the reading that misses it most.
std::string slow_state(const std::vector<probes::Sample>& around,
                       const probes::SentinelReading& best, double bound);

}  // namespace ds4::runners::sweep
