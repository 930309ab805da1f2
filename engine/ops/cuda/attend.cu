// Attention of each query over its own list of cache rows (model.md 3.4 steps 5-7), in three
// kernels: scores, softmax against the true maximum with the sink, weighted sum with the inverse
// rotation. Queries never share anything, so a result does not depend on its neighbours. In the
// reference precision both products run on the tensor cores; f32 has plain loops.
#include <algorithm>

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kTile = 32;           // rows of a block of the first kernel
constexpr int kFewTile = 16;        // the same for a few queries, so that more blocks share them
constexpr int kStage = kScoreStep;  // rows that the last kernel stages at a time
constexpr int kSlice = 64;          // values of a head per block of the last kernel
constexpr int kFewSlice = 16;       // the same for a few queries
constexpr int kFewQueries = 8;
constexpr int kRowPad = 32;  // puts neighbouring rows on other banks
constexpr int kSlicePad = 8;

// The rows one query reads: the window, then compressed ones.
struct Keys {
  int segment;
  int64_t first_raw;
  int n_raw;
  int n;
  const int32_t* chosen;  // null: all
  const uint8_t* raw;     // of the segment, as the next two
  uint32_t raw_slots;
  const uint8_t* compressed;
};

// Without the count.
__device__ Keys place_keys(const Attention& a, int row) {
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
  Keys keys{s,
            first > 0 ? first : 0,
            0,
            0,
            nullptr,
            a.raw.data[s],
            static_cast<uint32_t>(a.raw.slots[s]),
            a.compressed.data[s]};
  keys.n_raw = static_cast<int>(end - keys.first_raw);
  if (a.compressed.slots[place.segment] == 0) {
    keys.n = keys.n_raw;
  } else if (a.selected == nullptr) {
    keys.n = keys.n_raw + static_cast<int>((place.position + 1) / a.ratio);
  } else {
    keys.chosen = a.selected + int64_t{row} * a.top;
  }
  return keys;
}

// All lanes of a warp together count the chosen rows: they come first, then -1.
__device__ Keys keys_of(const Attention& a, int row) {
  Keys keys = place_keys(a, row);
  if (keys.chosen == nullptr) return keys;
  int chosen = 0;
  if (a.top % 4 == 0) {
    const auto* quads = reinterpret_cast<const int4*>(keys.chosen);
#pragma unroll 4
    for (int i = threadIdx.x % 32; i < a.top / 4; i += 32) {
      const int4 c = quads[i];
      chosen += (c.x >= 0) + (c.y >= 0) + (c.z >= 0) + (c.w >= 0);
    }
  } else {
    for (int i = threadIdx.x % 32; i < a.top; i += 32) chosen += keys.chosen[i] >= 0;
  }
#pragma unroll
  for (int d = 16; d > 0; d /= 2) chosen += __shfl_xor_sync(0xffffffffu, chosen, d);
  keys.n = keys.n_raw + chosen;
  return keys;
}

// For the kernels behind the first, which leaves the count.
__device__ Keys counted_keys(const Attention& a, int row) {
  Keys keys = place_keys(a, row);
  keys.n = a.counts[row - a.places.row[0]];
  return keys;
}

// Compressed rows never wrap around: their store has a slot for each.
__device__ const uint8_t* stored_row(const Attention& a, const Keys& keys, int t, int compressed) {
  const uint32_t raw = static_cast<uint32_t>(keys.first_raw + t) % keys.raw_slots;
  return t < keys.n_raw ? keys.raw + int64_t{raw} * a.raw.shape.bytes
                        : keys.compressed + int64_t{compressed} * a.raw.shape.bytes;
}
__device__ const uint8_t* key_row(const Attention& a, const Keys& keys, int t) {
  const int index = max(t - keys.n_raw, 0);
  return stored_row(a, keys, t, keys.chosen && t >= keys.n_raw ? keys.chosen[index] : index);
}

__device__ float* scores_of(const Attention& a, int row, int head) {
  return a.scores + (int64_t{row - a.places.row[0]} * a.heads + head) * a.stride;
}

