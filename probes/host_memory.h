// Memory of this process as the kernel accounts for it.
#pragma once

#include <cstdint>

namespace ds4::probes {

struct HostMemory {
  int64_t resident_bytes = 0;  // VmRSS
  int64_t peak_bytes = 0;      // VmHWM: the largest resident size since the process began
};

/// Reads /proc/self/status. Fields the kernel does not give stay 0.
HostMemory read_host_memory();

/// From here on peak_bytes is that of what follows: gives freed memory back, and forgets the peak
/// where the kernel allows it.
void forget_peak_memory();

/// MemTotal and MemAvailable of the machine, in bytes; 0 where unknown.
struct MachineMemory {
  int64_t total_bytes = 0;
  int64_t available_bytes = 0;
};
MachineMemory read_machine_memory();

}  // namespace ds4::probes
