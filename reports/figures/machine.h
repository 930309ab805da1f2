// What a run says of the machine it was made on: RunRow::machine, which runners/machine writes and
// the store joins for runs of several machines.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ds4::reports {

/// Of a run that was joined from shards: of all their machines.
struct Machine {
  std::vector<std::string> cpus, gpus;  // models, each as often as it is there
  std::optional<double> memory_bytes;   // nothing when it is not told, or of several machines
  std::vector<std::string> kernels, gpu_drivers;  // versions
};

/// A text that is no JSON object gives an empty Machine.
Machine read_machine(const std::string& machine);

/// Equal for machines whose figures may be compared: processors, usable threads, GPUs, memory in
/// whole GiB. Kernel and driver may differ; what shows runs side by side says so.
std::string machine_kind(const std::string& machine);

}  // namespace ds4::reports
