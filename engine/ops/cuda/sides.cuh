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
// first position. Memory is far and the block's way through it long: what was there before the
// kernel in front, in a step all but the last tokens, is fetched while that kernel still runs, and
// the angles are made then too.
template <class V>
__device__ void make_row(const Compression& c, const Places& places, int s, int index,
                         const float* all_kv, const float* all_score) {
  float* x = side_memory();  // [dim], then the rotation table and the gain
  float* table = x + c.dim;
  float* gain = table + 2 * c.pairs;
  const auto first = static_cast<int>(first_of(places, s));
  const auto ratio = static_cast<unsigned>(c.ratio);
  const int block = static_cast<int>(static_cast<unsigned>(first) / ratio) + index;
  const int own = block * c.ratio;
  const int end = own + c.ratio;
  if (end > first + places.row[s + 1] - places.row[s]) return wait_for_inputs();
  const int64_t width = c.width;
  const float* kv = all_kv + places.row[s] * width;
  const float* score = all_score + places.row[s] * width;
  const float* tail_kv = c.tail_kv[s];
  const float* tail_score = c.tail_score[s];
  const int64_t slots = c.tail_slots[s];
  // Of the previous block the first half of the columns counts, of the current one the second;
  // block 0 has no previous one.
  const int begin = (block - (c.overlap && block > 0 ? 1 : 0)) * c.ratio;
  const int64_t half = c.overlap ? c.dim : 0;
  const int last = max(begin, end - kPoolTokens);  // from here on tokens stay in registers

  for (int part = 0; part < c.dim; part += kSideThreads * kPoolDims) {
    int dims[kPoolDims];  // those past the end again the last
#pragma unroll
    for (int i = 0; i < kPoolDims; ++i) {
      dims[i] = min(part + static_cast<int>(threadIdx.x) + i * kSideThreads, c.dim - 1);
    }
    // Tokens t + j in [from, to) of the kPoolTokens from t on, whose loads are on their way
    // together: one after the other, 128 tokens take 0.6 ms.
    const auto each = [&](int t, int from, int to, const auto& use) {
#pragma unroll
      for (int j = 0; j < kPoolTokens; ++j) {
        if (t + j >= from && t + j < to) use(j, t + j < own ? 0 : half);
      }
    };
    // Tokens before the segment come from the tail, which has the position embedding already.
    const auto load_tail = [&](int t, int to, Pool& weight, Pool* key) {
      each(t, t, min(to, first), [&](int j, int64_t column) {
        const int64_t row = remainder_of(t + j, slots) * width + column;
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) {
          weight[j][i] = __ldcg(tail_score + row + dims[i]);
          if (key) (*key)[j][i] = __ldcg(tail_kv + row + dims[i]);
        }
      });
    };
    const auto load_embedding = [&](int t, int to, Pool& weight) {
      each(t, first, to, [&](int j, int64_t column) {
        const int64_t row = remainder_of(t + j, c.ratio) * width + column;
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) weight[j][i] = __ldg(c.ape + row + dims[i]);
      });
    };
    const auto load_segment = [&](int t, int to, Pool& weight, Pool* key) {
      each(t, first, to, [&](int j, int64_t column) {
        const int64_t row = (t + j - first) * width + column;
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) {
          weight[j][i] += score[row + dims[i]];
          if (key) (*key)[j][i] = kv[row + dims[i]];
        }
      });
    };
    float top[kPoolDims];
#pragma unroll
    for (float& value : top) value = -INFINITY;
    const auto raise = [&](int t, int to, const Pool& weight) {
      each(t, t, to, [&](int j, int64_t) {
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) top[i] = fmaxf(top[i], weight[j][i]);
      });
    };

    Pool weight;  // of the tokens from `last` on
    Pool key;
    load_tail(last, end, weight, &key);
    load_embedding(last, end, weight);
    for (int t = begin; t < min(last, first); t += kPoolTokens) {
      Pool other;
      load_tail(t, last, other, nullptr);
      raise(t, min(last, first), other);
    }
    if (part == 0) {
      for (int d = threadIdx.x; d < c.dim; d += kSideThreads) gain[d] = c.gain[d];
      for (int i = threadIdx.x; i < 2 * c.pairs; i += kSideThreads) {
        const int pair = i < c.pairs ? i : i - c.pairs;
        const double angle = __fmul_rn(static_cast<float>(own), c.frequencies[pair]);
        table[i] = static_cast<float>(i < c.pairs ? cos(angle) : sin(angle));
      }
      wait_for_inputs();
    }
    load_segment(last, end, weight, &key);
    for (int t = max(begin, first); t < last; t += kPoolTokens) {
      Pool other;
      load_embedding(t, last, other);
      load_segment(t, last, other, nullptr);
      raise(t, last, other);
    }
    raise(last, end, weight);
    float total[kPoolDims] = {};
    float sum[kPoolDims] = {};
    const auto add = [&](int t, int to, const Pool& weights, const Pool& keys) {
      each(t, t, to, [&](int j, int64_t) {
#pragma unroll
        for (int i = 0; i < kPoolDims; ++i) {
          const float e = expf(weights[j][i] - top[i]);
          total[i] += e;
          sum[i] = fmaf(e, keys[j][i], sum[i]);
        }
      });
    };
    for (int t = begin; t < last; t += kPoolTokens) {
      Pool weights;
      Pool keys;
      load_tail(t, last, weights, &keys);
      load_embedding(t, last, weights);
      load_segment(t, last, weights, &keys);
      add(t, last, weights, keys);
    }
    add(last, end, weight, key);
#pragma unroll
    for (int i = 0; i < kPoolDims; ++i) {
      const int d = part + static_cast<int>(threadIdx.x) + i * kSideThreads;
      if (d < c.dim) x[d] = rounded<V>(sum[i] / total[i]);
    }
  }
  __syncthreads();
  norm_and_rotate<V>(x, c.dim, gain, c.eps, c.pairs, table);
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
    wait_for_inputs();
    keep_tail(w.compression, w.places, s, index - w.rows, w.kv, w.score);
  }
}

// The work of one block, wait_for_inputs() included. Out of line, so that a product beside it keeps
// its registers.
template <class V>
__device__ __noinline__ void run_side(const Sides& sides, int block) {
  int part = 0;
  while (block >= sides.end[part]) ++part;
  if (part > 0) block -= sides.end[part - 1];
  if (part != Sides::kPooling && part != Sides::kIndexPooling) wait_for_inputs();
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
