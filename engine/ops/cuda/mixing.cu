// Hyper-connections (model.md 3.2, 3.8): the coefficients of a token come from dots over all its
// streams, cut into slices so that one token feeds the whole chip; a second kernel adds the slices
// in order, makes the coefficients and mixes.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mixing.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kFewTokens = 8;  // so many have a block each
constexpr int kMixThreads = 1024;
constexpr int kMixWarps = kMixThreads / 32;
constexpr int kMostQuads = kMostMixed / (4 * kMixThreads);

int64_t slices_of(int64_t cols) {
  return (cols + kSlice - 1) / kSlice;
}

// Up to four values, zeros behind the `left` ones; `whole`: in one load.
template <class V>
__device__ void load_some(const V* from, int64_t left, bool whole, float* to) {
  if (whole) return load_four(from, to);
  for (int i = 0; i < 4; ++i) to[i] = i < left ? get(from[i]) : 0.0f;
}

template <class V>
__device__ void store_some(const float* from, int64_t left, bool whole, V* to) {
  if (whole) return store_four(from, to);
  for (int i = 0; i < 4; ++i) {
    if (i < left) to[i] = put<V>(from[i]);
  }
}

// `vectors`: fn is f32 of whole slices.
// partial[token][slice][row]: fn[row] . h over the slice; the last row is the sum of squares. The
// tokens of a block share one reading of fn.
template <class V, int kTokens, bool vectors>
__global__ void dots_kernel(PlainMatrix fn, int n, const V* h, float* partial) {
  wait_for_inputs();
  const int64_t cols = fn.cols;
  const int lane = threadIdx.x % 32;
  const int rows = static_cast<int>(fn.rows);
  const int first = blockIdx.y * kTokens;
  const int64_t begin = int64_t{blockIdx.x} * kSlice + 4 * lane;
  const auto k_of = [&](int i) { return begin + i / 4 * 128 + i % 4; };
  float x[kTokens][kPerLane];
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const V* from = h + (first + t) * cols;
    if (vectors && first + t < n) {
      load_four(from + begin, x[t]);
      load_four(from + begin + 128, x[t] + 4);
      continue;
    }
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      x[t][i] = first + t < n && k_of(i) < cols ? get(from[k_of(i)]) : 0.0f;
    }
  }
#pragma unroll 4
  for (int row = threadIdx.x / 32; row <= rows; row += kWarps) {
    float w[kPerLane];
    if (row < rows && vectors) {
      const auto* from = reinterpret_cast<const float4*>(fn.data + row * fn.row_bytes) + begin / 4;
      reinterpret_cast<float4&>(w[0]) = __ldg(from);
      reinterpret_cast<float4&>(w[4]) = __ldg(from + 32);
    } else {
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        w[i] = row < rows && k_of(i) < cols ? weight_at(fn, row, k_of(i)) : 0.0f;
      }
    }
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) sum = fmaf(row < rows ? w[i] : x[t][i], x[t][i], sum);
      sum = warp_sum(sum);
      if (lane == 0 && first + t < n) {
        partial[(int64_t{first + t} * gridDim.x + blockIdx.x) * (rows + 1) + row] = sum;
      }
    }
  }
}

// Two blocks per token, which both add the slices: one makes all coefficients for mix_out, the
// other needs the first ones only, for x = rms(bf(sum_j pre_j h_j)). The head has no coefficients.
template <class V, bool head>
__global__ void __launch_bounds__(kMixThreads, 1)
    mix_kernel(Mixing mixing, int rows, int64_t slices, int64_t d, const V* h, const float* partial,
               float* mix, V* x, const __grid_constant__ ArrangedInputs arranged) {
  wait_for_inputs();
  __shared__ float m[kMaxRows + 1];
  const int64_t token = blockIdx.x;
  const int64_t cols = mixing.streams * d;
  const float* from = partial + token * slices * (rows + 1);
  for (int row = threadIdx.x / 32; row <= rows; row += kMixWarps) {
    float sum = 0;
#pragma unroll 2
    for (int64_t s = threadIdx.x % 32; s < slices; s += 32) sum += from[s * (rows + 1) + row];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) m[row] = sum;
  }
  __syncthreads();
  const float r = inverse_root(m[rows] / static_cast<float>(cols) + mixing.norm_eps);
  __syncthreads();
  for (int row = threadIdx.x; row < rows; row += kMixThreads) m[row] *= r;
  __syncthreads();
  if (!head && blockIdx.y == 1) {
    if (threadIdx.x >= 32) return;
    mix_coefficients(mixing, m);
    __syncwarp();
    for (int row = threadIdx.x; row < rows; row += 32) mix[token * rows + row] = m[row];
    return;
  }
  if (threadIdx.x < mixing.streams) m[threadIdx.x] = pre_coefficient(mixing, m, threadIdx.x);
  __syncthreads();
  float squares = 0;
  float mixed[kMostQuads][4];
#pragma unroll
  for (int i = 0; i < kMostQuads; ++i) {
    const int64_t k = 4 * (int64_t{i} * kMixThreads + threadIdx.x);
    if (k >= d) break;
    float sum[4] = {};
    for (int j = 0; j < mixing.streams; ++j) {
      float v[4];
      load_some(h + token * cols + j * d + k, d - k, d % 4 == 0, v);
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[e] = fmaf(m[j], v[e], sum[e]);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      mixed[i][e] = rounded<V>(sum[e]);
      squares = fmaf(mixed[i][e], mixed[i][e], squares);
    }
  }
  const float scale = inverse_root(block_sum(squares) / static_cast<float>(d) + mixing.norm_eps);
