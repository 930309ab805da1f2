// What the attention kernels for many queries and for few share: which cache rows a query reads,
// where its scores lie, how its results leave.
#pragma once

#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {

inline constexpr int kRowPad = 32;  // puts neighbouring rows in shared memory on other banks

// The rows one query reads: the window, then compressed ones, `chosen` or all.
struct Keys {
  int64_t first_raw;
  int n_raw;
  int n;
  const int32_t* chosen;  // null: all
  const uint8_t* raw;     // of the segment, as the next two
  uint32_t raw_slots;
  const uint8_t* compressed;
  // From there on rows are of positions from the places' first on.
  int new_raw, new_compressed;

  __device__ bool is_older(int t) const { return t < (t < n_raw ? new_raw : new_compressed); }
};

inline __device__ Keys keys_of(const Attention& a, int row) {
  const Place place = place_of(a.places, row);
  int64_t end = place.position + 1;
  int64_t first = end - a.window;
  if (a.whole_segment) {
    const int s = place.segment;
    const int64_t begin = place.position - (row - a.places.row[s]) - a.segment_before[s];
    end = begin + a.segment_rows[s];
    first = begin - a.window;
  }
  const int s = place.segment;
  Keys keys{
      first > 0 ? first : 0, 0, 0, nullptr, a.raw.data[s], static_cast<uint32_t>(a.raw.slots[s]),
      a.compressed.data[s],  0, 0};
  keys.n = keys.n_raw = static_cast<int>(end - keys.first_raw);
  const int64_t first_new = place.position - (row - a.places.row[s]);
  keys.new_raw = static_cast<int>(first_new - keys.first_raw);
  keys.new_compressed = keys.n_raw;
  if (a.compressed.slots[s] == 0) return keys;
  // Positions fit 32 bits, whose division is a fifth of 64 bits'.
  const auto ratio = static_cast<uint32_t>(a.ratio);
  auto compressed = static_cast<int>(static_cast<uint32_t>(place.position + 1) / ratio);
  keys.new_compressed += static_cast<int>(static_cast<uint32_t>(first_new) / ratio);
  if (a.selected != nullptr) {
    keys.chosen = a.selected + int64_t{row} * a.top;
    compressed = min(compressed, a.top);
  }
  keys.n += compressed;
  return keys;
}

// Where row t of a query lies; null for a chosen place that holds none. Compressed rows never wrap
// around: their store has a slot for each.
inline __device__ const uint8_t* stored_row(const Attention& a, const Keys& keys, int t,
                                            int compressed) {
  const uint32_t raw = static_cast<uint32_t>(keys.first_raw + t) % keys.raw_slots;
  if (t < keys.n_raw) return keys.raw + int64_t{raw} * a.raw.shape.bytes;
  return compressed < 0 ? nullptr : keys.compressed + int64_t{compressed} * a.raw.shape.bytes;
}
inline __device__ const uint8_t* key_row(const Attention& a, const Keys& keys, int t) {
  const int index = max(t - keys.n_raw, 0);
  return stored_row(a, keys, t, keys.chosen && t >= keys.n_raw ? keys.chosen[index] : index);
}

// Rows begin.. of a query by kThreads threads, of which this is `thread`; behind the last, that one
// again.
template <int kThreads, int kCount>
__device__ void list_rows(const Attention& a, const Keys& keys, int begin, int thread,
                          const uint8_t* (&rows)[kCount]) {
  constexpr int kOwn = (kCount + kThreads - 1) / kThreads;
  int index[kOwn];  // of compressed rows; all on their way before the first is used
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    index[i] = max(min(begin + i * kThreads + thread, keys.n - 1) - keys.n_raw, 0);
  }
  if (keys.chosen != nullptr) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) index[i] = __ldcg(keys.chosen + min(index[i], a.top - 1));
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int at = i * kThreads + thread;
    if (at >= kCount) break;
    rows[at] = stored_row(a, keys, min(begin + at, keys.n - 1), index[i]);
  }
}

inline __device__ float* scores_of(const Attention& a, int row, int head) {
  return a.scores + (int64_t{row - a.places.row[0]} * a.heads + head) * a.stride;
}

