// One reading of the machine's memory, and the table of its fields that reading, writing and
// documentation share. How it is read is in sampler.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "runners/guard/phase.h"

namespace ds4::runners::guard {

/// Bytes unless said otherwise; -1 = this machine does not tell.
struct Sample {
  double time_s = 0;  // since the guard was armed, monotonic clock
  Phase phase = Phase::kLoad;

  int64_t available = -1;  // MemAvailable: free, and what the kernel would give back for the asking
  int64_t free = -1;       // MemFree: page cache counts as used
  int64_t cached = -1;
  int64_t reclaimable = -1;  // SReclaimable
  int64_t anonymous = -1;    // AnonPages
  int64_t shared = -1;       // Shmem
  int64_t mlocked = -1;
  int64_t unevictable = -1;
  int64_t total = -1;  // MemTotal
  int64_t swap_free = -1;
  int64_t swap_total = -1;

  int64_t psi_some_avg10 = -1;  // hundredths of a percent, as is the next
  int64_t psi_full_avg10 = -1;
  int64_t psi_some_us = -1;    // time some process waited for memory, since boot
  int64_t psi_full_us = -1;    // time every process waited
  int64_t pages_scanned = -1;  // pgscan_kswapd + pgscan_direct, since boot
  int64_t pages_swapped_out = -1;

  int64_t gpu_processes = -1;    // device memory of all compute processes, as NVML accounts it
  int64_t gpu_target = -1;       // of the guarded group
  int64_t gpu_free = -1;         // of all devices; unknown where they share the machine's memory
  int64_t gpu_temperature = -1;  // degrees Celsius of the hottest
  int64_t gpu_clock = -1;        // MHz of the slowest
  int64_t gpu_memory_clock = -1;
  int64_t gpu_throttle = -1;  // NVML's clock event reasons, OR of all devices
  int64_t nvrm_lines =
      -1;  // lines of the kernel log by the NVIDIA driver since the guard was armed

  bool readable() const { return available >= 0; }
};

struct SampleField {
  std::string_view name;  // as in telemetry files
  int64_t Sample::*value;
};

/// Every field but time and phase, in the order telemetry files have them.
std::span<const SampleField> sample_fields();

// What the kernel's text says, written into `sample`; fields it lacks stay as they are. These
// allocate nothing.
void parse_meminfo(std::string_view text, Sample& sample);   // /proc/meminfo
void parse_pressure(std::string_view text, Sample& sample);  // /proc/pressure/memory
void parse_vmstat(std::string_view text, Sample& sample);    // /proc/vmstat

}  // namespace ds4::runners::guard
