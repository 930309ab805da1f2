// Hyper-connections (model.md 3.2, 3.8): the coefficients of a token come from dots over all its
// streams, cut into slices so that one token feeds the whole chip; a second kernel adds the slices
// in order, makes the coefficients and mixes.
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kPerLane = 8;            // k of a lane, two vectors of four 128 apart
constexpr int kSlice = 32 * kPerLane;  // k per block of the first kernel
constexpr int kFewTokens = 8;          // so many have a block each
constexpr int kManyTokens = 32;        // tokens per block of the first kernel in prefill
constexpr int kOwnRows = 4;            // rows that a warp has at a time there
constexpr int kMixThreads = 1024;
constexpr int kMixWarps = kMixThreads / 32;
constexpr int kMostQuads = kMostMixed / (4 * kMixThreads);
constexpr int kMaxRows = kMaxStreams * (kMaxStreams + 2);

int64_t slices_of(int64_t cols) {
  return (cols + kSlice - 1) / kSlice;
}

__device__ void load_four(const float* from, float* to) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}
__device__ void load_four(const Bf16* from, float* to) {
  const uint2 v = *reinterpret_cast<const uint2*>(from);
  to[0] = __uint_as_float(v.x << 16);
  to[1] = __uint_as_float(v.x & 0xffff0000u);
  to[2] = __uint_as_float(v.y << 16);
  to[3] = __uint_as_float(v.y & 0xffff0000u);
}

// Up to four values, zeros behind the `left` ones; `whole`: in one load.
template <class V>
__device__ void load_some(const V* from, int64_t left, bool whole, float* to) {
  if (whole) return load_four(from, to);
  for (int i = 0; i < 4; ++i) to[i] = i < left ? get(from[i]) : 0.0f;
}

__device__ void store_four(const float* from, float* to) {
  *reinterpret_cast<float4*>(to) = {from[0], from[1], from[2], from[3]};
}
__device__ void store_four(const float* from, Bf16* to) {
  __align__(8) Bf16 v[4];
  for (int i = 0; i < 4; ++i) v[i] = put<Bf16>(from[i]);
  *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(v);
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

// Four sums over a warp, each added up in the order of warp_sum(): lane l gets the one of value
// l / 8.
__device__ float warp_sum_of_four(const float (&v)[kOwnRows]) {
  const int lane = threadIdx.x % 32;
  const auto half = [&](float low, float high, int distance) {
    const bool upper = lane & distance;
    return (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, distance);
  };
  float sum = half(half(v[0], v[2], 16), half(v[1], v[3], 16), 8);
#pragma unroll
  for (int distance = 4; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  }
  return sum;
}

// The same for many tokens, which wait in shared memory while a warp keeps its rows of fn.
template <class V>
__global__ void __launch_bounds__(kThreads)
    many_dots_kernel(PlainMatrix fn, int n, const V* h, float* partial) {
  wait_for_inputs();
  __shared__ __align__(16) V tile[kManyTokens][kSlice];
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int rows = static_cast<int>(fn.rows);
  const int first = blockIdx.y * kManyTokens;
  const int tokens = min(kManyTokens, n - first);
  const int64_t begin = int64_t{blockIdx.x} * kSlice;
  constexpr int kQuads = kSlice / 4;
  for (int i = threadIdx.x; i < tokens * kQuads; i += kThreads) {
    float v[4];
    load_four(h + (first + i / kQuads) * fn.cols + begin + i % kQuads * 4, v);
    store_four(v, &tile[i / kQuads][i % kQuads * 4]);
  }
  __syncthreads();
  for (int base = warp; base <= rows; base += kOwnRows * kWarps) {
    float w[kOwnRows][kPerLane] = {};
#pragma unroll
    for (int i = 0; i < kOwnRows; ++i) {
      const int row = base + i * kWarps;
      if (row >= rows) break;
      const auto* from = reinterpret_cast<const float*>(fn.data + row * fn.row_bytes) + begin;
      load_four(from + 4 * lane, w[i]);
      load_four(from + 4 * lane + 128, w[i] + 4);
    }
#pragma unroll 2
    for (int t = 0; t < tokens; ++t) {
      float x[kPerLane];
      load_four(&tile[t][4 * lane], x);
      load_four(&tile[t][4 * lane + 128], x + 4);
      float sums[kOwnRows] = {};
#pragma unroll
      for (int i = 0; i < kOwnRows; ++i) {
        const bool squares = base + i * kWarps == rows;
#pragma unroll
        for (int k = 0; k < kPerLane; ++k) {
          sums[i] = fmaf(squares ? x[k] : w[i][k], x[k], sums[i]);
        }
      }
      const float sum = warp_sum_of_four(sums);
      const int row = base + lane / 8 * kWarps;
      if (lane % 8 == 0 && row <= rows) {
        partial[(int64_t{first + t} * gridDim.x + blockIdx.x) * (rows + 1) + row] = sum;
      }
    }
  }
}

__device__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// The stream matrix of a token, lane 4j + k with C[j][k] (four streams). Rows sum over k (the
// destination), columns over j (the source), in order; the sums get eps.
__device__ float sinkhorn_lanes(float c, int iterations, float eps) {
  const auto total = [&](int first, int step) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += __shfl_sync(0xffffffffu, c, first + i * step);
    return sum;
  };
  const int lane = threadIdx.x % 16;
  const int row = lane / 4 * 4;
  const int column = lane % 4;
  float top = c;
#pragma unroll
  for (int i = 0; i < 4; ++i) top = fmaxf(top, __shfl_sync(0xffffffffu, c, row + i));
  c = expf(c - top);
  c = c / total(row, 1) + eps;
  c /= total(column, 4) + eps;
  for (int i = 1; i < iterations; ++i) {
    c /= total(row, 1) + eps;
    c /= total(column, 4) + eps;
  }
  return c;
}

