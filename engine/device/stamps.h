// Points in time on a stream, by the device's own clock.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

#include "engine/device/memory.h"

namespace ds4::device {

class Stamps {
 public:
  Stamps() = default;
  ~Stamps();
  Stamps(const Stamps&) = delete;
  Stamps& operator=(const Stamps&) = delete;

  /// The moment when the stream has done all it was given so far.
  void add(const Stream& stream);
  /// Waits; seconds of each stamp since the first. None are left.
  std::vector<double> take();

 private:
  std::vector<cudaEvent_t> events_;  // kept for the next stamps
  size_t used_ = 0;
};

}  // namespace ds4::device
