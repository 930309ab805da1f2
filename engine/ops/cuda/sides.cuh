// Small work that a step has between its products: coefficients of hyper-connections (model.md 3.2
// steps 1 to 4), query heads in place, raw KV rows and compressed rows (3.4 steps 2-4, 3.5, 3.6
// step 1), as blocks of a launch of their own or beside the tiles of a product.
#pragma once

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mixing.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {

inline constexpr int kSideThreads = 256;
inline constexpr int kSideWarps = kSideThreads / 32;

/// Dynamic shared memory of a block, Sides::shared bytes.
__device__ __forceinline__ float* side_memory() {
  extern __shared__ uint4 memory[];
  return reinterpret_cast<float*>(memory);
}

inline constexpr int kMixRows = kMixedStreams + kMixedDots;
inline constexpr int kDotsOfWarp = 5;
inline constexpr int kDotWarps = kMixedDots / kDotsOfWarp;  // of a slice
__host__ __device__ inline int dot_slices(const Coefficients& w) {
  return static_cast<int>(kMixedStreams * w.d / kSlice);
}

// kDotsOfWarp dots over a slice by a warp, for all tokens, which share one reading of fn.
__device__ inline void make_dots(const Coefficients& w, int block) {
  const int lane = threadIdx.x % 32;
  const int own = block * kSideWarps + static_cast<int>(threadIdx.x) / 32;
  const int slice = own / kDotWarps;
  const int first = own % kDotWarps * kDotsOfWarp;
  const int64_t cols = kMixedStreams * w.d;
  const int64_t k = int64_t{slice} * kSlice + 4 * lane;
  float weights[kDotsOfWarp][kPerLane];
#pragma unroll
  for (int i = 0; i < kDotsOfWarp; ++i) {
    const auto* at = reinterpret_cast<const float4*>(w.fn + (kMixedStreams + first + i) * cols + k);
    reinterpret_cast<float4&>(weights[i][0]) = __ldg(at);
    reinterpret_cast<float4&>(weights[i][4]) = __ldg(at + 32);
  }
  for (int token = 0; token < w.n; ++token) {
    const Bf16* at = static_cast<const Bf16*>(w.h) + token * cols + k;
    float v[kPerLane];
    load_four(at, v);
    load_four(at + 128, v + 4);
    float sums[kSums] = {};
#pragma unroll
    for (int i = 0; i < kDotsOfWarp; ++i) {
#pragma unroll
      for (int e = 0; e < kPerLane; ++e) sums[i] = fmaf(weights[i][e], v[e], sums[i]);
    }
    const float sum = sums_of_eight(sums);
    if (lane % 4 == 0 && lane / 4 < kDotsOfWarp) {
      w.dots[(token * kMixedDots + first + lane / 4) * dot_slices(w) + slice] = sum;
    }
  }
}

// Dots `first` .. + 7 of a token by a warp, slices added in order, into m [kMixRows].
__device__ inline void add_dots(const Coefficients& w, int token, int first, float* m) {
  const int lane = threadIdx.x % 32;
  const int slices = dot_slices(w);
  const float* dots = w.dots + token * kMixedDots * slices;
  float added[kSums] = {};
  for (int s = lane; s < slices; s += 32) {
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      added[i] += __ldcg(dots + min(first + i, kMixedDots - 1) * slices + s);
    }
  }
  const float sum = sums_of_eight(added);
  const int dot = first + lane / 4;
  const float* mix = w.mix + token * kMixRows;
  if (lane % 4 == 0 && dot < kMixedDots) m[kMixedStreams + dot] = sum * mix[kMixedStreams];
  if (first == 0 && lane < kMixedStreams) m[lane] = mix[lane];
}

// A token by a block.
__device__ inline void finish_coefficients(const Coefficients& w, int token) {
  float* m = side_memory();  // [kMixRows]
  const auto warp = static_cast<int>(threadIdx.x) / 32;
  if (warp * kSums < kMixedDots) add_dots(w, token, warp * kSums, m);
  __syncthreads();
  if (warp > 0) return;
  mix_coefficients(w.mixing, m);
  __syncwarp();
  if (threadIdx.x < kMixRows) w.mix[token * kMixRows + threadIdx.x] = m[threadIdx.x];
}