// The same by one thread for any number of streams.
__device__ __noinline__ void sinkhorn(float* c, int n, int iterations, float eps) {
  for (int j = 0; j < n; ++j) {
    float top = c[j * n];
    for (int k = 1; k < n; ++k) top = fmaxf(top, c[j * n + k]);
    for (int k = 0; k < n; ++k) c[j * n + k] = expf(c[j * n + k] - top);
  }
  for (int i = 0; i < iterations; ++i) {
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum += c[j * n + k];
      for (int k = 0; k < n; ++k) {
        c[j * n + k] = i == 0 ? c[j * n + k] / sum + eps : c[j * n + k] / (sum + eps);
      }
    }
    for (int k = 0; k < n; ++k) {
      float sum = 0;
      for (int j = 0; j < n; ++j) sum += c[j * n + k];
      for (int j = 0; j < n; ++j) c[j * n + k] /= sum + eps;
    }
  }
}

// By the first warp of a block, m in shared memory.
__device__ float pre_coefficient(const Mixing& mixing, const float* m, int j) {
  return sigmoid(m[j] * mixing.scale[0] + mixing.base[j]) + mixing.mix_eps;
}

__device__ void mix_coefficients(const Mixing& mixing, float* m) {
  const int n = mixing.streams;
  const int lane = threadIdx.x;
  float* c = m + 2 * n;
  if (lane < n) {
    m[lane] = pre_coefficient(mixing, m, lane);
    m[n + lane] = 2 * sigmoid(m[n + lane] * mixing.scale[1] + mixing.base[n + lane]);
  }
  if (n == 4) {
    const int i = lane % 16;
    const float v = sinkhorn_lanes(c[i] * mixing.scale[2] + mixing.base[8 + i], mixing.iterations,
                                   mixing.mix_eps);
    __syncwarp();
    if (lane < 16) c[i] = v;
  } else if (lane == 0) {
    for (int i = 0; i < n * n; ++i) c[i] = c[i] * mixing.scale[2] + mixing.base[2 * n + i];
    sinkhorn(c, n, mixing.iterations, mixing.mix_eps);
  }
}

// Two blocks per token, which both add the slices: one makes all coefficients for mix_out, the
// other needs the first ones only, for x = rms(bf(sum_j pre_j h_j)). The head has no coefficients.
template <class V, bool head>
__global__ void __launch_bounds__(kMixThreads, 1)
    mix_kernel(Mixing mixing, int rows, int64_t slices, int64_t d, const V* h, const float* partial,
               float* mix, V* x) {
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
    for (int e = 0; e < 4; ++e) mixed[i][e] = gain[e] * (mixed[i][e] * scale);
    store_some(mixed[i], d - k, d % 4 == 0, x + token * d + k);
  }
}

template <class V>
__global__ void mix_out_kernel(int streams, int64_t d, const V* y, const float* mix, V* h) {
  wait_for_inputs();
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
         float* scratch, float* mix_out, void* x) {
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
      n <= kFewTokens ? run(dots_kernel<V, 1, true>, 1) : run(many_dots_kernel<V>, kManyTokens);
    } else {
      n <= kFewTokens ? run(dots_kernel<V, 1, false>, 1) : run(dots_kernel<V, 4, false>, 4);
    }
    start(at, mix_kernel<V, head>, dim3(n, head ? 1 : 2), kMixThreads, 0, mixing, rows, slices, d,
          from, scratch, mix_out, static_cast<V*>(x));
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
