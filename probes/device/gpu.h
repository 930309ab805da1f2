// The first GPU as the probes use it: a stream, its clock, one large buffer of random numbers, and
// the means to empty its L2. Host code.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <string>

#include "engine/device/memory.h"
#include "engine/device/stamps.h"
#include "probes/nvml.h"
#include "probes/recorder.h"

namespace ds4::probes {

class Gpu {
 public:
  /// Throws Error(kMachine) without a GPU.
  Gpu();

  const device::Stream& stream() const { return stream_; }
  int processors() const { return processors_; }
  int64_t l2_bytes() const { return l2_bytes_; }
  const std::string& name() const { return name_; }
  int attribute(cudaDeviceAttr which) const;
  double clock_hz() const { return 1e3 * attribute(cudaDevAttrClockRate); }
  /// Bytes per second that the memory's pins carry: width x clock, twice a clock; 0 where the
  /// memory is not the GPU's own, whose clock is not told.
  double memory_peak() const;
  /// The same of all L1 caches together: a line of 128 bytes a clock each.
  double l1_peak() const { return 128.0 * processors_ * clock_hz(); }

  /// Free memory now; where GPU and processors share it, no more than the kernel calls available.
  static int64_t free_bytes();
  /// A multiple of 32 KiB, at least one: no more than `wanted`, nor than the share of what is free.
  static int64_t fitting(int64_t wanted, double share);
  /// Random numbers that are sound as f32 and as pairs of bf16; made at the first call and again
  /// when more is asked for.
  const device::Memory& numbers(int64_t bytes);
  /// Gives the numbers back, for what needs the memory.
  void drop_numbers() { numbers_ = device::Memory(); }

  /// Seconds between the launch's first and last work by the GPU's clock; L2 holds none of its
  /// data, unless `warm`.
  double seconds(const std::function<void()>& launch, bool warm = false);
  /// A place on the device for sums, set to 0; its value after the stream's work.
  double* total();
  double read_total();

  /// "power cap", "too hot", ...; "" while nothing slows the GPU down or NVML is not there.
  std::string slowed_by() const;
  bool watched() const { return nvml_ != nullptr; }

 private:
  device::Stream stream_;
  device::Stamps stamps_;
  device::Memory numbers_, total_, flush_;
  int device_ = 0, processors_ = 0;
  int64_t l2_bytes_ = 0;
  std::string name_;
  std::unique_ptr<Nvml> nvml_;
  size_t nvml_index_ = 0;
};

}  // namespace ds4::probes
