// Query heads in place, raw KV rows and compressed rows (model.md 3.4 steps 2-4, 3.5, 3.6 step 1).
#include <algorithm>

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kHeadWarps = 4;

// A warp per head, the head in shared memory.
template <class V>
__global__ void finish_queries_kernel(int64_t n_heads, int heads, int dim, float eps,
                                      const float* rotation, int rope, V* q) {
  wait_for_inputs();
  extern __shared__ float memory[];
  const int lane = threadIdx.x % 32;
  float* x = memory + threadIdx.x / 32 * dim;
  const int64_t index = int64_t{blockIdx.x} * kHeadWarps + threadIdx.x / 32;
  if (index >= n_heads) return;
  V* head = q + index * dim;
  float sum = 0;
  for (int d = lane; d < dim; d += 32) {
    x[d] = get(head[d]);
    sum += rounded<V>(x[d] * x[d]);
  }
  const float scale = head_scale<V>(warp_sum(sum), dim, eps);
  for (int d = lane; d < dim; d += 32) x[d] = rounded<V>(x[d] * scale);
  __syncwarp();
  rotate_tail<V>(x, dim, rope / 2, rotation + index / heads * rope, lane, 32);
  __syncwarp();
  for (int d = lane; d < dim; d += 32) head[d] = put<V>(x[d]);
}

template <class V>
__global__ void finish_index_queries_kernel(int64_t n_heads, int heads, int dim, bool simulate,
                                            const float* rotation, int rope, V* iq) {
  wait_for_inputs();
  extern __shared__ float memory[];
  const int lane = threadIdx.x % 32;
  float* x = memory + threadIdx.x / 32 * dim;
  const int64_t index = int64_t{blockIdx.x} * kHeadWarps + threadIdx.x / 32;
  if (index >= n_heads) return;
  V* head = iq + index * dim;
  for (int d = lane; d < dim; d += 32) x[d] = get(head[d]);
  __syncwarp();
  rotate_tail<V>(x, dim, rope / 2, rotation + index / heads * rope, lane, 32);
  hadamard<V>(x, dim, lane);
  for (int begin = 0; begin < dim; begin += kIndexScaleBlock) {
    const int d = begin + lane;
    float v = d < dim ? x[d] : 0.0f;
    if (simulate) {
      const float scale = e8m0_value(q4_scale(warp_max(fabsf(v))));
      v = e2m1_value(e2m1_code(v * (1 / scale))) * scale;
    }
    if (d < dim) head[d] = put<V>(v);
  }
}

// x [dim] in shared memory := its norm with gain, tail rotated.
template <class V>
__device__ void norm_and_rotate(float* x, int dim, const float* gain, float eps, int pairs,
                                const float* table) {
  float sum = 0;
  for (int d = threadIdx.x; d < dim; d += kThreads) sum = fmaf(x[d], x[d], sum);
  const float scale = inverse_root(block_sum(sum) / static_cast<float>(dim) + eps);
  for (int d = threadIdx.x; d < dim; d += kThreads) x[d] = rounded<V>(gain[d] * (x[d] * scale));
  __syncthreads();
  rotate_tail<V>(x, dim, pairs, table, threadIdx.x, kThreads);
  __syncthreads();
}

template <class V>
__global__ void store_raw_rows_kernel(const float* gain, float eps,
                                      const __grid_constant__ Places places, const float* rotation,
                                      int rope, const V* kv,
                                      const __grid_constant__ RowStores rows) {
  wait_for_inputs();
  extern __shared__ float x[];
  const int64_t i = places.row[0] + blockIdx.x;
  const int dim = rows.shape.dim;
  for (int d = threadIdx.x; d < dim; d += kThreads) x[d] = get(kv[i * dim + d]);
  __syncthreads();
  norm_and_rotate<V>(x, dim, gain, eps, rope / 2, rotation + i * rope);
  const Place place = place_of(places, static_cast<int>(i));
  encode_row(rows.shape, x, row_at(rows, place.segment, place.position));
}

constexpr int kPoolTokens = 8;
constexpr int kPoolDims = 4;  // of a thread, kThreads apart
using Pool = float[kPoolTokens][kPoolDims];