// Pointers to rows begin.. of a query; behind the last, to that one.
template <int kCount>
__device__ void list_rows(const Attention& a, const Keys& keys, int begin,
                          const uint8_t* (&rows)[kCount]) {
  constexpr int kOwn = (kCount + kThreads - 1) / kThreads;
  int index[kOwn];  // of compressed rows; all on their way before the first is used
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    index[i] =
        max(min(begin + i * kThreads + static_cast<int>(threadIdx.x), keys.n - 1) - keys.n_raw, 0);
  }
  if (keys.chosen != nullptr) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) index[i] = max(keys.chosen[min(index[i], a.top - 1)], 0);
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int at = i * kThreads + threadIdx.x;
    if (at >= kCount) break;
    const int t = min(begin + at, keys.n - 1);
    rows[at] = stored_row(a, keys, t, index[i]);
  }
}

// Values slice .. slice + 8 * octets - 1 of listed rows begin .. begin + count - 1 into a tile,
// zeros behind the last row and the last value. A thread has kBatch loads under way.
template <int kBatch>
__device__ void stage_rows(const Attention& a, const Keys& keys, const uint8_t* const* rows,
                           int begin, int count, int slice, int octets, Bf16* tile, int stride) {
  const RowShape& shape = a.raw.shape;
  const bool whole = has_whole_octets(shape);
  const int total = count * octets;
  for (int first = threadIdx.x; first < total; first += kBatch * kThreads) {
    StoredOctet stored[kBatch];
    if (whole) {
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int at = min(first + i * kThreads, total - 1);
        const int d = min(slice + at % octets * 8, a.dim - 8);
        stored[i] = load_octet(shape, rows[at / octets], d);
      }
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int at = first + i * kThreads;
      if (at >= total) break;
      const int r = at / octets;
      const int in_slice = at % octets * 8;
      const int d = slice + in_slice;
      uint4 octet{0, 0, 0, 0};
      if (begin + r < keys.n && d < a.dim) {
        octet = whole ? decode_octet(shape, stored[i], d) : row_octet(shape, rows[r], d);
      }
      *reinterpret_cast<uint4*>(tile + r * stride + in_slice) = octet;
    }
  }
}

// Eight values of a BF16 vector from a multiple of 8 on, zeros behind its end.
__device__ uint4 vector_octet(const Bf16* x, int d, int dim) {
  if (dim % 8 == 0) {  // without a branch that depends on d
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(x + min(d, dim - 8)));
    return d < dim ? v : uint4{0, 0, 0, 0};
  }
  __align__(16) Bf16 out[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) out[i] = d + i < dim ? x[d + i] : __float2bfloat16_rn(0.0f);
  return *reinterpret_cast<const uint4*>(out);
}

// A block per kTile rows of a query; a warp per 16 heads. k runs in octets: a lane's 16 bytes of
// query and row serve two products.
template <int kRows>
__global__ void __launch_bounds__(kThreads)
    scores_kernel(const __grid_constant__ Attention a, int padded) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kRows];
  auto* tile = reinterpret_cast<Bf16*>(memory);  // [kRows][padded + kRowPad]
  const int stride = padded + kRowPad;
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int begin = blockIdx.x * kRows;
  if (blockIdx.x == 0 && threadIdx.x == 0) a.counts[blockIdx.y] = keys.n;
  if (begin >= keys.n) return;
  list_rows(a, keys, begin, rows);
  __syncthreads();
  stage_rows<4>(a, keys, rows, begin, kRows, 0, padded / 8, tile, stride);
  __syncthreads();

  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{row} * a.heads * a.dim;
  for (int base = threadIdx.x / 32 * 16; base < a.heads; base += kWarps * 16) {
    float acc[kRows / 8][4] = {};
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const Bf16* top = q + int64_t{min(base + g, a.heads - 1)} * a.dim;
    const Bf16* low = q + int64_t{min(base + g + 8, a.heads - 1)} * a.dim;
    constexpr int kBatch = kRows == kFewTile ? 4 : 2;
#pragma unroll 1
    for (int first = 0; first < padded; first += 32 * kBatch) {
      uint4 query[kBatch][2];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int k = first + 32 * i + 8 * t;
        query[i][0] = vector_octet(top, k, a.dim);
        query[i][1] = vector_octet(low, k, a.dim);
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int k = first + 32 * i + 8 * t;
        if (first + 32 * i >= padded) break;
#pragma unroll
        for (int j = 0; j < kRows / 8; ++j) {
          const uint4 key = *reinterpret_cast<const uint4*>(tile + (8 * j + g) * stride + k);
          const uint4& a0 = query[i][0];
          const uint4& a1 = query[i][1];
          mma_bf16(acc[j], a0.x, a1.x, a0.y, a1.y, key.x, key.y);
          mma_bf16(acc[j], a0.z, a1.z, a0.w, a1.w, key.z, key.w);
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kRows / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int head = base + g + 8 * (i / 2);
        const int at = begin + 8 * j + 2 * t + i % 2;
        if (head < a.heads && at < keys.n) scores_of(a, row, head)[at] = acc[j][i] * a.scale;
      }
    }
  }
}

