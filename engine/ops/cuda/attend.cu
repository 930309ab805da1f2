// Attention of each query over its own list of cache rows (model.md 3.4 steps 5-7): scores, softmax
// against the true maximum with the sink, weighted sum with the inverse rotation. Queries never
// share anything, so a result does not depend on its neighbours. Here: which kernels do it, and
// those of the f32 precision, plain loops.
#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

// A warp per row. A row that is not there scores -inf.
__global__ void plain_scores_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int at = blockIdx.x * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (at >= keys.n) return;
  const uint8_t* from = key_row(a, keys, at);
  const RowShape& shape = a.raw.shape;
  for (int head = 0; head < a.heads; ++head) {
    const float* q = static_cast<const float*>(a.q) + (int64_t{row} * a.heads + head) * a.dim;
    float sum = 0;
    for (int d = lane; from != nullptr && d < a.dim; d += 32) {
      sum = fmaf(q[d], row_value(shape, from, d), sum);
    }
    sum = warp_sum(sum);
    if (lane == 0) scores_of(a, row, head)[at] = from != nullptr ? sum * a.scale : -INFINITY;
  }
}

// A thread per pair of values.
__global__ void plain_weigh_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= a.heads * a.dim / 2) return;
  const int head = index / (a.dim / 2);
  const int d = index % (a.dim / 2) * 2;
  const float* p = scores_of(a, row, head);
  float x = 0;
  float y = 0;
  for (int t = 0; t < keys.n; ++t) {
    const uint8_t* from = key_row(a, keys, t);
    if (from == nullptr) continue;
    const RowShape& shape = a.raw.shape;
    x = fmaf(p[t], row_value(shape, from, d), x);
    y = fmaf(p[t], row_value(shape, from, d + 1), y);
  }
  store_pair<float>(a, row, head, d, sums_of(a, row)[head], x, y);
}

}  // namespace

void attend(Launch at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  if (at.strict && queries <= kFewQueries) return attend_few(at, a);
  if (at.strict) return attend_many(at, a);
  start(at, plain_scores_kernel, dim3(blocks_for(a.stride, kWarps), queries), kThreads, 0, a);
  start(at, softmax_kernel<float>, dim3(queries, blocks_for(a.heads, kSoftmaxWarps)),
        kSoftmaxWarps * 32, 0, a);
  start(at, plain_weigh_kernel, dim3(blocks_for(int64_t{a.heads} * a.dim / 2, kThreads), queries),
        kThreads, 0, a);
}

}  // namespace ds4::ops::cuda