// Positions fit 32 bits, whose division is a fifth of 64 bits'.
__device__ int64_t remainder_of(int64_t position, int64_t divisor) {
  return static_cast<uint32_t>(position) % static_cast<uint32_t>(divisor);
}

// A block per completed row and segment: pool by a softmax per dim, norm, rotate to the block's
// first position.
template <class V>
__device__ void make_row(const Compression& c, const Places& places, int s, int index,
                         const float* all_kv, const float* all_score) {
  extern __shared__ float x[];  // [dim], then the rotation table
  float* table = x + c.dim;
  const int64_t first = first_of(places, s);
  const int64_t block = first / c.ratio + index;
  if (block >= (first + places.row[s + 1] - places.row[s]) / c.ratio) return;
  const int64_t width = c.width;
  const float* kv = all_kv + places.row[s] * width;
  const float* score = all_score + places.row[s] * width;
  const float* tail_kv = c.tail_kv[s];
  const float* tail_score = c.tail_score[s];
  const int64_t slots = c.tail_slots[s];
  // Of the previous block the first half of the columns counts, of the current one the second;
  // block 0 has no previous one.
  const int64_t begin = (block - (c.overlap && block > 0 ? 1 : 0)) * c.ratio;
  const int64_t own = block * c.ratio;
  const int64_t end = own + c.ratio;
  const int64_t half = c.overlap ? c.dim : 0;
  // Loads of kPoolTokens tokens and kPoolDims dims are on their way together: one after the other,
  // 128 tokens take 0.6 ms. What lies outside is loaded again from the edge and left out.
  for (int base = threadIdx.x; base < c.dim; base += kThreads * kPoolDims) {
    // Rows of tokens before the chunk come from the tail, which has the position embedding already.
    const auto load = [&](int64_t t, Pool& weight, Pool* key) {
#pragma unroll
      for (int j = 0; j < kPoolTokens; ++j) {
        const int64_t token = min(t + j, end - 1);
        const bool old = token < first;
        const int64_t row = (old ? remainder_of(token, slots) : token - first) * width;
        const int64_t column = token < own ? 0 : half;
        const float* scores = (old ? tail_score : score) + row + column;
        const float* keys = (old ? tail_kv : kv) + row + column;
        const float* ape = c.ape + remainder_of(token, c.ratio) * width + column;
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) {
          const int d = min(base + i * kThreads, c.dim - 1);
          weight[j][i] = old ? scores[d] : scores[d] + ape[d];
          if (key) (*key)[j][i] = keys[d];
        }
      }
    };
    float top[kPoolDims];
    float total[kPoolDims] = {};
    float sum[kPoolDims] = {};
    for (float& value : top) value = -INFINITY;
    for (int64_t t = begin; t < end; t += kPoolTokens) {
      Pool weight;
      load(t, weight, nullptr);
#pragma unroll
      for (int j = 0; j < kPoolTokens; ++j) {
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) top[i] = fmaxf(top[i], weight[j][i]);
      }
    }
    for (int64_t t = begin; t < end; t += kPoolTokens) {
      Pool weight;
      Pool key;
      load(t, weight, &key);
#pragma unroll
      for (int j = 0; j < kPoolTokens; ++j) {
        if (t + j >= end) break;
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) {
          const float e = expf(weight[j][i] - top[i]);
          total[i] += e;
          sum[i] = fmaf(e, key[j][i], sum[i]);
        }
      }
    }
    for (int i = 0; i < kPoolDims; ++i) {
      const int d = base + i * kThreads;
      if (d < c.dim) x[d] = rounded<V>(sum[i] / total[i]);
    }
  }
  for (int i = threadIdx.x; i < c.pairs; i += kThreads) {
    const double angle = __fmul_rn(static_cast<float>(block * c.ratio), c.frequencies[i]);
    table[i] = static_cast<float>(cos(angle));
    table[c.pairs + i] = static_cast<float>(sin(angle));
  }
  __syncthreads();
  norm_and_rotate<V>(x, c.dim, c.gain, c.eps, c.pairs, table);
  if (c.index && threadIdx.x < 32) hadamard<V>(x, c.dim, threadIdx.x);
  __syncthreads();
  encode_row(c.rows.shape, x, row_at(c.rows, s, block));
}

