// A stand-in for libnvidia-ml.so.1 with two GPUs: a card, and one that shares the machine's memory
// and tells little. The environment says how it fails.
#include <cstdlib>
#include <cstring>

extern "C" {

using Device = void*;

struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};

static int g_card, g_shared;

static bool is_shared(Device device) {
  return device == &g_shared;
}
static int from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : 0;
}

int nvmlInit_v2() {
  return from_environment("FAKE_NVML_INIT");
}
int nvmlShutdown() {
  return 0;
}
const char* nvmlErrorString(int code) {
  return code == 18 ? "Driver/library version mismatch" : "Unknown Error";
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::strncpy(text, "580.95.05", size);
  return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = 13000;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  *device = index == 0 ? &g_card : &g_shared;
  return 0;
}
int nvmlDeviceGetName(Device device, char* text, unsigned size) {
  std::strncpy(text, is_shared(device) ? "Shared" : "Card", size);
  return 0;
}
int nvmlDeviceGetMemoryInfo(Device device, Memory* memory) {
  if (is_shared(device)) return 3;  // not supported, as on a GB10
  *memory = {80'000'000'000, 79'000'000'000, 1'000'000'000};
  return 0;
}
int nvmlDeviceGetTemperature(Device, unsigned sensor, unsigned* value) {
  *value = 41;
  return sensor == 0 ? 0 : 2;
}
int nvmlDeviceGetTemperatureThreshold(Device device, unsigned type, unsigned* value) {
  *value = 90;
  return is_shared(device) || type != 1 ? 3 : 0;
}
int nvmlDeviceGetClockInfo(Device, unsigned type, unsigned* value) {
  *value = type == 1 ? 1980 : type == 2 ? 2619 : 7;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(Device, unsigned type, unsigned* value) {
  *value = type == 1 ? 2000 : 2700;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(Device, unsigned long long* value) {
  *value = 0x44;
  return 0;
}
int nvmlDeviceGetPersistenceMode(Device device, unsigned* value) {
  *value = is_shared(device) ? 0 : 1;
  return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* n, ProcessInfo* infos) {
  const unsigned there = static_cast<unsigned>(from_environment("FAKE_NVML_PROCESSES"));
  if (there > *n) {
    *n = there;
    return 7;  // too little room
  }
  for (unsigned i = 0; i < there; ++i) {
    infos[i] = {100 + i, is_shared(device) ? 500'000'000ull : ~0ull, 0, 0};
  }
  *n = there;
  return 0;
}

}  // extern "C"
