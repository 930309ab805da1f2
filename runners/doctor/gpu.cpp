// The GPUs as their driver tells of them.
#include <algorithm>
#include <array>

#include "engine/base/units.h"
#include "runners/doctor/checks.h"

namespace ds4::runners::doctor {
namespace {

// Kelvins below slowing down from which it is near, for a GPU that has not begun.
constexpr int64_t kNearSlowdown = 10;
constexpr int kNeededCuda = 13000;  // what the kernels are built with

struct Reason {
  int64_t bit;
  Level level;
  const char* text;
};
constexpr std::array kReasons = {
    Reason{probes::kThrottleHardware, Level::kWarning, "the hardware slows it down"},
    Reason{probes::kThrottlePowerBrake, Level::kWarning, "the power supply asks it to slow down"},
    Reason{probes::kThrottleHwThermal, Level::kWarning, "it is too hot"},
    Reason{probes::kThrottleSwThermal, Level::kWarning, "the driver keeps it from getting too hot"},
    Reason{probes::kThrottlePowerCap, Level::kNote, "it is at its power limit"},
    Reason{probes::kThrottleSettings, Level::kNote, "its clocks were set to a fixed value"},
};

std::string label(const GpuReport& gpus, size_t index) {
  const std::string name = printable(gpus.gpus[index].facts.name);
  return gpus.gpus.size() == 1 ? name : "GPU " + std::to_string(index) + ", " + name;
}

std::string of_most(int64_t value, int64_t most) {
  if (value < 0) return "not told";
  return std::to_string(value) + (most > 0 ? " of " + std::to_string(most) : "") + " MHz";
}

void check_state(const GpuReport& gpus, size_t index, Findings& findings) {
  const Gpu& gpu = gpus.gpus[index];
  const std::string name = label(gpus, index);
  const std::string memory = gpu.state.total_bytes < 0
                                 ? "shares the machine's memory"
                                 : format_bytes(gpu.state.free_bytes) + " of " +
                                       format_bytes(gpu.state.total_bytes) + " free";
  findings.push_back({Level::kOk, "gpu", name + ": " + memory, ""});
  const std::string clocks =
      name + ": clocks " + of_most(gpu.state.sm_clock_mhz, gpu.facts.max_sm_clock_mhz) +
      ", memory " + of_most(gpu.state.memory_clock_mhz, gpu.facts.max_memory_clock_mhz);
  Level level = Level::kOk;
  std::string reasons;
  for (const Reason& reason : kReasons) {
    if (gpu.state.throttle_reasons < 0 || !(gpu.state.throttle_reasons & reason.bit)) continue;
    level = std::max(level, reason.level);
    reasons += std::string(reasons.empty() ? ": " : ", ") + reason.text;
  }
  findings.push_back({level, "gpu-clocks", clocks + reasons,
                      level == Level::kOk ? "" : "nvidia-smi -q -d PERFORMANCE,CLOCK,POWER"});
  if (gpu.facts.slowdown_c > 0 && gpu.state.temperature_c >= gpu.facts.slowdown_c - kNearSlowdown) {
    findings.push_back({Level::kWarning, "gpu-temperature",
                        name + ": " + std::to_string(gpu.state.temperature_c) +
                            " degrees before any work; it slows down at " +
                            std::to_string(gpu.facts.slowdown_c),
                        "nvidia-smi -q -d TEMPERATURE; check fans and air"});
  }
  if (gpu.facts.persistence == 0) {
    findings.push_back({Level::kNote, "gpu-persistence",
                        name + ": the driver unloads between programs, so each first call is slow",
                        "sudo nvidia-smi -pm 1"});
  }
}

void check_processes(const Sources& sources, const GpuReport& gpus, size_t index,
                     Findings& findings) {
  const probes::GpuState& state = gpus.gpus[index].state;
  if (state.n_processes < 0) {
    findings.push_back({Level::kNote, "gpu-processes",
                        label(gpus, index) + ": who else uses it is not told", "nvidia-smi"});
    return;
  }
  for (int i = 0; i < state.n_processes; ++i) {
    const probes::GpuProcess& process = state.processes[static_cast<size_t>(i)];
    const std::string pid = std::to_string(process.pid);
    const std::string name = sources.word("proc/" + pid + "/comm");
    findings.push_back(
        {Level::kWarning, "gpu-processes",
         "process " + pid + (name.empty() ? "" : " (" + name + ")") + " uses " +
             label(gpus, index) +
             (process.used_bytes < 0 ? "" : " and holds " + format_bytes(process.used_bytes)) +
             ": memory and times are shared with it",
         "ps -fp " + pid + "; end it the way it was started, or: kill " + pid});
  }
}

}  // namespace

Findings check_gpus(const Sources& sources, const GpuReport& gpus, bool needed) {
  if (!gpus.why_none.empty() || gpus.gpus.empty()) {
    const std::string why = gpus.why_none.empty() ? "the driver knows no GPU" : gpus.why_none;
    return {{needed ? Level::kProblem : Level::kNote, "gpu-driver",
             "no NVIDIA GPU to be asked: " + printable(why) +
                 (needed ? "; the profile needs one" : "; the CPU measures without"),
             needed ? "nvidia-smi (after installing a driver or updating it: sudo reboot)"
                    : "Only for engine.device = \"cuda\": sudo apt install nvidia-driver"}};
  }
  Findings findings;
  const std::string driver = "driver " + printable(gpus.driver);
  if (gpus.cuda_version > 0 && gpus.cuda_version < kNeededCuda) {
    findings.push_back({needed ? Level::kProblem : Level::kNote, "gpu-driver",
                        driver + " runs CUDA up to " + std::to_string(gpus.cuda_version / 1000) +
                            "." + std::to_string(gpus.cuda_version % 1000 / 10) +
                            "; this program's kernels need 13.0",
                        "Install driver 580 or newer: sudo apt install nvidia-driver"});
  } else {
    findings.push_back({Level::kOk, "gpu-driver", driver, ""});
  }
  for (size_t i = 0; i < gpus.gpus.size(); ++i) {
    check_state(gpus, i, findings);
    check_processes(sources, gpus, i, findings);
  }
  return findings;
}

}  // namespace ds4::runners::doctor
