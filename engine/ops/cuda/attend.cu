// Attention of each query over its own list of cache rows (model.md 3.4 steps 5-7), in three
// kernels: scores, softmax against the true maximum with the sink, weighted sum with the inverse
// rotation. Queries never share anything, so a result does not depend on its neighbours. In the
// reference precision both products run on the tensor cores; f32 has plain loops.
#include <algorithm>

#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kTile = 32;           // rows of a block of the first kernel
constexpr int kStage = kScoreStep;  // rows that the last kernel stages at a time
constexpr int kSlice = 64;          // values of a head per block of the last kernel
constexpr int kRowPad = 32;         // puts neighbouring rows on other banks
constexpr int kSlicePad = 8;

// The rows one query reads: the window, then compressed ones.
struct Keys {
  int segment;
  int64_t first_raw;
  int n_raw;
  int n;
  const int32_t* chosen;  // null: all
};

// All lanes of a warp together.
__device__ Keys keys_of(const Attention& a, int row) {
  const Place place = place_of(a.places, row);
  const int64_t end = a.whole_segment ? a.segment_end[place.segment] : place.position + 1;
  const int64_t first = (a.whole_segment ? a.segment_first[place.segment] : end) - a.window;
  Keys keys{place.segment, first > 0 ? first : 0, 0, 0, nullptr};
  keys.n_raw = static_cast<int>(end - keys.first_raw);
  keys.n = keys.n_raw;
  if (a.compressed.slots[place.segment] == 0) return keys;
  if (a.selected == nullptr) {
    keys.n += static_cast<int>((place.position + 1) / a.ratio);
    return keys;
  }
  keys.chosen = a.selected + int64_t{row} * a.top;
  int chosen = 0;  // they come first, then -1
#pragma unroll 4
  for (int i = threadIdx.x % 32; i < a.top; i += 32) chosen += keys.chosen[i] >= 0;
#pragma unroll
  for (int d = 16; d > 0; d /= 2) chosen += __shfl_xor_sync(0xffffffffu, chosen, d);
  keys.n += chosen;
  return keys;
}

__device__ const uint8_t* key_row(const Attention& a, const Keys& keys, int t) {
  if (t < keys.n_raw) return row_at(a.raw, keys.segment, keys.first_raw + t);
  const int index = t - keys.n_raw;
  return row_at(a.compressed, keys.segment, keys.chosen ? keys.chosen[index] : index);
}

__device__ float* scores_of(const Attention& a, int row, int head) {
  return a.scores + (int64_t{row - a.places.row[0]} * a.heads + head) * a.stride;
}

// Pointers to rows begin.. of a query; null behind the last.
template <int kCount>
__device__ void list_rows(const Attention& a, const Keys& keys, int begin,
                          const uint8_t* (&rows)[kCount]) {
  static_assert(kCount <= kThreads);
  if (threadIdx.x < kCount) {
    const int t = begin + threadIdx.x;
    rows[threadIdx.x] = t < keys.n ? key_row(a, keys, t) : nullptr;
  }
}

// Eight values of a BF16 vector from a multiple of 8 on, zeros behind its end.
__device__ uint4 vector_octet(const Bf16* x, int d, int dim) {
  if (d >= dim) return uint4{0, 0, 0, 0};
  if (dim % 8 == 0) return __ldg(reinterpret_cast<const uint4*>(x + d));
  __align__(16) Bf16 out[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) out[i] = d + i < dim ? x[d + i] : __float2bfloat16_rn(0.0f);
  return *reinterpret_cast<const uint4*>(out);
}

