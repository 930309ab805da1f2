#include "probes/nvml.h"

#include <dlfcn.h>

#include <algorithm>

namespace ds4::probes {
namespace {

// The parts of NVML's stable C interface that are used (docs.nvidia.com/deploy/nvml-api).
using Device = void*;
using Return = int;
constexpr Return kSuccess = 0;
constexpr Return kInsufficientSize = 7;
constexpr unsigned kTemperatureOfGpu = 0, kSlowdownThreshold = 1;
constexpr unsigned kSmClock = 1, kMemoryClock = 2;
constexpr unsigned long long kNotAvailable = ~0ull;

struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};
static_assert(sizeof(ProcessInfo) == 24);

template <class Function>
void find(void* library, Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
}

}  // namespace

struct Nvml::Functions {
  Return (*init)();
  Return (*shutdown)();
  const char* (*error_string)(Return);
  Return (*driver_version)(char*, unsigned);
  Return (*cuda_version)(int*);
  Return (*count)(unsigned*);
  Return (*handle)(unsigned, Device*);
  Return (*name)(Device, char*, unsigned);
  Return (*memory)(Device, Memory*);
  Return (*temperature)(Device, unsigned, unsigned*);
  Return (*temperature_threshold)(Device, unsigned, unsigned*);
  Return (*clock)(Device, unsigned, unsigned*);
  Return (*max_clock)(Device, unsigned, unsigned*);
  Return (*throttle_reasons)(Device, unsigned long long*);
  Return (*persistence)(Device, unsigned*);
  Return (*processes)(Device, unsigned*, ProcessInfo*);

  explicit Functions(void* library) {
    find(library, init, "nvmlInit_v2");
    find(library, shutdown, "nvmlShutdown");
    find(library, error_string, "nvmlErrorString");
    find(library, driver_version, "nvmlSystemGetDriverVersion");
    find(library, cuda_version, "nvmlSystemGetCudaDriverVersion_v2");
    find(library, count, "nvmlDeviceGetCount_v2");
    find(library, handle, "nvmlDeviceGetHandleByIndex_v2");
    find(library, name, "nvmlDeviceGetName");
    find(library, memory, "nvmlDeviceGetMemoryInfo");
    find(library, temperature, "nvmlDeviceGetTemperature");
    find(library, temperature_threshold, "nvmlDeviceGetTemperatureThreshold");
    find(library, clock, "nvmlDeviceGetClockInfo");
    find(library, max_clock, "nvmlDeviceGetMaxClockInfo");
    find(library, throttle_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
    find(library, persistence, "nvmlDeviceGetPersistenceMode");
    find(library, processes, "nvmlDeviceGetComputeRunningProcesses_v3");
    if (!processes) find(library, processes, "nvmlDeviceGetComputeRunningProcesses_v2");
  }

  // The others are asked only where they exist.
  bool complete() const {
    return init && shutdown && error_string && driver_version && count && handle && name;
  }
};

namespace {

// A number that `function` writes behind the arguments `before`; -1 when it does not.
template <class Number, class Function, class... Before>
int64_t asked(Function* function, Before... before) {
  Number value{};
  return function && function(before..., &value) == kSuccess ? static_cast<int64_t>(value) : -1;
}

}  // namespace

Nvml::Nvml() = default;

Nvml::~Nvml() {
  if (call_) call_->shutdown();
  if (library_) ::dlclose(library_);
}

std::unique_ptr<Nvml> Nvml::open(std::string& why_not, const char* library) {
  std::unique_ptr<Nvml> nvml(new Nvml);
  nvml->library_ = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!nvml->library_) {
    why_not = std::string(library) + " is not installed";
    return nullptr;
  }
  auto call = std::make_unique<Functions>(nvml->library_);
  if (!call->complete()) {
    why_not = std::string(library) + " lacks functions of NVML";
    return nullptr;
  }
  if (const Return code = call->init(); code != kSuccess) {
    why_not = call->error_string(code);
    return nullptr;
  }
  nvml->call_ = std::move(call);
  const Functions& ask = *nvml->call_;

  std::array<char, 96> text{};
  if (ask.driver_version(text.data(), text.size() - 1) == kSuccess) nvml->driver_ = text.data();
  if (ask.cuda_version && ask.cuda_version(&nvml->cuda_version_) != kSuccess) {
    nvml->cuda_version_ = 0;
  }
  const int64_t count = asked<unsigned>(ask.count);
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    if (ask.handle(i, &device) != kSuccess) continue;
    GpuFacts facts;
    text.fill(0);
    if (ask.name(device, text.data(), text.size() - 1) == kSuccess) facts.name = text.data();
    facts.max_sm_clock_mhz = asked<unsigned>(ask.max_clock, device, kSmClock);
    facts.max_memory_clock_mhz = asked<unsigned>(ask.max_clock, device, kMemoryClock);
    facts.slowdown_c = asked<unsigned>(ask.temperature_threshold, device, kSlowdownThreshold);
    facts.persistence = static_cast<int>(asked<unsigned>(ask.persistence, device));
    nvml->handles_.push_back(device);
    nvml->facts_.push_back(std::move(facts));
  }
  return nvml;
}

void Nvml::read(size_t index, GpuState& state) const noexcept {
  const Functions& ask = *call_;
  const Device device = handles_[index];
  Memory memory{};
  const bool told = ask.memory && ask.memory(device, &memory) == kSuccess && memory.total > 0;
  state.total_bytes = told ? static_cast<int64_t>(memory.total) : -1;
  state.free_bytes = told ? static_cast<int64_t>(memory.free) : -1;
  state.temperature_c = asked<unsigned>(ask.temperature, device, kTemperatureOfGpu);
  state.sm_clock_mhz = asked<unsigned>(ask.clock, device, kSmClock);
  state.memory_clock_mhz = asked<unsigned>(ask.clock, device, kMemoryClock);
  state.throttle_reasons = throttle_reasons(index);

  state.n_processes = -1;
  if (!ask.processes) return;
  std::array<ProcessInfo, GpuState::kMostProcesses> infos;
  unsigned n = infos.size();
  const Return code = ask.processes(device, &n, infos.data());
  if (code != kSuccess && code != kInsufficientSize) return;
  // More than fit: which of them were written is not said, so none is believed.
  if (code == kInsufficientSize) n = 0;
  n = std::min<unsigned>(n, infos.size());
  for (unsigned i = 0; i < n; ++i) {
    const unsigned long long used = infos[i].used_bytes;
    state.processes[i] = {infos[i].pid, used == kNotAvailable ? -1 : static_cast<int64_t>(used)};
  }
  state.n_processes = code == kInsufficientSize ? -1 : static_cast<int>(n);
}

int64_t Nvml::throttle_reasons(size_t index) const noexcept {
  return asked<unsigned long long>(call_->throttle_reasons, handles_[index]);
}

}  // namespace ds4::probes
