// The course of a launch's memory: the guard's readings, few enough to be stored with the launch.
#pragma once

#include <vector>

#include "probes/sample.h"
#include "runners/guard/trace.h"

namespace ds4::runners::guard {

/// Samples `course_machine_memory`, and `course_device_memory` where the GPU tells, at the same
/// times: the first reading, the last, and of each of `n_stretches` equally long stretches of the
/// trace those with the least and the most memory in use. `course_floor` wherever the floor
/// changes. Times are those of the trace, phases the guard's.
std::vector<probes::Sample> course_of(const Trace& trace, int n_stretches = 30);

}  // namespace ds4::runners::guard
