// What the block that completes a part of a product's results does with them (Finish): the small
// work on results that would else be a kernel of its own, of which a step waits for the launch more
// than for the work.
#pragma once

#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/routing.cuh"
#include "engine/ops/cuda/sides.cuh"
#include "engine/ops/cuda/tiles.cuh"

namespace ds4::ops::cuda {

// Group `group` of the next product's x, from a warp's values 4 * lane .. + 3.
template <Arrange kind>
__device__ void store_part(const Finish& f, const float (&v)[4], int64_t group) {
  const int lane = threadIdx.x % 32;
  uint2 elements;
  const float scale = arrange_four<kind>(lane, v, elements);
  store_arranged<kind>(lane, elements, group, f.arranged);
  if (lane == 0) f.scales[group] = scale;
}
__device__ inline void store_part(const Finish& f, const float (&v)[4], int64_t group) {
  switch (f.arrange) {
    case Arrange::kE4m3:
      return store_part<Arrange::kE4m3>(f, v, group);
    case Arrange::kF16:
      return store_part<Arrange::kF16>(f, v, group);
    default:
      return store_part<Arrange::kF16Words>(f, v, group);
  }
}

// How many came before, counted from 0 to `most` and again from 0; what they stored can be read.
__device__ inline unsigned arrive(unsigned* at, unsigned most) {
  unsigned before;
  asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(at), "r"(most)
               : "memory");
  return before;
}

/// To be called by all threads of a block (kSideThreads) when its results of all columns of `work`
/// are stored; `shared`: route_few_shared() bytes for the routing. Out of line, so that the product
/// keeps its registers.
__device__ __noinline__ void finish_results(const Finish& f, const Task& task, const Work& work,
                                            int block, int block_rows, float* shared) {
  __shared__ bool last;
  const int first = block * block_rows;
  __syncthreads();
  if (threadIdx.x == 0) {
    const int part = work.matrix * (static_cast<int>(task.tiles.rows) / f.part) + first / f.part;
    const auto most = static_cast<unsigned>(f.part / block_rows) - 1;
    last = arrive(f.arrived + part, most) == most;
  }
  __syncthreads();
  if (!last) return;
  if (f.kind == Finish::kRoute) return route_and_list(f.routing, shared);
  const int64_t cols = task.out_stride;
  for (int column = threadIdx.x / 32; column < work.columns; column += kSideWarps) {
    const int64_t row = out_row(task.columns, work, column);
    const int64_t from = row * cols + first / kGroup * kGroup;
    float v[4];
    load_values(static_cast<const Bf16*>(f.next.values) + from + threadIdx.x % 32 * 4, v);
    store_part(f, v, from / kGroup);
  }
}

}  // namespace ds4::ops::cuda
