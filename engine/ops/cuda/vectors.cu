// Kernels on rows of values: embedding, norm, rotation table, gated activation.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;

// A thread per value: one row's come from memory one behind the other else.
template <class V>
__global__ void embed_kernel(PlainMatrix table, const int32_t* tokens, int streams, V* h) {
  wait_for_inputs();
  const int64_t row = tokens[blockIdx.x];
  V* out = h + int64_t{blockIdx.x} * streams * table.cols;
  const int64_t k = int64_t{blockIdx.y} * kThreads + threadIdx.x;
  if (k >= table.cols) return;
  const V v = put<V>(weight_at(table, row, k));
  for (int s = 0; s < streams; ++s) out[s * table.cols + k] = v;
}

template <class V>
__global__ void rms_norm_kernel(const float* gain, float eps, int64_t cols, const V* x, V* y) {
  wait_for_inputs();
  const V* row = x + blockIdx.x * cols;
  float sum = 0;
  for (int64_t k = threadIdx.x; k < cols; k += kThreads) sum = fmaf(get(row[k]), get(row[k]), sum);
  const float scale = inverse_root(block_sum(sum) / static_cast<float>(cols) + eps);
  for (int64_t k = threadIdx.x; k < cols; k += kThreads) {
    y[blockIdx.x * cols + k] = put<V>(gain[k] * (get(row[k]) * scale));
  }
}

// The angle is an f32 product by definition; its cosine needs full range reduction.
__global__ void rotation_kernel(const float* frequencies, int pairs,
                                const __grid_constant__ Places places, int rows, float* table) {
  wait_for_inputs();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * pairs) return;
  const int64_t row = places.row[0] + i / pairs;
  const int pair = i % pairs;
  const int64_t position = place_of(places, static_cast<int>(row)).position;
  const double angle = __fmul_rn(static_cast<float>(position), frequencies[pair]);
  table[row * 2 * pairs + pair] = static_cast<float>(cos(angle));
  table[row * 2 * pairs + pairs + pair] = static_cast<float>(sin(angle));
}

template <class V>
__global__ void swiglu_kernel(const __grid_constant__ Input in, int64_t inter, V* hidden) {
  wait_for_inputs();
  const int64_t row = blockIdx.x;
  const float weight = row_weight(in, row);
  const V* gate = static_cast<const V*>(in.values) + row * 2 * inter;
  for (int64_t k = threadIdx.x; k < inter; k += kThreads) {
    hidden[row * inter + k] =
        put<V>(gated_value(get(gate[k]), get(gate[inter + k]), in.limit, weight));
  }
}

}  // namespace

void embed(Launch at, const PlainMatrix& table, int n, const int32_t* tokens, int streams,
           void* h) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, embed_kernel<V>, dim3(n, blocks_for(table.cols, kThreads)), kThreads, 0, table,
          tokens, streams, static_cast<V*>(h));
  });
}

void rms_norm(Launch at, const float* gain, float eps, int n, int64_t cols, const void* x,
              void* y) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, rms_norm_kernel<V>, n, kThreads, 0, gain, eps, cols, static_cast<const V*>(x),
          static_cast<V*>(y));
  });
}

void rotation(Launch at, const float* frequencies, int pairs, const Places& places, float* table) {
  if (pairs == 0) return;
  const int rows = places.rows();
  start(at, rotation_kernel, blocks_for(int64_t{rows} * pairs, 64), 64, 0, frequencies, pairs,
        places, rows, table);
}

void swiglu(Launch at, const Input& gated, int64_t rows, int64_t inter, void* hidden) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, swiglu_kernel<V>, static_cast<unsigned>(rows), kThreads, 0, gated, inter,
          static_cast<V*>(hidden));
  });
}

}  // namespace ds4::ops::cuda