// Value lane + 32 * i of a head with its neighbour turned by the head's angles, where it belongs to
// the tail that is; the whole warp.
template <class V>
__device__ __forceinline__ void rotate_lane(const QueryHeads& w, const float* table, int i,
                                            float& v) {
  const int lane = threadIdx.x % 32;
  const int tail = w.dim - w.rope;
  if (32 * i + 31 < tail) return;
  const float other = __shfl_xor_sync(0xffffffffu, v, 1);
  const int in_tail = lane + 32 * i - tail;
  if (in_tail < 0 || in_tail >= w.rope) return;
  float re = in_tail % 2 ? other : v;
  float im = in_tail % 2 ? v : other;
  rotate_pair<V>(re, im, table[in_tail / 2], table[w.rope / 2 + in_tail / 2]);
  v = in_tail % 2 ? im : re;
}

// A head of all rows by a warp, in registers: a lane has every 32nd value.
template <class V>
__device__ void finish_head(const QueryHeads& w, V* head, const float* table) {
  constexpr int kOwn = (kMostHeadDim + 31) / 32;
  const int lane = threadIdx.x % 32;
  float v[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; ++i) v[i] = lane + 32 * i < w.dim ? get(head[lane + 32 * i]) : 0.0f;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) sum += rounded<V>(v[i] * v[i]);
  const float scale = head_scale<V>(warp_sum(sum), w.dim, w.eps);
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    v[i] = rounded<V>(v[i] * scale);
    rotate_lane<V>(w, table, i, v[i]);
    if (lane + 32 * i < w.dim) head[lane + 32 * i] = put<V>(v[i]);
  }
}

template <class V>
__device__ void finish_index_head(const QueryHeads& w, V* head, const float* table) {
  constexpr int kOwn = kMaxIndexDim / 32;
  const int lane = threadIdx.x % 32;
  float v[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; ++i) v[i] = lane + 32 * i < w.dim ? get(head[lane + 32 * i]) : 0.0f;
  const float factor = inverse_root(static_cast<float>(w.dim));
#pragma unroll
  for (int i = 0; i < kOwn; ++i) rotate_lane<V>(w, table, i, v[i]);
    // As hadamard(): neighbours first.
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    if (step >= w.dim) break;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float other = __shfl_xor_sync(0xffffffffu, v[i], step);
      v[i] = lane & step ? other - v[i] : v[i] + other;
    }
  }
#pragma unroll
  for (int step = 1; step < kOwn; step *= 2) {
    if (32 * step >= w.dim) break;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      if (i & step) continue;
      const float low = v[i];
      v[i] = low + v[i + step];
      v[i + step] = low - v[i + step];
    }
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    if (32 * i >= w.dim) break;
    const bool inside = lane + 32 * i < w.dim;
    float x = inside ? rounded<V>(v[i] * factor) : 0.0f;
    if (w.simulate) {
      const float scale = e8m0_value(q4_scale(warp_max(fabsf(x))));
      x = e2m1_value(e2m1_code(x * (1 / scale))) * scale;
    }
    if (inside) head[lane + 32 * i] = put<V>(x);
  }
}

// A warp per head. `ready`: called before anything that kernels write is read.
template <class V, class Ready>
__device__ void finish_heads(const QueryHeads& w, int block, const Ready& ready) {
  const int64_t index = int64_t{block} * kSideWarps + threadIdx.x / 32;
  // Heads of all rows fit 32 bits, whose division is a fifth of 64 bits'.
  const uint32_t row = static_cast<uint32_t>(index) / static_cast<uint32_t>(w.heads);
  V* head = static_cast<V*>(w.q) + index * w.dim;
  const float* table = w.rotation + int64_t{row} * w.rope;
  ready();
  if (index >= w.n_heads) return;
  if (w.index) {
    finish_index_head<V>(w, head, table);
  } else {
    finish_head<V>(w, head, table);
  }
}

// x [dim] in shared memory := its norm with gain, tail rotated.
template <class V>
__device__ void norm_and_rotate(float* x, int dim, const float* gain, float eps, int pairs,
                                const float* table) {
  float sum = 0;
  for (int d = threadIdx.x; d < dim; d += kSideThreads) sum = fmaf(x[d], x[d], sum);
  const float scale = inverse_root(block_sum(sum) / static_cast<float>(dim) + eps);
  for (int d = threadIdx.x; d < dim; d += kSideThreads) x[d] = rounded<V>(gain[d] * (x[d] * scale));
  __syncthreads();
  rotate_tail<V>(x, dim, pairs, table, threadIdx.x, kSideThreads);
  __syncthreads();
}

// A block per row.
template <class V>
__device__ void store_raw_row(const RawRows& w, int block) {
  float* x = side_memory();
  const int64_t i = w.places.row[0] + block;
  const int dim = w.rows.shape.dim;
  const V* kv = static_cast<const V*>(w.kv);
  for (int d = threadIdx.x; d < dim; d += kSideThreads) x[d] = get(kv[i * dim + d]);
  __syncthreads();
  norm_and_rotate<V>(x, dim, w.gain, w.eps, w.rope / 2, w.rotation + i * w.rope);
  const Place place = place_of(w.places, static_cast<int>(i));
  encode_row(w.rows.shape, x, row_at(w.rows, place.segment, place.position));
}

