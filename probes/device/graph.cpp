#include "probes/device/graph.h"

#include "engine/device/error.h"

namespace ds4::probes {

Graph::Graph(cudaStream_t stream, const std::function<void()>& work) : stream_(stream) {
  cudaGraph_t graph = nullptr;
  DS4_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  work();
  DS4_CUDA(cudaStreamEndCapture(stream, &graph));
  const cudaError_t status = cudaGraphInstantiate(&run_, graph, 0);
  cudaGraphDestroy(graph);
  DS4_CUDA(status);
}

Graph::~Graph() {
  cudaGraphExecDestroy(run_);
}

void Graph::replay() const {
  DS4_CUDA(cudaGraphLaunch(run_, stream_));
}

}  // namespace ds4::probes
