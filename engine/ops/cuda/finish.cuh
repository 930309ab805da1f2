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

// What the norm multiplies a row with besides its gain, as rms_norm() computes it; all threads.
__device__ inline float norm_scale(const Input& in, int64_t cols, int64_t row) {
  const Bf16* x = static_cast<const Bf16*>(in.values) + row * cols;
  float sum = 0;
  for (int64_t k = threadIdx.x; k < cols; k += kSideThreads) sum = fmaf(get(x[k]), get(x[k]), sum);
  return inverse_root(block_sum(sum) / static_cast<float>(cols) + in.eps);
}

// v * scale with the gain of the same places, in place.
__device__ inline void apply_gain(const float4& gain, float scale, float (&v)[4]) {
  v[0] = rounded<Bf16>(gain.x * (v[0] * scale));
  v[1] = rounded<Bf16>(gain.y * (v[1] * scale));
  v[2] = rounded<Bf16>(gain.z * (v[2] * scale));
  v[3] = rounded<Bf16>(gain.w * (v[3] * scale));
}

// Rows of results as x of the next product, with the norm in between. The next kernel waits for
// this, so all loads go together and all rows' sums (those of norm_scale()) through one barrier.
__device__ inline void arrange_norms(const Finish& f, const Task& task, const Work& work) {
  __shared__ float parts[kFewColumns][kSideWarps];
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int64_t cols = task.out_stride;
  const auto* values = static_cast<const Bf16*>(f.next.values);
  const int64_t first = warp * kGroup + lane * 4;
  const auto gain_at = [&](int64_t k) { return *reinterpret_cast<const float4*>(f.next.gain + k); };
  float4 gain = gain_at(min(first, cols - 4));
  int64_t begin[kFewColumns];  // of each row
  float sums[kFewColumns] = {};
#pragma unroll
  for (int i = 0; i < kFewColumns; ++i) {
    begin[i] = out_row(task.columns, work, min(i, work.columns - 1)) * cols;
  }
#pragma unroll 4
  for (int64_t k = threadIdx.x; k < cols; k += kSideThreads) {
#pragma unroll
    for (int i = 0; i < kFewColumns; ++i) {
      const float v = i < work.columns ? get(values[begin[i] + k]) : 0.0f;
      sums[i] = fmaf(v, v, sums[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < kFewColumns; ++i) {
    if (i >= work.columns) break;
    const float sum = warp_sum(sums[i]);
    if (lane == 0) parts[i][warp] = sum;
  }
  __syncthreads();
  float scale[kFewColumns];
#pragma unroll
  for (int i = 0; i < kFewColumns; ++i) {
    if (i >= work.columns) break;
    const float sum = warp_sum(lane < kSideWarps ? parts[i][lane] : 0.0f);
    scale[i] = inverse_root(sum / static_cast<float>(cols) + f.next.eps);
  }
  for (int64_t k = first; k < cols; k += kSideWarps * kGroup) {
    if (k > first) gain = gain_at(k);
#pragma unroll
    for (int i = 0; i < kFewColumns; ++i) {
      if (i >= work.columns) break;
      float v[4];
      load_values(values + begin[i] + k, v);
      apply_gain(gain, scale[i], v);
      store_part(f, v, (begin[i] + k) / kGroup);
    }
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
  if (f.kind == Finish::kNorm) return arrange_norms(f, task, work);
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
