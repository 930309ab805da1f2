// The product that takes every format and shape: one warp per weight row, up to eight columns at a
// time, float FMA. It serves odd shapes, f32 weights and the f32 precision; where speed matters
// shapes fit few_columns.cu and many_columns.cu.
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kColumns = 8;

template <class Out>
__global__ void plain_kernel(const PlainMatrix* table, int64_t rows, int64_t cols, Columns c,
                             const float* x, Out* out, int64_t out_stride) {
  wait_for_inputs();
  const int lane = threadIdx.x % 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  int matrix = blockIdx.y;
  int first = 0;
  int count = c.columns;
  if (c.jobs != nullptr) {
    if (static_cast<int>(blockIdx.y) >= *c.n_jobs) return;
    const Job job = c.jobs[blockIdx.y];
    matrix = job.matrix;
    first = job.first;
    count = job.count;
  }
  const PlainMatrix w = table[matrix];
  const auto x_row = [&](int at) -> int64_t {
    if (c.jobs == nullptr) return int64_t{at} * c.groups + matrix;
    return c.x_rows == nullptr ? at : c.x_rows[at];
  };
  for (int begin = blockIdx.z * kColumns; begin < count; begin += gridDim.z * kColumns) {
    const float* from[kColumns];
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      from[i] = x + x_row(first + min(begin + i, count - 1)) * cols;
    float sum[kColumns] = {};
    for (int64_t k = lane; k < cols; k += 32) {
      const float v = weight_at(w, row, k);
#pragma unroll
      for (int i = 0; i < kColumns; ++i) sum[i] = fmaf(v, from[i][k], sum[i]);
    }
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      const float total = warp_sum(sum[i]);
      if (lane != 0 || begin + i >= count) continue;
      const int at = first + begin + i;
      const int64_t to = c.jobs == nullptr ? int64_t{at} * c.groups + matrix : at;
      out[to * out_stride + row] = put<Out>(total);
    }
  }
}

__global__ void markov_kernel(PlainMatrix w1, PlainMatrix w2, int64_t previous, float* logits) {
  wait_for_inputs();
  const int lane = threadIdx.x % 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= w2.rows) return;
  float sum = 0;
  for (int64_t k = lane; k < w2.cols; k += 32) {
    sum = fmaf(weight_at(w2, row, k), weight_at(w1, previous, k), sum);
  }
  sum = warp_sum(sum);
  if (lane == 0) logits[row] += sum;
}

}  // namespace

void plain_product(Launch at, const PlainMatrix* table, int64_t rows, int64_t cols,
                   const Columns& c, const float* x, bool values, void* out, int64_t out_stride) {
  const unsigned column_tiles = blocks_for(c.columns, kColumns);
  const dim3 grid(blocks_for(rows, kWarps), static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups),
                  column_tiles < 65535 ? column_tiles : 65535);
  if (values && at.strict) {
    start(at, plain_kernel<Bf16>, grid, kWarps * 32, 0, table, rows, cols, c, x,
          static_cast<Bf16*>(out), out_stride);
  } else {
    start(at, plain_kernel<float>, grid, kWarps * 32, 0, table, rows, cols, c, x,
          static_cast<float*>(out), out_stride);
  }
}

void markov_bias(Launch at, const PlainMatrix& w1, const PlainMatrix& w2, int64_t previous,
                 float* logits) {
  start(at, markov_kernel, blocks_for(w2.rows, kWarps), kWarps * 32, 0, w1, w2, previous, logits);
}

}  // namespace ds4::ops::cuda