// The same for f32 values: a warp per row.
__global__ void plain_scores_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  if (blockIdx.x == 0 && threadIdx.x == 0) a.counts[blockIdx.y] = keys.n;
  const int at = blockIdx.x * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (at >= keys.n) return;
  const uint8_t* from = key_row(a, keys, at);
  const RowShape& shape = a.raw.shape;
  for (int head = 0; head < a.heads; ++head) {
    const float* q = static_cast<const float*>(a.q) + (int64_t{row} * a.heads + head) * a.dim;
    float sum = 0;
    for (int d = lane; d < a.dim; d += 32) sum = fmaf(q[d], row_value(shape, from, d), sum);
    sum = warp_sum(sum);
    if (lane == 0) scores_of(a, row, head)[at] = sum * a.scale;
  }
}

// A warp per head: scores := bf(exp(s - max)), zeros up to a whole stage; sums of unrounded ones.
template <class V>
__global__ void softmax_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.x;
  const int head = blockIdx.y * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (head >= a.heads) return;
  const int n = a.counts[blockIdx.x];
  float* s = scores_of(a, row, head);
  float top = -INFINITY;
#pragma unroll 8
  for (int t = lane; t < n; t += 32) top = fmaxf(top, s[t]);
  top = warp_max(top);
  float sum = 0;
#pragma unroll 4
  for (int t = lane; t < n; t += 32) {
    const float e = expf(s[t] - top);
    sum += e;
    s[t] = rounded<V>(e);
  }
  for (int t = n + lane; t < (n + kStage - 1) / kStage * kStage; t += 32) s[t] = 0;
  sum = warp_sum(sum);
  if (lane == 0) {
    a.sums[int64_t{blockIdx.x} * a.heads + head] = sum + expf(a.sinks[head] - top);
  }
}

// Values d and d + 1 of a head's output, turned back where they carry the rotation.
template <class V>
__device__ void store_pair(const Attention& a, int row, int head, int d, float x, float y) {
  const float z = a.sums[int64_t{row - a.places.row[0]} * a.heads + head];
  x = rounded<V>(x / z);
  y = rounded<V>(y / z);
  const int pair = (d - (a.dim - a.rope)) / 2;
  if (d >= a.dim - a.rope) {
    const float* table = a.rotation + int64_t{row} * a.rope;
    rotate_pair<V>(x, y, table[pair], -table[a.rope / 2 + pair]);
  }
  V* out = static_cast<V*>(a.o) + (int64_t{row} * a.heads + head) * a.dim + d;
  out[0] = put<V>(x);
  out[1] = put<V>(y);
}

__device__ uint32_t pack(const float* p) {
  const float2 v = *reinterpret_cast<const float2*>(p);
  const __nv_bfloat162 b = __floats2bfloat162_rn(v.x, v.y);
  return reinterpret_cast<const uint32_t&>(b);
}