// The sum of a query's weights for each head.
inline __device__ float* sums_of(const Attention& a, int row) {
  return a.sums + int64_t{row - a.places.row[0]} * a.heads;
}

// Cosine and sine by which values d and d + 1 of a row's output are turned back.
inline __device__ float2 turn_of(const Attention& a, int row, int d) {
  const int pair = (d - (a.dim - a.rope)) / 2;
  if (d < a.dim - a.rope) return {1.0f, 0.0f};
  const float* table = a.rotation + int64_t{row} * a.rope;
  return {table[pair], -table[a.rope / 2 + pair]};
}

// Values d and d + 1 of a head's output, over the sum of its weights, turned back where they carry
// the rotation. Only kernels for few queries arrange: the address costs those for many registers
// that they do not have.
template <class V, bool kArranges = false>
__device__ void store_pair(const Attention& a, int row, int head, int d, float2 turn, float sum,
                           float x, float y) {
  if constexpr (kStrict<V>) {  // divided once for all values of a head
    const float share = 1.0f / sum;
    x = rounded<V>(x * share);
    y = rounded<V>(y * share);
  } else {
    x /= sum;
    y /= sum;
  }
  if (d >= a.dim - a.rope) rotate_pair<V>(x, y, turn.x, turn.y);
  V* out = static_cast<V*>(a.o) + (int64_t{row} * a.heads + head) * a.dim + d;
  if constexpr (kStrict<V>) {
    *reinterpret_cast<__nv_bfloat162*>(out) = {put<V>(x), put<V>(y)};
    if (kArranges && a.arranged != nullptr) {
      // Two of the four values that a lane arranges; they lie 0, 2, 1, 3.
      const int64_t at = (int64_t{row} * a.heads + head) * a.dim + d;
      const FragmentPlace place =
          place_in_group<Arrange::kBf16Wide>(static_cast<int>(at % 128) / 4);
      V* wide = static_cast<V*>(a.arranged) + at / 128 * 128 + place.t * 32 + place.p + at % 4 / 2;
      wide[0] = put<V>(x * 0x1p60f);
      wide[2] = put<V>(y * 0x1p60f);
    }
  } else {
    out[0] = x;
    out[1] = y;
  }
}
template <class V>
__device__ void store_pair(const Attention& a, int row, int head, int d, float sum, float x,
                           float y) {
  store_pair<V>(a, row, head, d, turn_of(a, row, d), sum, x, y);
}

// A warp per head: weights exp(s - max) as V in place of the scores, zeros up to a whole
// kScoreStep; the sums are those of the unrounded ones.
inline constexpr int kSoftmaxWarps = 4;
template <class V>
__global__ void softmax_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.x;
  const int head = blockIdx.y * kSoftmaxWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (head >= a.heads) return;
  const int n = keys_of(a, row).n;
  const float* s = scores_of(a, row, head);
  V* weights = reinterpret_cast<V*>(scores_of(a, row, head));
  float top = -INFINITY;
#pragma unroll 8
  for (int t = lane; t < n; t += 32) top = fmaxf(top, s[t]);
  top = warp_max(top);
  float sum = 0;
  constexpr int kBatch = 4;
  for (int first = lane; first - lane < n; first += 32 * kBatch) {
    float e[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int t = first + 32 * i;
      e[i] = t < n ? expf(s[t] - top) : 0.0f;
      sum += e[i];
    }
    __syncwarp();  // narrower weights lie over scores of this round and before
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (first + 32 * i < n) weights[first + 32 * i] = put<V>(e[i]);
    }
    __syncwarp();
  }
  for (int t = n + lane; t < (n + kScoreStep - 1) / kScoreStep * kScoreStep; t += 32) {
    weights[t] = put<V>(0.0f);
  }
  sum = warp_sum(sum);
  if (lane == 0) sums_of(a, row)[head] = sum + expf(a.sinks[head] - top);
}

/// attend() in the reference precision, on the tensor cores: at most kFewQueries queries, or more.
void attend_few(const Launch& at, const Attention& attention);
void attend_many(const Launch& at, const Attention& attention);

}  // namespace ds4::ops::cuda
