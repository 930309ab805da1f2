// Hyper-connections (model.md 3.2, 3.8): the coefficients of a token come from dots over all its
// streams, cut into slices so that one token feeds the whole chip; a second kernel adds the slices
// in order, makes the coefficients and mixes.
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kSlice = 512;  // k per block of the first kernel
constexpr int kTokens = 4;   // that share one reading of fn
constexpr int kMaxRows = kMaxStreams * (kMaxStreams + 2);

int64_t slices_of(int64_t cols) {
  return (cols + kSlice - 1) / kSlice;
}

// partial[token][slice][row]: fn[row] . h over the slice; the last row is the sum of squares.
template <class V>
__global__ void dots_kernel(PlainMatrix fn, int n, const V* h, float* partial) {
  __shared__ float part[kTokens][kSlice];
  const int64_t cols = fn.cols;
  const int64_t begin = int64_t{blockIdx.x} * kSlice;
  const int count = static_cast<int>(cols - begin < kSlice ? cols - begin : kSlice);
  const int first = blockIdx.y * kTokens;
  const int tokens = min(kTokens, n - first);
  for (int i = threadIdx.x; i < kTokens * kSlice; i += kThreads) {
    const int token = i / kSlice;
    const int k = i % kSlice;
    part[token][k] =
        token < tokens && k < count ? get(h[(first + token) * cols + begin + k]) : 0.0f;
  }
  __syncthreads();
  const int lane = threadIdx.x % 32;
  const int rows = static_cast<int>(fn.rows);
  for (int row = threadIdx.x / 32; row <= rows; row += kWarps) {
    float sum[kTokens] = {};
    for (int k = lane; k < count; k += 32) {
      const float w = row < rows ? weight_at(fn, row, begin + k) : 0.0f;
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
        const float v = part[t][k];
        sum[t] = fmaf(row < rows ? w : v, v, sum[t]);
      }
    }
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const float total = warp_sum(sum[t]);
      if (lane == 0 && t < tokens) {
        partial[(int64_t{first + t} * gridDim.x + blockIdx.x) * (rows + 1) + row] = total;
      }
    }
  }
}

__device__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// Rows sum over k (the destination), columns over j (the source); the sums get eps.
template <int kStreams>
__device__ void sinkhorn(float* c, int streams, int iterations, float eps) {
  const int n = kStreams ? kStreams : streams;
  const auto rows = [&](bool softmax) {
#pragma unroll
    for (int j = 0; j < n; ++j) {
      float sum = 0;
#pragma unroll
      for (int k = 0; k < n; ++k) sum += c[j * n + k];
#pragma unroll
      for (int k = 0; k < n; ++k) {
        c[j * n + k] = softmax ? c[j * n + k] / sum + eps : c[j * n + k] / (sum + eps);
      }
    }
  };
  for (int j = 0; j < n; ++j) {
    float top = c[j * n];
    for (int k = 1; k < n; ++k) top = fmaxf(top, c[j * n + k]);
    for (int k = 0; k < n; ++k) c[j * n + k] = expf(c[j * n + k] - top);
  }
  for (int i = 0; i < iterations; ++i) {
    rows(i == 0);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < n; ++j) sum += c[j * n + k];
#pragma unroll
      for (int j = 0; j < n; ++j) c[j * n + k] /= sum + eps;
    }
  }
}

__device__ void mix_coefficients(const Mixing& mixing, float* m) {
  const int n = mixing.streams;
  float* c = m + 2 * n;
  for (int j = 0; j < n; ++j) {
    m[j] = sigmoid(m[j] * mixing.scale[0] + mixing.base[j]) + mixing.mix_eps;
    m[n + j] = 2 * sigmoid(m[n + j] * mixing.scale[1] + mixing.base[n + j]);
  }
  if (n == 4) {
    float r[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) r[i] = c[i] * mixing.scale[2] + mixing.base[8 + i];
    sinkhorn<4>(r, n, mixing.iterations, mixing.mix_eps);
#pragma unroll
    for (int i = 0; i < 16; ++i) c[i] = r[i];
  } else {
    for (int i = 0; i < n * n; ++i) c[i] = c[i] * mixing.scale[2] + mixing.base[2 * n + i];
    sinkhorn<0>(c, n, mixing.iterations, mixing.mix_eps);
  }
}

