#include "engine/device/stamps.h"

#include "engine/device/error.h"

namespace ds4::device {

Stamps::~Stamps() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

void Stamps::add(const Stream& stream) {
  if (used_ == events_.size()) {
    cudaEvent_t event = nullptr;
    DS4_CUDA(cudaEventCreate(&event));
    events_.push_back(event);
  }
  DS4_CUDA(cudaEventRecord(events_[used_++], stream));
}

std::vector<double> Stamps::take() {
  std::vector<double> seconds(used_);
  if (used_ > 0) DS4_CUDA(cudaEventSynchronize(events_[used_ - 1]));
  for (size_t i = 0; i < used_; ++i) {
    float milliseconds = 0;
    DS4_CUDA(cudaEventElapsedTime(&milliseconds, events_[0], events_[i]));
    seconds[i] = milliseconds * 1e-3;
  }
  used_ = 0;
  return seconds;
}

}  // namespace ds4::device
