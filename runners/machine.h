// The machine a run was made on, as it is stored with the run. No host or user names.
#pragma once

#include <string>

namespace ds4::runners {

/// JSON: cpu (model name), threads usable by this process, memory_bytes, gpus (models), gpu_driver
/// (its version as NVML tells it; absent without), kernel (its version), os, architecture.
std::string describe_machine();

}  // namespace ds4::runners