// A block per kWidth values of the heads of a query; a warp per 16 heads; k runs over the rows.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) weigh_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  constexpr int kStride = kWidth + kSlicePad;
  // Narrow blocks have registers for the weights of a whole stage at once.
  constexpr int kSteps = kWidth == kFewSlice ? kStage / 16 : 2;
  __shared__ __align__(16) Bf16 tile[kStage][kStride];
  constexpr int kListed = kWidth == kFewSlice ? 4 * kStage : kStage;  // addresses at a time
  __shared__ const uint8_t* rows[kListed];
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = counted_keys(a, row);
  const int slice = blockIdx.x * kWidth;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  for (int round = 0; round < a.heads; round += kWarps * 16) {
    const int base = round + threadIdx.x / 32 * 16;
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const float* top = scores_of(a, row, min(base + g, a.heads - 1)) + 2 * t;
    const float* low = scores_of(a, row, min(base + g + 8, a.heads - 1)) + 2 * t;
    float acc[kWidth / 8][4] = {};
    for (int begin = 0; begin < keys.n; begin += kStage) {
      uint32_t weight[kSteps][4];
      const auto load_weights = [&](int first) {
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const int at = begin + first + 16 * i;
          weight[i][0] = pack(top + at);
          weight[i][1] = pack(low + at);
          weight[i][2] = pack(top + at + 8);
          weight[i][3] = pack(low + at + 8);
        }
      };
      if constexpr (kSteps == kStage / 16) load_weights(0);  // on their way with the rows
      __syncthreads();                                       // the tile before is read
      if (begin % kListed == 0) {
        list_rows(a, keys, begin, rows);
        __syncthreads();
      }
      stage_rows<kWidth == kFewSlice ? 2 : 4>(a, keys, rows + begin % kListed, begin, kStage, slice,
                                              kWidth / 8, &tile[0][0], kStride);
      __syncthreads();
      // Up to the end of the stage: weights and rows behind the last are zeros.
#pragma unroll 1
      for (int first = 0; first < kStage; first += 16 * kSteps) {
        if constexpr (kSteps < kStage / 16) load_weights(first);
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const int k = first + 16 * i;
#pragma unroll
          for (int j = 0; j < kWidth / 8; j += 2) {
            const uint4 b = load_transposed(&tile[k + lane % 16][8 * j + lane / 16 * 8]);
            mma_bf16(acc[j], weight[i][0], weight[i][1], weight[i][2], weight[i][3], b.x, b.y);
            mma_bf16(acc[j + 1], weight[i][0], weight[i][1], weight[i][2], weight[i][3], b.z, b.w);
          }
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kWidth / 8; ++j) {
      const int d = slice + 8 * j + 2 * t;
      if (d >= a.dim) continue;
      if (base + g < a.heads) store_pair<Bf16>(a, row, base + g, d, acc[j][0], acc[j][1]);
      if (base + g + 8 < a.heads) store_pair<Bf16>(a, row, base + g + 8, d, acc[j][2], acc[j][3]);
    }
  }
}

// The same for f32 values: a thread per pair of values.
__global__ void plain_weigh_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = counted_keys(a, row);
  const int index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= a.heads * a.dim / 2) return;
  const int head = index / (a.dim / 2);
  const int d = index % (a.dim / 2) * 2;
  const float* p = scores_of(a, row, head);
  float x = 0;
  float y = 0;
  for (int t = 0; t < keys.n; ++t) {
    const uint8_t* from = key_row(a, keys, t);
    const RowShape& shape = a.raw.shape;
    x = fmaf(p[t], row_value(shape, from, d), x);
    y = fmaf(p[t], row_value(shape, from, d + 1), y);
  }
  store_pair<float>(a, row, head, d, x, y);
}

}  // namespace

void attend(Launch at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const unsigned head_blocks = blocks_for(a.heads, kWarps);
  if (at.strict) {
    const int padded = (a.dim + 31) / 32 * 32;
    const auto run = [&](auto scores, int rows, auto weigh, int width) {
      const size_t shared = static_cast<size_t>(rows) * static_cast<size_t>(padded + kRowPad) * 2;
      start(at, scores, dim3(blocks_for(a.stride, rows), queries), kThreads, shared, a, padded);
      start(at, softmax_kernel<Bf16>, dim3(queries, head_blocks), kThreads, 0, a);
      start(at, weigh, dim3(blocks_for(a.dim, width), queries), kThreads, 0, a);
    };
    if (queries <= kFewQueries) {
      run(scores_kernel<kFewTile>, kFewTile, weigh_kernel<kFewSlice>, kFewSlice);
    } else {
      run(scores_kernel<kTile>, kTile, weigh_kernel<kSlice>, kSlice);
    }
  } else {
    start(at, plain_scores_kernel, dim3(blocks_for(a.stride, kWarps), queries), kThreads, 0, a);
    start(at, softmax_kernel<float>, dim3(queries, head_blocks), kThreads, 0, a);
    start(at, plain_weigh_kernel, dim3(blocks_for(int64_t{a.heads} * a.dim / 2, kThreads), queries),
          kThreads, 0, a);
  }
}

}  // namespace ds4::ops::cuda
