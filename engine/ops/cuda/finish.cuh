// What a product of few columns does with its results besides storing them (Finish): the small work
// on them that would else be a kernel of its own, of which a step waits for the launch more than
// for the work. It is done by one of the blocks that make a part of them.
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

// The part to which the results from `first` on of a matrix belong.
__device__ __forceinline__ int part_of(const Finish& f, const Task& task, int matrix, int first) {
  return matrix * (static_cast<int>(task.tiles.rows) / f.part) + first / f.part;
}

// kArrange: the block that came up last. It may wait for the others, since they are there and wait
// for no block of this kernel. Results are in global memory until it has seen them, all bits set
// where there is none, a NaN that put<Bf16>() does not make: each tells by itself that it is there,
// so that nobody waits for stores, orders them or counts blocks behind them.

/// Whether the block is the one; by one thread of each, whose results begin with `first`. In front
/// of wait_for_inputs(): the launch in front has other counters.
__device__ inline bool comes_up_last(const Finish& f, const Task& task, int matrix, int first,
                                     int block_rows) {
  const auto most = static_cast<unsigned>(f.part / block_rows) - 1;
  return atomicInc(f.arrived + part_of(f, task, matrix, first), most) == most;
}
/// Result `at` of out on its way.
__device__ inline void hand_in(const Finish& f, int64_t at, Bf16 result) {
  asm volatile("st.relaxed.gpu.global.b16 [%0], %1;" ::"l"(static_cast<Bf16*>(f.under_way) + at),
               "h"(__bfloat16_as_ushort(result))
               : "memory");
}
/// Waits for the results of the part and arranges them; all threads of that block (kSideThreads).
__device__ inline void arrange_results(const Finish& f, const Task& task, const Work& work,
                                       int first) {
  constexpr unsigned short kNone = 0xffff;
  for (int column = threadIdx.x / 32; column < work.columns; column += kSideWarps) {
    const int64_t from =
        out_row(task.columns, work, column) * task.out_stride + first / kGroup * kGroup;
    Bf16* at = static_cast<Bf16*>(f.under_way) + from + threadIdx.x % 32 * 4;
    unsigned short bits[4];
    do {
      asm volatile("ld.relaxed.gpu.global.v4.b16 {%0, %1, %2, %3}, [%4];"
                   : "=h"(bits[0]), "=h"(bits[1]), "=h"(bits[2]), "=h"(bits[3])
                   : "l"(at)
                   : "memory");
    } while (bits[0] == kNone || bits[1] == kNone || bits[2] == kNone || bits[3] == kNone);
    *reinterpret_cast<uint2*>(at) = {~0u, ~0u};
    float v[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = __uint_as_float(uint32_t{bits[i]} << 16);
    __syncwarp();
    store_part(f, v, from / kGroup);
  }
}

// kRoute: the block that completes the results.

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
/// are stored; `shared`: route_few_shared() bytes. Out of line, so that the product keeps its
/// registers.
__device__ __noinline__ void route_results(const Finish& f, const Task& task, const Work& work,
                                           int first, int block_rows, float* shared) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    const auto most = static_cast<unsigned>(f.part / block_rows) - 1;
    last = arrive(f.arrived + part_of(f, task, work.matrix, first), most) == most;
  }
  __syncthreads();
  if (last) route_and_list(f.routing, shared);
}

}  // namespace ds4::ops::cuda