inline constexpr int kPoolTokens = 8;
inline constexpr int kPoolDims = 2;  // of a thread, kSideThreads apart
using Pool = float[kPoolTokens][kPoolDims];

// Positions fit 32 bits, whose division is a fifth of 64 bits'.
__device__ inline int64_t remainder_of(int64_t position, int64_t divisor) {
  return static_cast<uint32_t>(position) % static_cast<uint32_t>(divisor);
}

// A block per completed row and segment: pool by a softmax per dim, norm, rotate to the block's
// first position.
template <class V>
__device__ void make_row(const Compression& c, const Places& places, int s, int index,
                         const float* all_kv, const float* all_score) {
  float* x = side_memory();  // [dim], then the rotation table
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
  // First of all and by different warps, because they take as long as everything else together.
  for (int i = threadIdx.x; i < 2 * c.pairs; i += kSideThreads) {
    const int pair = i < c.pairs ? i : i - c.pairs;
    const double angle = __fmul_rn(static_cast<float>(block * c.ratio), c.frequencies[pair]);
    table[i] = static_cast<float>(i < c.pairs ? cos(angle) : sin(angle));
  }
  // Of the previous block the first half of the columns counts, of the current one the second;
  // block 0 has no previous one.
  const int64_t begin = (block - (c.overlap && block > 0 ? 1 : 0)) * c.ratio;
  const int64_t own = block * c.ratio;
  const int64_t end = own + c.ratio;
  const int64_t half = c.overlap ? c.dim : 0;
  // Loads of kPoolTokens tokens and kPoolDims dims are on their way together: one after the other,
  // 128 tokens take 0.6 ms. What lies outside is loaded again from the edge and left out.
  for (int base = threadIdx.x; base < c.dim; base += kSideThreads * kPoolDims) {
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
          const int d = min(base + i * kSideThreads, c.dim - 1);
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
      const int d = base + i * kSideThreads;
      if (d < c.dim) x[d] = rounded<V>(sum[i] / total[i]);
    }
  }
  __syncthreads();
  norm_and_rotate<V>(x, c.dim, c.gain, c.eps, c.pairs, table);
  if (c.index && threadIdx.x < 32) hadamard<V>(x, c.dim, threadIdx.x);
  __syncthreads();
  encode_row(c.rows.shape, x, row_at(c.rows, s, block));
}

// Token `index` from the end of a segment into its rings.
__device__ inline void keep_tail(const Compression& c, const Places& places, int s, int index,
                                 const float* kv, const float* score) {
  const int64_t row = places.row[s + 1] - 1 - index;
  if (row < places.row[s] || index >= c.tail_slots[s]) return;
  const int64_t token = first_of(places, s) + (row - places.row[s]);
  const int64_t width = c.width;
  const int64_t to = token % c.tail_slots[s] * width;
  for (int64_t k = threadIdx.x; k < width; k += kSideThreads) {
    c.tail_kv[s][to + k] = kv[row * width + k];
    c.tail_score[s][to + k] = score[row * width + k] + c.ape[token % c.ratio * width + k];
  }
}

// Blocks 0 .. rows - 1 of a segment make compressed rows, those behind them keep tails.
template <class V>
__device__ void compress_some(const Pooling& w, int block) {
  const int per_segment = w.rows + w.kept;
  const int s = block / per_segment;
  const int index = block % per_segment;
  if (index < w.rows) {
    make_row<V>(w.compression, w.places, s, index, w.kv, w.score);
  } else {
    keep_tail(w.compression, w.places, s, index - w.rows, w.kv, w.score);
  }
}

// The work of one block. Out of line, so that a product beside it keeps its registers.
template <class V>
__device__ __noinline__ void run_side(const Sides& sides, int block) {
  int part = 0;
  while (block >= sides.end[part]) ++part;
  if (part > 0) block -= sides.end[part - 1];
  switch (part) {
    case Sides::kDots:
      return make_dots(sides.coefficients, block);
    case Sides::kCoefficients:
      return finish_coefficients(sides.coefficients, block);
    case Sides::kRaw:
      return store_raw_row<V>(sides.raw, block);
    case Sides::kPooling:
    case Sides::kIndexPooling:
      return compress_some<V>(sides.pooling[part - Sides::kPooling], block);
    default:
      return finish_heads<V>(sides.queries[part - Sides::kQueries], block, [] {});
  }
}

}  // namespace ds4::ops::cuda
