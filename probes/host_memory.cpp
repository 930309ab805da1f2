#include "probes/host_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace ds4::probes {
namespace {

// The value of "Key:   123 kB" lines of a /proc file, in bytes; 0 when the key is missing.
int64_t read_kib_field(const char* file, const std::string& key) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    if (line.rfind(key + ":", 0) == 0) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

}  // namespace

HostMemory read_host_memory() {
  return {read_kib_field("/proc/self/status", "VmRSS"),
          read_kib_field("/proc/self/status", "VmHWM")};
}

void forget_peak_memory() {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): resets VmHWM
}

MachineMemory read_machine_memory() {
  return {read_kib_field("/proc/meminfo", "MemTotal"),
          read_kib_field("/proc/meminfo", "MemAvailable")};
}

}  // namespace ds4::probes