// A block per token: coefficients (all of them, or the head's), then x = rms(bf(sum_j pre_j h_j)).
template <class V, bool head>
__global__ void mix_kernel(Mixing mixing, int rows, int64_t slices, int64_t d, const V* h,
                           const float* partial, float* mix, V* x) {
  __shared__ float m[kMaxRows + 1];
  extern __shared__ float mixed[];  // [d]
  const int64_t token = blockIdx.x;
  const int64_t cols = mixing.streams * d;
  const float* from = partial + token * slices * (rows + 1);
  for (int row = threadIdx.x; row <= rows; row += kThreads) {
    float sum = 0;
    for (int64_t s = 0; s < slices; ++s) sum += from[s * (rows + 1) + row];
    m[row] = sum;
  }
  __syncthreads();
  const float r = inverse_root(m[rows] / static_cast<float>(cols) + mixing.norm_eps);
  __syncthreads();
  for (int row = threadIdx.x; row < rows; row += kThreads) m[row] *= r;
  __syncthreads();
  if (threadIdx.x == 0) {
    if constexpr (head) {
      for (int j = 0; j < mixing.streams; ++j) {
        m[j] = sigmoid(m[j] * mixing.scale[0] + mixing.base[j]) + mixing.mix_eps;
      }
    } else {
      mix_coefficients(mixing, m);
    }
  }
  __syncthreads();
  if constexpr (!head) {
    for (int row = threadIdx.x; row < rows; row += kThreads) mix[token * rows + row] = m[row];
  }
  float squares = 0;
  for (int64_t k = threadIdx.x; k < d; k += kThreads) {
    float sum = 0;
    for (int j = 0; j < mixing.streams; ++j) {
      sum = fmaf(m[j], get(h[token * cols + j * d + k]), sum);
    }
    sum = rounded<V>(sum);
    mixed[k] = sum;
    squares = fmaf(sum, sum, squares);
  }
  const float scale = inverse_root(block_sum(squares) / static_cast<float>(d) + mixing.norm_eps);
  for (int64_t k = threadIdx.x; k < d; k += kThreads) {
    x[token * d + k] = put<V>(mixing.gain[k] * (mixed[k] * scale));
  }
}

template <class V>
__global__ void mix_out_kernel(int streams, int64_t d, const V* y, const float* mix, V* h) {
  const int64_t token = blockIdx.y;
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= d) return;
  const float* post = mix + token * streams * (streams + 2) + streams;
  const float* comb = post + streams;
  V* at = h + token * streams * d + k;
  float old[kMaxStreams];
#pragma unroll
  for (int j = 0; j < kMaxStreams; ++j) {
    if (j < streams) old[j] = get(at[j * d]);
  }
  const float v = get(y[token * d + k]);
  for (int to = 0; to < streams; ++to) {
    float sum = post[to] * v;
#pragma unroll
    for (int j = 0; j < kMaxStreams; ++j) {
      if (j < streams) sum = fmaf(comb[j * streams + to], old[j], sum);
    }
    at[to * d] = put<V>(sum);
  }
}

// A thread per value of all streams: the mean of them, or a common part added to each.
template <class V>
__global__ void mean_kernel(int streams, int64_t d, const V* h, int64_t stride, V* mean) {
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
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= d) return;
  const int64_t at = int64_t{blockIdx.y} * d + k;
  h[at] = put<V>(get(right[at]) + get(left[blockIdx.y / streams * d + k]));
}

template <bool head>
void mix(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d, const void* h,
         float* scratch, float* mix_out, void* x) {
  const int64_t slices = slices_of(fn.cols);
  const int rows = static_cast<int>(fn.rows);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const dim3 grid(static_cast<unsigned>(slices), blocks_for(n, kTokens));
    dots_kernel<V><<<grid, kThreads, 0, at.stream>>>(fn, n, static_cast<const V*>(h), scratch);
    mix_kernel<V, head><<<n, kThreads, static_cast<size_t>(d) * 4, at.stream>>>(
        mixing, rows, slices, d, static_cast<const V*>(h), scratch, mix_out, static_cast<V*>(x));
  });
}

}  // namespace

int64_t mixing_scratch(int64_t rows, int64_t cols, int n) {
  return n * slices_of(cols) * (rows + 1);
}

void mix_in(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d, const void* h,
            float* scratch, float* coefficients, void* x) {
  mix<false>(at, fn, mixing, n, d, h, scratch, coefficients, x);
}

void mix_head(Launch at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d,
              const void* h, float* scratch, void* x) {
  mix<true>(at, fn, mixing, n, d, h, scratch, nullptr, x);
}

void mix_out(Launch at, int streams, int n, int64_t d, const void* y, const float* mix, void* h) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const dim3 grid(blocks_for(d, kThreads), static_cast<unsigned>(n));
    mix_out_kernel<V><<<grid, kThreads, 0, at.stream>>>(streams, d, static_cast<const V*>(y), mix,
                                                        static_cast<V*>(h));
  });
}

void mean_streams(Launch at, int streams, int n, int64_t d, const void* h, int64_t stride,
                  void* mean) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    mean_kernel<V>
        <<<dim3(blocks_for(d, kThreads), static_cast<unsigned>(n)), kThreads, 0, at.stream>>>(
            streams, d, static_cast<const V*>(h), stride, static_cast<V*>(mean));
  });
}

void join_streams(Launch at, int streams, int n, int64_t d, const void* left, const void* right,
                  void* h) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    join_kernel<V><<<dim3(blocks_for(d, kThreads), static_cast<unsigned>(n * streams)), kThreads, 0,
                     at.stream>>>(streams, d, static_cast<const V*>(left),
                                  static_cast<const V*>(right), static_cast<V*>(h));
  });
}

}  // namespace ds4::ops::cuda
