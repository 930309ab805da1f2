// What NVIDIA's management library tells of the GPUs. It is looked for when asked, never linked: a
// machine without it works. Nothing here allocates on a GPU or creates a context.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ds4::probes {

/// A process with a compute context.
struct GpuProcess {
  int64_t pid = 0;
  int64_t used_bytes = -1;  // -1 = not told; where GPU and processors share memory this is told
};

/// What one GPU tells now; -1 = it does not.
struct GpuState {
  static constexpr size_t kMostProcesses = 64;

  int64_t total_bytes = -1;  // of a memory of its own; not told of one shared with the processors
  int64_t free_bytes = -1;
  int64_t temperature_c = -1;
  int64_t sm_clock_mhz = -1;
  int64_t memory_clock_mhz = -1;
  int64_t throttle_reasons = -1;  // kThrottle... bits
  int n_processes = -1;           // entries of `processes` that count
  std::array<GpuProcess, kMostProcesses> processes;
};

/// Why clocks are lower than they could be (bits of GpuState::throttle_reasons).
inline constexpr int64_t kThrottleIdle = 0x1;      // nothing to do
inline constexpr int64_t kThrottleSettings = 0x2;  // as somebody set the clocks
inline constexpr int64_t kThrottlePowerCap = 0x4;  // at the power limit
inline constexpr int64_t kThrottleHardware = 0x8;  // slowed down by hardware
inline constexpr int64_t kThrottleSwThermal = 0x20;
inline constexpr int64_t kThrottleHwThermal = 0x40;
inline constexpr int64_t kThrottlePowerBrake = 0x80;  // told to by the power supply

/// What does not change while a program runs; -1 = not told.
struct GpuFacts {
  std::string name;
  int64_t max_sm_clock_mhz = -1;
  int64_t max_memory_clock_mhz = -1;
  int64_t slowdown_c = -1;  // temperature at which hardware slows down
  int persistence = -1;     // 1 = the driver stays loaded between programs
};

class Nvml {
 public:
  static constexpr const char* kLibrary = "libnvidia-ml.so.1";

  /// Null, with the reason, where there is no library, no driver or no access to it.
  static std::unique_ptr<Nvml> open(std::string& why_not, const char* library = kLibrary);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  const std::string& driver() const { return driver_; }  // "580.95.05"
  /// Newest CUDA the driver runs, 13000 = 13.0; 0 = not told.
  int cuda_version() const { return cuda_version_; }
  const std::vector<GpuFacts>& gpus() const { return facts_; }
  /// The state of GPU `index` now. Never throws or allocates; takes well under a millisecond.
  void read(size_t index, GpuState& state) const noexcept;
  /// GpuState::throttle_reasons alone, for those who ask between short measurements.
  int64_t throttle_reasons(size_t index) const noexcept;

 private:
  struct Functions;
  Nvml();

  void* library_ = nullptr;
  std::unique_ptr<Functions> call_;
  std::vector<void*> handles_;
  std::vector<GpuFacts> facts_;
  std::string driver_;
  int cuda_version_ = 0;
};

}  // namespace ds4::probes
