#include "engine/ops/cuda/recordings.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/device/error.h"
#include "engine/ops/cuda/kernels.h"

namespace ds4::ops::cuda {
namespace {

// Row counts of one to four per sequence, for a few sets of sequences.
constexpr size_t kMostRecordings = 16;

}  // namespace

Recordings::Recordings(cudaStream_t stream, device::Arena& arena)
    : stream_(stream), arena_(arena), memory_(kStepRows * int64_t{sizeof(int64_t)}) {}

void Recordings::Graph::reset() {
  if (graph_) cudaGraphExecDestroy(std::exchange(graph_, nullptr));
}

void Recordings::Graph::record(cudaStream_t stream, const std::function<void()>& operations) {
  reset();
  cudaGraph_t launches = nullptr;
  // In this mode calls that a record cannot repeat, such as an allocation, fail.
  DS4_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const int64_t before = kernel_launches;
  try {
    operations();
  } catch (...) {
    if (cudaStreamEndCapture(stream, &launches) == cudaSuccess) cudaGraphDestroy(launches);
    static_cast<void>(cudaGetLastError());  // the error under way tells more
    throw;
  }
  DS4_CUDA(cudaStreamEndCapture(stream, &launches));
  kernels_ = kernel_launches - before;
  kernel_launches = before;  // recorded, not launched
  const cudaError_t status = cudaGraphInstantiate(&graph_, launches, 0);
  cudaGraphDestroy(launches);
  DS4_CUDA(status);
}

void Recordings::Graph::launch(cudaStream_t stream) const {
  DS4_CUDA(cudaGraphLaunch(graph_, stream));
  kernel_launches += kernels_;
}

Recordings::Recording* Recordings::find(std::span<const int64_t> key) {
  const auto found = std::find_if(recordings_.begin(), recordings_.end(), [&](const Recording& r) {
    return std::ranges::equal(r.key, key);
  });
  if (found == recordings_.end()) return nullptr;
  recordings_.splice(recordings_.begin(), recordings_, found);
  return &recordings_.front();
}

void Recordings::run(std::span<const int64_t> key, Segments segments,
                     const std::function<void()>& operations) {
  DS4_CHECK(!positions_ && segments.size() <= kStepRows, "a step within a step");
  std::vector<int64_t> first;
  for (const Segment& segment : segments) first.push_back(segment.chunk.first);
  DS4_CUDA(cudaMemcpyAsync(memory_.data(), first.data(), first.size() * sizeof(int64_t),
                           cudaMemcpyHostToDevice, stream_));
  positions_ = reinterpret_cast<const int64_t*>(memory_.data());
  const struct Leave {
    const int64_t*& positions;
    ~Leave() { positions = nullptr; }
  } leave{positions_};

  Recording* recording = find(key);
  if (!recording) {
    // Brings parameters to the device and scratch memory to its size.
    operations();
    if (recordings_.size() == kMostRecordings) recordings_.pop_back();
    recordings_.emplace_front().key.assign(key.begin(), key.end());
    return;
  }
  if (!recording->graph || recording->generation != arena_.generation()) {
    arena_.clear();
    recording->graph.record(stream_, operations);
    recording->generation = arena_.generation();
  }
  recording->graph.launch(stream_);
}

}  // namespace ds4::ops::cuda