// A block per 32 rows of a query; a warp per 16 heads. k runs in octets: a lane's 16 bytes of query
// and row serve two products.
__global__ void __launch_bounds__(kThreads)
    scores_kernel(const __grid_constant__ Attention a, int padded) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kTile];
  auto* tile = reinterpret_cast<Bf16*>(memory);  // [kTile][padded + kRowPad]
  const int stride = padded + kRowPad;
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int begin = blockIdx.x * kTile;
  if (begin >= keys.n) return;
  list_rows(a, keys, begin, rows);
  __syncthreads();
  const int octets = padded / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < kTile * octets; i += kThreads) {
    const int t = i / octets;
    const int d = i % octets * 8;
    const uint8_t* from = rows[t];
    const RowShape& shape = begin + t < keys.n_raw ? a.raw.shape : a.compressed.shape;
    *reinterpret_cast<uint4*>(tile + t * stride + d) =
        from ? row_octet(shape, from, d) : uint4{0, 0, 0, 0};
  }
  __syncthreads();

  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{row} * a.heads * a.dim;
  for (int base = threadIdx.x / 32 * 16; base < a.heads; base += kWarps * 16) {
    float acc[kTile / 8][4] = {};
    for (int k = 8 * t; k < padded; k += 32) {
      const auto octet = [&](int head) {
        return head < a.heads ? vector_octet(q + int64_t{head} * a.dim, k, a.dim)
                              : uint4{0, 0, 0, 0};
      };
      const uint4 top = octet(base + g);
      const uint4 low = octet(base + g + 8);
#pragma unroll
      for (int j = 0; j < kTile / 8; ++j) {
        const uint4 key = *reinterpret_cast<const uint4*>(tile + (8 * j + g) * stride + k);
        mma_bf16(acc[j], top.x, low.x, top.y, low.y, key.x, key.y);
        mma_bf16(acc[j], top.z, low.z, top.w, low.w, key.z, key.w);
      }
    }
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
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
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int at = blockIdx.x * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (at >= keys.n) return;
  const uint8_t* from = key_row(a, keys, at);
  const RowShape& shape = at < keys.n_raw ? a.raw.shape : a.compressed.shape;
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
  const int row = a.places.row[0] + blockIdx.x;
  const int head = blockIdx.y * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (head >= a.heads) return;
  const int n = keys_of(a, row).n;
  float* s = scores_of(a, row, head);
  float top = -INFINITY;
  for (int t = lane; t < n; t += 32) top = fmaxf(top, s[t]);
  top = warp_max(top);
  float sum = 0;
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

// A block per 64 values of the heads of a query; a warp per 16 heads; k runs over the rows.
__global__ void __launch_bounds__(kThreads) weigh_kernel(const __grid_constant__ Attention a) {
  constexpr int kStride = kSlice + kSlicePad;
  __shared__ __align__(16) Bf16 tile[kStage][kStride];
  __shared__ const uint8_t* rows[kStage];
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int slice = blockIdx.x * kSlice;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  for (int round = 0; round < a.heads; round += kWarps * 16) {
    const int base = round + threadIdx.x / 32 * 16;
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const float* top = scores_of(a, row, min(base + g, a.heads - 1));
    const float* low = scores_of(a, row, min(base + g + 8, a.heads - 1));
    float acc[kSlice / 8][4] = {};
    for (int begin = 0; begin < keys.n; begin += kStage) {
      __syncthreads();  // the tile before is read
      list_rows(a, keys, begin, rows);
      __syncthreads();
#pragma unroll 4
      for (int i = threadIdx.x; i < kStage * kSlice / 8; i += kThreads) {
        const int r = i / (kSlice / 8);
        const int d = i % (kSlice / 8) * 8;
        const uint8_t* from = rows[r];
        const RowShape& shape = begin + r < keys.n_raw ? a.raw.shape : a.compressed.shape;
        *reinterpret_cast<uint4*>(&tile[r][d]) =
            from && slice + d < a.dim ? row_octet(shape, from, slice + d) : uint4{0, 0, 0, 0};
      }
      __syncthreads();
      const int staged = min(kStage, (keys.n - begin + 15) / 16 * 16);
#pragma unroll 2
      for (int k = 0; k < staged; k += 16) {
        const int at = begin + k + 2 * t;
        const uint32_t a0 = pack(top + at);
        const uint32_t a1 = pack(low + at);
        const uint32_t a2 = pack(top + at + 8);
        const uint32_t a3 = pack(low + at + 8);
#pragma unroll
        for (int j = 0; j < kSlice / 8; j += 2) {
          const uint4 b = load_transposed(&tile[k + lane % 16][8 * j + lane / 16 * 8]);
          mma_bf16(acc[j], a0, a1, a2, a3, b.x, b.y);
          mma_bf16(acc[j + 1], a0, a1, a2, a3, b.z, b.w);
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kSlice / 8; ++j) {
      const int d = slice + 8 * j + 2 * t;
      if (d >= a.dim) continue;
      if (base + g < a.heads) store_pair<Bf16>(a, row, base + g, d, acc[j][0], acc[j][1]);
      if (base + g + 8 < a.heads) store_pair<Bf16>(a, row, base + g + 8, d, acc[j][2], acc[j][3]);
    }
  }
}

// The same for f32 values: a thread per pair of values.
__global__ void plain_weigh_kernel(const __grid_constant__ Attention a) {
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= a.heads * a.dim / 2) return;
  const int head = index / (a.dim / 2);
  const int d = index % (a.dim / 2) * 2;
  const float* p = scores_of(a, row, head);
  float x = 0;
  float y = 0;
  for (int t = 0; t < keys.n; ++t) {
    const uint8_t* from = key_row(a, keys, t);
    const RowShape& shape = t < keys.n_raw ? a.raw.shape : a.compressed.shape;
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
    const size_t shared = static_cast<size_t>(kTile) * static_cast<size_t>(padded + kRowPad) * 2;
    scores_kernel<<<dim3(blocks_for(a.stride, kTile), queries), kThreads, shared, at.stream>>>(
        a, padded);
    softmax_kernel<Bf16><<<dim3(queries, head_blocks), kThreads, 0, at.stream>>>(a);
    weigh_kernel<<<dim3(blocks_for(a.dim, kSlice), queries), kThreads, 0, at.stream>>>(a);
  } else {
    plain_scores_kernel<<<dim3(blocks_for(a.stride, kWarps), queries), kThreads, 0, at.stream>>>(a);
    softmax_kernel<float><<<dim3(queries, head_blocks), kThreads, 0, at.stream>>>(a);
    plain_weigh_kernel<<<dim3(blocks_for(int64_t{a.heads} * a.dim / 2, kThreads), queries),
                         kThreads, 0, at.stream>>>(a);
  }
}

}  // namespace ds4::ops::cuda
