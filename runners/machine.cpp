#include "runners/machine.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/processors.h"
#include "probes/host_memory.h"
#include "probes/nvml.h"

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

// Models of NVIDIA's GPUs as their driver names them, sorted; none without it.
std::vector<std::string> gpu_models() {
  std::vector<std::string> models;
  std::error_code no_driver;
  for (const auto& gpu :
       std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", no_driver)) {
    models.push_back(field((gpu.path() / "information").c_str(), "Model", ':'));
    while (!models.back().empty() && std::isspace(static_cast<unsigned char>(models.back()[0]))) {
      models.back().erase(0, 1);  // the driver aligns with tabs
    }
  }
  std::sort(models.begin(), models.end());
  return models;
}

}  // namespace

std::string describe_machine() {
  utsname system{};
  ::uname(&system);
  std::string cpu = field("/proc/cpuinfo", "model name", ':');
  if (cpu.empty()) cpu = field("/proc/cpuinfo", "CPU part", ':');  // arm64 names parts, not models
  nlohmann::json machine{{"cpu", cpu},
                         {"threads", usable_processors()},
                         {"memory_bytes", probes::read_machine_memory().total_bytes},
                         {"gpus", gpu_models()},
                         {"kernel", system.release},
                         {"architecture", system.machine},
                         {"os", field("/etc/os-release", "PRETTY_NAME", '=')}};
  std::string no_driver;
  const auto nvml = probes::Nvml::open(no_driver);
  if (nvml && !nvml->driver().empty()) machine["gpu_driver"] = nvml->driver();
  return machine.dump();
}

}  // namespace ds4::runners
