#include "runners/machine.h"

#include <sys/utsname.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/processors.h"
#include "probes/host_memory.h"

namespace ds4::runners {
namespace {

// The value after `separator` of the first line that starts with `key`.
std::string field(const char* file, const std::string& key, char separator) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    if (line.rfind(key, 0) != 0) continue;
    std::string value = line.substr(line.find(separator) + 1);
    std::erase(value, '"');
    return value.substr(std::min(value.size(), value.find_first_not_of(' ')));
  }
  return "";
}

}  // namespace

std::string describe_machine() {
  utsname system{};
  ::uname(&system);
  std::string cpu = field("/proc/cpuinfo", "model name", ':');
  if (cpu.empty()) cpu = field("/proc/cpuinfo", "CPU part", ':');  // arm64 names parts, not models
  return nlohmann::json{{"cpu", cpu},
                        {"threads", usable_processors()},
                        {"memory_bytes", probes::read_machine_memory().total_bytes},
                        {"kernel", system.release},
                        {"architecture", system.machine},
                        {"os", field("/etc/os-release", "PRETTY_NAME", '=')}}
      .dump();
}

}  // namespace ds4::runners
