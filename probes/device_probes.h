// Everything that is measured of the first GPU. Nothing of the engine takes part, so that the
// engine can be held against it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "probes/recorder.h"

namespace ds4::probes {

struct ProbeOptions {
  bool quick = false;
  std::filesystem::path scratch;  // folder for a file that is read and removed again
};

/// What was probed, beside the machine's description.
struct DeviceFacts {
  std::string name;
  int processors = 0;  // multiprocessors
  int64_t l2_bytes = 0, free_bytes = 0;
  bool watched = false;  // NVML tells when clocks are held down; else no pass is discarded
};

struct DeviceProbes {
  DeviceFacts facts;
  SlowedBy slowed_by;  // for the recorder's protocol
  MostPossible most;   // the same
  std::vector<Probe> probes;
};

/// Throws Error(kMachine) when this build or this machine has no GPU.
DeviceProbes device_probes(const ProbeOptions& options);

/// The two ceilings that steps of a model are held against, in a second.
struct DeviceSpeed {
  double read_rate = 0;  // B/s, F32 sums
  double bf16_rate = 0;  // FLOP/s, by the faster instruction
  std::string bf16_by;   // "BF16 mma.sync", "BF16 wgmma"
};
/// As device_probes().
DeviceSpeed measure_device_speed();

}  // namespace ds4::probes
