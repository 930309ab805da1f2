// What can be measured of the machine without the engine: its processors or its first GPU, all of
// it or some groups.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "probes/device_probes.h"
#include "probes/recorder.h"

namespace ds4::runners {

struct ProbeChoice {
  std::string device;                    // "cpu", "cuda"
  bool quick = false;                    // fewer passes and sizes
  std::vector<std::string> groups = {};  // "ceilings", "paths", "launch", "gemv"; empty = all
  std::filesystem::path scratch = {};    // for a file that is read and removed; "" = the system's
};

struct MachineProbes {
  probes::Protocol protocol;
  std::vector<probes::Probe> probes;
  probes::DeviceFacts facts = {};  // of a GPU
};

/// Measures nothing yet. Throws Error(kMachine) when this build or machine has no GPU,
/// Error(kUsage) when the device has none of the groups.
MachineProbes choose_probes(const ProbeChoice& choice);

std::vector<probes::Series> measure(
    MachineProbes chosen, const std::function<void(const probes::ProbeProgress&)>& progress);

}  // namespace ds4::runners