#pragma unroll
  for (int i = 0; i < kMostQuads; ++i) {
    const int64_t k = 4 * (int64_t{i} * kMixThreads + threadIdx.x);
    if (k >= d) break;
    float gain[4];
    load_some(mixing.gain + k, d - k, d % 4 == 0, gain);
#pragma unroll
    for (int e = 0; e < 4; ++e) mixed[i][e] = rounded<V>(gain[e] * (mixed[i][e] * scale));
    store_some(mixed[i], d - k, d % 4 == 0, x + token * d + k);
    if constexpr (kStrict<V>) {
      if (arranged.ordered != nullptr) {
        arrange_inputs(arranged, threadIdx.x % 32, mixed[i], (token * d + k) / 128);
      }
    }
  }
}

// A thread per four values of all streams.
template <class V>
__global__ void mix_out_kernel(int streams, int64_t d, const V* y, const float* mix, V* h) {
  wait_for_inputs();
  const int64_t token = blockIdx.y;
  const int64_t k = 4 * (int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (k >= d) return;
  const bool whole = d % 4 == 0;
  const float* post = mix + token * streams * (streams + 2) + streams;
  const float* comb = post + streams;
  V* at = h + token * streams * d + k;
  float old[kMaxStreams][4];
#pragma unroll
  for (int j = 0; j < kMaxStreams; ++j) {
    if (j < streams) load_some(at + j * d, d - k, whole, old[j]);
  }
  float v[4];
  load_some(y + token * d + k, d - k, whole, v);
  for (int to = 0; to < streams; ++to) {
    float sum[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[e] = post[to] * v[e];
#pragma unroll
    for (int j = 0; j < kMaxStreams; ++j) {
      if (j >= streams) break;
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[e] = fmaf(comb[j * streams + to], old[j][e], sum[e]);
    }
    store_some(sum, d - k, whole, at + to * d);
  }
}

// A thread per value of all streams: the mean of them, or a common part added to each.
template <class V>
__global__ void mean_kernel(int streams, int64_t d, const V* h, int64_t stride, V* mean) {
  wait_for_inputs();
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= d) return;
  const float share = 1.0f / static_cast<float>(streams);
  float sum = 0;
  for (int j = 0; j < streams; ++j) {
    sum = fmaf(share, get(h[(int64_t{blockIdx.y} * streams + j) * d + k]), sum);
  }
  mean[blockIdx.y * stride + k] = put<V>(sum);
}

template <class V>
__global__ void join_kernel(int streams, int64_t d, const V* left, const V* right, V* h) {
  wait_for_inputs();
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= d) return;
  const int64_t at = int64_t{blockIdx.y} * d + k;
  h[at] = put<V>(get(right[at]) + get(left[blockIdx.y / streams * d + k]));
}

template <bool head>
void mix(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d, const void* h,
         float* scratch, float* mix_out, void* x, const ArrangedInputs& arranged) {
  if (n > kFewTokens && mixes_many(fn, mixing, d)) {
    return mix_many(at, fn, mixing, n, d, h, scratch, mix_out, x);
  }
  const int64_t slices = slices_of(fn.cols);
  const int rows = static_cast<int>(fn.rows);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const auto* from = static_cast<const V*>(h);
    const auto columns = static_cast<unsigned>(slices);
    const bool vectors = fn.format == PlainMatrix::kF32 && fn.cols % kSlice == 0;
    const auto run = [&](auto dots, int tokens) {
      start(at, dots, dim3(columns, blocks_for(n, tokens)), kThreads, 0, fn, n, from, scratch);
    };
    if (vectors) {
      run(dots_kernel<V, 1, true>, 1);
    } else {
      n <= kFewTokens ? run(dots_kernel<V, 1, false>, 1) : run(dots_kernel<V, 4, false>, 4);
    }
    start(at, mix_kernel<V, head>, dim3(n, head ? 1 : 2), kMixThreads, 0, mixing, rows, slices, d,
          from, scratch, mix_out, static_cast<V*>(x), arranged);
  });
}

}  // namespace

int64_t mixing_scratch(int64_t rows, int64_t cols, int n) {
  return n * slices_of(cols) * (rows + 1);
}

void mix_in(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d, const void* h,
            float* scratch, float* coefficients, void* x, const ArrangedInputs& arranged) {
  mix<false>(at, fn, mixing, n, d, h, scratch, coefficients, x, arranged);
}

void mix_head(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d,
              const void* h, float* scratch, void* x) {
  mix<true>(at, fn, mixing, n, d, h, scratch, nullptr, x, {});
}

void mix_out(Launch at, int streams, int n, int64_t d, const void* y, const float* mix, void* h) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const dim3 grid(blocks_for(d, 4 * kThreads), static_cast<unsigned>(n));
    start(at, mix_out_kernel<V>, grid, kThreads, 0, streams, d, static_cast<const V*>(y), mix,
          static_cast<V*>(h));
  });
}

void mean_streams(Launch at, int streams, int n, int64_t d, const void* h, int64_t stride,
                  void* mean) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, mean_kernel<V>, dim3(blocks_for(d, kThreads), static_cast<unsigned>(n)), kThreads, 0,
          streams, d, static_cast<const V*>(h), stride, static_cast<V*>(mean));
  });
}

void join_streams(Launch at, int streams, int n, int64_t d, const void* left, const void* right,
                  void* h) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, join_kernel<V>, dim3(blocks_for(d, kThreads), static_cast<unsigned>(n * streams)),
          kThreads, 0, streams, d, static_cast<const V*>(left), static_cast<const V*>(right),
          static_cast<V*>(h));
  });
}

}  // namespace ds4::ops::cuda