// Token `index` from the end of a segment into its rings.
__device__ void keep_tail(const Compression& c, const Places& places, int s, int index,
                          const float* kv, const float* score) {
  const int64_t row = places.row[s + 1] - 1 - index;
  if (row < places.row[s] || index >= c.tail_slots[s]) return;
  const int64_t token = first_of(places, s) + (row - places.row[s]);
  const int64_t width = c.width;
  const int64_t to = token % c.tail_slots[s] * width;
  for (int64_t k = threadIdx.x; k < width; k += kThreads) {
    c.tail_kv[s][to + k] = kv[row * width + k];
    c.tail_score[s][to + k] = score[row * width + k] + c.ape[token % c.ratio * width + k];
  }
}

// Blocks 0 .. rows - 1 make compressed rows, those behind them keep tails.
template <class V>
__global__ void compress_kernel(const __grid_constant__ Compression c,
                                const __grid_constant__ Places places, int rows, const float* kv,
                                const float* score) {
  wait_for_inputs();
  const auto index = static_cast<int>(blockIdx.x);
  const auto s = static_cast<int>(blockIdx.y);
  if (index < rows) {
    make_row<V>(c, places, s, index, kv, score);
  } else {
    keep_tail(c, places, s, index - rows, kv, score);
  }
}

}  // namespace

void finish_queries(Launch at, int heads, int64_t dim, float eps, int n, const float* rotation,
                    int rope, void* q) {
  const int64_t n_heads = int64_t{n} * heads;
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, finish_queries_kernel<V>, blocks_for(n_heads, kHeadWarps), kHeadWarps * 32,
          static_cast<size_t>(kHeadWarps * dim) * 4, n_heads, heads, static_cast<int>(dim), eps,
          rotation, rope, static_cast<V*>(q));
  });
}

void finish_index_queries(Launch at, int heads, int dim, bool simulate, int n,
                          const float* rotation, int rope, void* iq) {
  const int64_t n_heads = int64_t{n} * heads;
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, finish_index_queries_kernel<V>, blocks_for(n_heads, kHeadWarps), kHeadWarps * 32,
          static_cast<size_t>(kHeadWarps * dim) * 4, n_heads, heads, dim, simulate, rotation, rope,
          static_cast<V*>(iq));
  });
}

void store_raw_rows(Launch at, const float* gain, float eps, const Places& places,
                    const float* rotation, int rope, const void* kv, const RowStores& rows) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, store_raw_rows_kernel<V>, static_cast<unsigned>(places.rows()), kThreads,
          static_cast<size_t>(rows.shape.dim) * 4, gain, eps, places, rotation, rope,
          static_cast<const V*>(kv), rows);
  });
}

void compress(Launch at, const Compression& c, const Places& places, const float* kv,
              const float* score) {
  int64_t most_rows = 0;
  int64_t most_kept = 0;
  // Rows read tails that the same tokens may overwrite, unless these are few.
  bool apart = false;
  for (int s = 0; s < places.count; ++s) {
    const int64_t first = places.first[s];
    const int64_t n = places.row[s + 1] - places.row[s];
    // Where only the device knows the position, as many as n tokens can complete.
    most_rows = std::max(most_rows, places.origin[s] ? (n + c.ratio - 1) / c.ratio
                                                     : (first + n) / c.ratio - first / c.ratio);
    most_kept = std::max(most_kept, std::min(n, c.tail_slots[s]));
    apart |= n > c.tail_slots[s] - (c.overlap ? 2 : 1) * c.ratio + 1;
  }
  const auto launch = [&](int64_t rows, int64_t kept) {
    with_values(at, [&](auto v) {
      start(at, compress_kernel<decltype(v)>,
            dim3(static_cast<unsigned>(rows + kept), static_cast<unsigned>(places.count)), kThreads,
            static_cast<size_t>(c.dim + 2 * c.pairs) * 4, c, places, static_cast<int>(rows), kv,
            score);
    });
  };
  if (!apart) return launch(most_rows, most_kept);
  if (most_rows > 0) launch(most_rows, 0);
  launch(0, most_kept);
}

}  // namespace ds4::ops::cuda
