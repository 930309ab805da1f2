// A chain of work recorded once and replayed.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace ds4::probes {

class Graph {
 public:
  /// Records what `work` gives to the stream.
  Graph(cudaStream_t stream, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void replay() const;

 private:
  cudaStream_t stream_;
  cudaGraphExec_t run_ = nullptr;
};

}  // namespace ds4::probes
