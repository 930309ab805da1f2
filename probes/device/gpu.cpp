#include "probes/device/gpu.h"

#include <algorithm>

#include "engine/device/error.h"
#include "probes/device/fill.h"
#include "probes/device/streaming.h"
#include "probes/host_memory.h"

namespace ds4::probes {
namespace {

constexpr int64_t kLeastFlush = int64_t{64} << 20;

std::string reasons_text(int64_t reasons) {
  if (reasons <= 0) return "";
  if (reasons & (kThrottleHwThermal | kThrottleSwThermal)) return "too hot";
  if (reasons & kThrottlePowerBrake) return "power brake";
  if (reasons & kThrottlePowerCap) return "power cap";
  if (reasons & kThrottleHardware) return "slowed down by hardware";
  return "";
}

}  // namespace

Gpu::Gpu() : total_(16) {
  DS4_CUDA(cudaGetDevice(&device_));
  cudaDeviceProp properties{};
  DS4_CUDA(cudaGetDeviceProperties(&properties, device_));
  processors_ = properties.multiProcessorCount;
  l2_bytes_ = properties.l2CacheSize;
  name_ = properties.name;
  flush_ = device::Memory(fitting(std::max(2 * l2_bytes_, kLeastFlush), 0.1));
  std::string why_not;
  nvml_ = Nvml::open(why_not);
  // CUDA may number the GPUs in another order: the one of the same name is meant.
  if (nvml_) {
    const auto& gpus = nvml_->gpus();
    const auto same = std::find_if(gpus.begin(), gpus.end(),
                                   [&](const GpuFacts& facts) { return facts.name == name_; });
    if (same == gpus.end()) {
      nvml_.reset();
    } else {
      nvml_index_ = static_cast<size_t>(same - gpus.begin());
    }
  }
}

int Gpu::attribute(cudaDeviceAttr which) const {
  int value = 0;
  DS4_CUDA(cudaDeviceGetAttribute(&value, which, device_));
  return value;
}

double Gpu::memory_peak() const {
  if (attribute(cudaDevAttrIntegrated)) return 0;
  return 2e3 * attribute(cudaDevAttrMemoryClockRate) * attribute(cudaDevAttrGlobalMemoryBusWidth) /
         8;
}

int64_t Gpu::free_bytes() {
  size_t free = 0, total = 0;
  DS4_CUDA(cudaMemGetInfo(&free, &total));
  int device = 0, shared = 0;
  DS4_CUDA(cudaGetDevice(&device));
  DS4_CUDA(cudaDeviceGetAttribute(&shared, cudaDevAttrIntegrated, device));
  const auto bytes = static_cast<int64_t>(free);
  return shared ? std::min(bytes, read_machine_memory().available_bytes) : bytes;
}

int64_t Gpu::fitting(int64_t wanted, double share) {
  const auto most = static_cast<int64_t>(static_cast<double>(free_bytes()) * share);
  return std::max(kPiece, std::min(wanted, most) / kPiece * kPiece);
}

const device::Memory& Gpu::numbers(int64_t bytes) {
  if (numbers_.bytes() < bytes) {
    numbers_ = device::Memory();
    numbers_ = device::Memory(bytes);
    fill_random(numbers_.data(), bytes, Fill::kBf16, 1, stream_);
  }
  return numbers_;
}

double Gpu::seconds(const std::function<void()>& launch, bool warm) {
  // Writing more than L2 holds leaves nothing else in it.
  if (!warm) write_all(flush_.data(), flush_.bytes(), 7, {}, stream_);
  stamps_.add(stream_);
  launch();
  stamps_.add(stream_);
  return stamps_.take()[1];
}

double* Gpu::total() {
  DS4_CUDA(cudaMemsetAsync(total_.data(), 0, sizeof(double), stream_));
  return reinterpret_cast<double*>(total_.data());
}

double Gpu::read_total() {
  double value = 0;
  DS4_CUDA(cudaMemcpyAsync(&value, total_.data(), sizeof value, cudaMemcpyDeviceToHost, stream_));
  stream_.wait();
  return value;
}

std::string Gpu::slowed_by() const {
  return nvml_ ? reasons_text(nvml_->throttle_reasons(nvml_index_)) : "";
}

}  // namespace ds4::probes
