// Matrices of one shape and format on the GPU, how long products with them take, and whether they
// are right. Host code.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <tuple>
#include <vector>

#include "engine/device/memory.h"
#include "probes/device/gemv.h"
#include "probes/device/gpu.h"
#include "probes/device/graph.h"

namespace ds4::probes {

/// "Q8_0", "FP8 128x128".
const char* gemv_name(WeightFormat format);

class GemvBench {
 public:
  /// Random matrices, as many as fill about `bytes` (1 to 64), so that none is in L2 when its turn
  /// comes again.
  GemvBench(Gpu& gpu, WeightFormat format, GemvShape shape, int64_t bytes);

  /// Bytes of one matrix, and how many there are.
  int64_t bytes() const { return bytes_.all(); }
  int matrices() const { return matrices_; }

  /// Seconds of one product, the mean over all matrices one behind the other in a graph.
  double seconds(int n_x, int warps, bool arithmetic);
  /// The warps per tile (1, 2, 4, 8) that are fastest in a few passes.
  int best_warps(int n_x, bool arithmetic);
  /// The largest |y - reference| / sum |w x| over sampled rows of the first and last matrix and all
  /// n_x rows of x; outputs are poisoned before. Infinity where an output is not finite. `spoil`
  /// multiplies one activation of the reference, to see that the check notices.
  double worst_error(int n_x, int warps, double spoil = 1);

 private:
  GemvMatrix matrix(int index) const;
  void launch(int index, int n_x, int warps, bool arithmetic);

  Gpu& gpu_;
  WeightFormat format_;
  GemvShape shape_;
  GemvBytes bytes_;
  int matrices_;
  std::vector<float> values_;  // of x: [8][columns]
  device::Memory codes_, scales_, blocks_, x_, sums_, y_;
  std::unique_ptr<Graph> graph_;  // of the products asked for last
  std::tuple<int, int, bool> recorded_;
};

}  // namespace ds4::probes
