// Small steps as CUDA graphs: the first time a step of some key runs as it is, the second time its
// launches are recorded, from then on replayed. What differs from step to step lies in device
// memory: token ids and the segments' first positions.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <vector>

#include "engine/device/memory.h"
#include "engine/ops/views.h"

namespace ds4::ops::cuda {

class Recordings {
 public:
  /// `arena`: the scratch memory of the operations.
  Recordings(cudaStream_t stream, device::Arena& arena);

  /// Runs `operations` or replays what they launched. While they run, positions() is where the
  /// device finds the first position of each segment.
  void run(std::span<const int64_t> key, Segments segments,
           const std::function<void()>& operations);
  /// Null outside run().
  const int64_t* positions() const { return positions_; }

 private:
  /// An executable graph, or none.
  class Graph {
   public:
    Graph() = default;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph() { reset(); }
    void reset();
    /// What `operations` launch on the stream.
    void record(cudaStream_t stream, const std::function<void()>& operations);
    void launch(cudaStream_t stream) const;
    explicit operator bool() const { return graph_ != nullptr; }

   private:
    cudaGraphExec_t graph_ = nullptr;
    int64_t kernels_ = 0;
  };
  struct Recording {
    std::vector<int64_t> key;
    Graph graph;
    int64_t generation = 0;  // of the scratch memory that the graph writes to
  };

  Recording* find(std::span<const int64_t> key);

  cudaStream_t stream_;
  device::Arena& arena_;
  device::Memory memory_;  // of the positions
  const int64_t* positions_ = nullptr;
  std::list<Recording> recordings_;  // the last used first
};

}  // namespace ds4::ops::cuda
