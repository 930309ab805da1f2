// Attention of the few queries of a decode step, in two kernels: what costs there is not bytes but
// the loads that wait for each other, so each kernel sends all its loads off at once, and those of
// what was there before the kernel in front while that one still runs. Products, sums and roundings
// come in the same order as in attend.cu, so that the results are the same bits.
#include <algorithm>

#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kHeads = 16;  // of a tensor-core tile
constexpr int kKeys = 16;   // rows of a tile of the first kernel
constexpr int kScoreThreads = 256;
constexpr unsigned kScoreBlocks = 2;                  // of a multiprocessor
constexpr int kRowThreads = kScoreThreads / kKeys;    // of a row
constexpr int kHeadThreads = kScoreThreads / kHeads;  // of a head
constexpr int kRowOctets = (kMostHeadDim / 8 + kRowThreads - 1) / kRowThreads;  // of a thread
constexpr int kHeadPairs = (kMostHeadDim / 2 + kHeadThreads - 1) / kHeadThreads;
constexpr int kHeldTurns = 2;  // angles of a thread that are loaded with its pairs

constexpr int kWeighThreads = kHeads * 32;  // a warp per head
constexpr int kStage = 640;                 // rows at a time: the window and 512 selected ones
constexpr int kHeld = kStage / 32;          // scores of a lane
constexpr int kBatch = 5;                   // loads of a thread that go together
constexpr int kPStride = kStage + 8;
// The second kernel by the values of a head that a block has: 64, or 32 where a block cannot have
// the shared memory (99 KiB are the least).
template <int kSlice>
constexpr size_t kWeighShared = (kStage * (kSlice + 8) + kHeads * kPStride) * sizeof(Bf16);

// A thread's share of a tile of rows: every kRowThreads-th octet of one.
struct RowShare {
  StoredOctet stored[kRowOctets];
  const uint8_t* row = nullptr;

  __device__ void load(const Attention& a, const Keys& keys, int begin, int padded) {
    const int t = min(begin + static_cast<int>(threadIdx.x) / kRowThreads, keys.n - 1);
    int index = max(t - keys.n_raw, 0);
    if (keys.chosen != nullptr) index = __ldcg(keys.chosen + min(index, a.top - 1));
    row = stored_row(a, keys, t, index);
    if (!has_whole_octets(a.raw.shape)) return;
    const uint8_t* from = row != nullptr ? row : keys.raw;
#pragma unroll
    for (int i = 0; i < kRowOctets; ++i) {
      if (8 * kRowThreads * i >= padded) break;
      const int d = 8 * (static_cast<int>(threadIdx.x) % kRowThreads + kRowThreads * i);
      stored[i] = load_octet<true>(a.raw.shape, from, min(d, a.dim - 8));
    }
  }
  // Into the tile, zeros behind the last row and the last value.
  __device__ void place(const Attention& a, const Keys& keys, int begin, int padded, Bf16* tile,
                        int stride, bool* there) const {
    const RowShape& shape = a.raw.shape;
    const int r = static_cast<int>(threadIdx.x) / kRowThreads;
    const int first = 8 * (static_cast<int>(threadIdx.x) % kRowThreads);
    const bool is_there = begin + r < keys.n && row != nullptr;
    if (first == 0) there[r] = is_there;
    Bf16* to = tile + r * stride;
    if (!has_whole_octets(shape)) {
#pragma unroll 1
      for (int d = first; d < padded; d += 8 * kRowThreads) {
        *reinterpret_cast<uint4*>(to + d) =
            is_there && d < a.dim ? row_octet(shape, row, d) : uint4{0, 0, 0, 0};
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kRowOctets; ++i) {
      const int d = first + 8 * kRowThreads * i;
      if (d >= padded) break;
      uint4 octet = decode_octet(shape, stored[i], d);
      if (!is_there || d >= a.dim) octet = {0, 0, 0, 0};
      *reinterpret_cast<uint4*>(to + d) = octet;
    }
  }
};

// A thread's share of a query head: every kHeadThreads-th pair of neighbours, so that finishing the
// head adds its squares in the order of finish_head(); BF16 products of two round as there.
struct HeadShare {
  __nv_bfloat162 pairs[kHeadPairs];
  float2 turns[kHeldTurns];

  __device__ void load(const Attention& a, int row, int head) {
    const auto first = static_cast<int>(threadIdx.x) % kHeadThreads;
    // As words: __ldcg() of BF16 pairs is not volatile, and the compiler moves it in front of a
    // wait.
    const auto* from = reinterpret_cast<const uint32_t*>(static_cast<const Bf16*>(a.q) +
                                                         (int64_t{row} * a.heads + head) * a.dim);
#pragma unroll
    for (int i = 0; i < kHeadPairs; ++i) {
      const int at = first + kHeadThreads * i;
      const uint32_t pair = 2 * at < a.dim ? __ldcg(from + at) : 0;
      pairs[i] = reinterpret_cast<const __nv_bfloat162&>(pair);
    }
    if (a.unfinished.n_heads == 0) return;
#pragma unroll
    for (int i = 0; i < kHeldTurns; ++i) turns[i] = turn_at(a, row, first + kHeadThreads * i);
  }
  // Into its place of the tile, finished.
  __device__ void place(const Attention& a, int row, int padded, Bf16* head) {
    const auto first = static_cast<int>(threadIdx.x) % kHeadThreads;
    const bool finishes = a.unfinished.n_heads > 0;
    if (finishes) normalise(a);
    auto* to = reinterpret_cast<__nv_bfloat162*>(head);
#pragma unroll
    for (int i = 0; i < kHeadPairs; ++i) {
      if (2 * kHeadThreads * i >= padded) break;
      to[first + kHeadThreads * i] = pairs[i];
    }
    if (!finishes) return;
    __syncwarp();
    __nv_bfloat162* tail = to + (a.dim - a.unfinished.rope) / 2;
#pragma unroll
    for (int i = 0; i < kHeldTurns; ++i) turn(a, tail, first + kHeadThreads * i, turns[i]);
#pragma unroll 1
    for (int at = first + kHeadThreads * kHeldTurns; at < a.unfinished.rope / 2;
         at += kHeadThreads) {
      turn(a, tail, at, turn_at(a, row, at));
    }
  }

 private:
  __device__ void normalise(const Attention& a) {
    float even = 0, odd = 0;
#pragma unroll
    for (int i = 0; i < kHeadPairs; ++i) {
      const float2 squares = __bfloat1622float2(__hmul2_rn(pairs[i], pairs[i]));
      even += squares.x;
      odd += squares.y;
    }
#pragma unroll
    for (int d = kHeadThreads / 2; d > 0; d /= 2) {
      even += __shfl_xor_sync(0xffffffffu, even, d);
      odd += __shfl_xor_sync(0xffffffffu, odd, d);
    }
    const float scale = head_scale<Bf16>(even + odd, a.dim, a.unfinished.eps);
    const __nv_bfloat162 both = __floats2bfloat162_rn(scale, scale);  // exact
#pragma unroll
    for (int i = 0; i < kHeadPairs; ++i) pairs[i] = __hmul2_rn(pairs[i], both);
  }
  // Cosine and sine for a pair of the tail; for one behind it, those of the last.
  static __device__ float2 turn_at(const Attention& a, int row, int at) {
    const int turned = a.unfinished.rope / 2;
    if (turned == 0) return {};
    const float* table = a.unfinished.rotation + int64_t{row} * a.unfinished.rope;
    const int index = min(at, turned - 1);
    return {__ldcg(table + index), __ldcg(table + turned + index)};
  }
  static __device__ void turn(const Attention& a, __nv_bfloat162* tail, int at, float2 by) {
    if (at >= a.unfinished.rope / 2) return;
    float2 pair = __bfloat1622float2(tail[at]);
    rotate_pair<Bf16>(pair.x, pair.y, by.x, by.y);
    tail[at] = __floats2bfloat162_rn(pair.x, pair.y);
  }
};

// A block per 16 heads of a query and kKeys rows, or several such tiles of rows one after the
// other; a warp per 8 rows multiplies. Each block finishes its heads for itself, which takes less
// than waiting for a launch that does.
__global__ void __launch_bounds__(kScoreThreads, kScoreBlocks)
    few_scores_kernel(const __grid_constant__ Attention a, int padded) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ bool there[kKeys];
  const int stride = padded + kRowPad;
  auto* key_tile = reinterpret_cast<Bf16*>(memory);  // [kKeys][stride]
  auto* query_tile = key_tile + kKeys * stride;      // [kHeads][stride]
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);  // positions were there before the step
  int begin = blockIdx.x * kKeys;
  if (begin >= keys.n) return;

  const int first_head = blockIdx.z * kHeads;
  const auto own_head = static_cast<int>(threadIdx.x) / kHeadThreads;
  const int own_row = begin + static_cast<int>(threadIdx.x) / kRowThreads;
  const bool early_row =
      has_whole_octets(a.raw.shape) && (keys.chosen == nullptr || own_row < keys.n_raw) &&
      (a.settled == Attention::kAll || (a.settled == Attention::kOlder && keys.is_older(own_row)));
  HeadShare head;
  RowShare share;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    if (pass == 1) wait_for_inputs();
    // Behind the last head that one again, of which nothing is stored.
    if (a.settled_queries == (pass == 0)) {
      head.load(a, row, min(first_head + own_head, a.heads - 1));
    }
    if (early_row == (pass == 0)) share.load(a, keys, begin, padded);
  }
  head.place(a, row, padded, query_tile + own_head * stride);

  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int g = lane / 4;
  const int t = lane % 4;
  while (true) {
    share.place(a, keys, begin, padded, key_tile, stride, there);
    __syncthreads();
    const int next = begin + static_cast<int>(gridDim.x) * kKeys;
    if (next < keys.n) share.load(a, keys, next, padded);
    if (warp < kKeys / 8) {
      float acc[4] = {};
      const Bf16* top = query_tile + g * stride;
      const Bf16* low = top + 8 * stride;
      const Bf16* key = key_tile + (8 * warp + g) * stride;
#pragma unroll 4
      for (int k = 8 * t; k < padded; k += 32) {
        const uint4 a0 = *reinterpret_cast<const uint4*>(top + k);
        const uint4 a1 = *reinterpret_cast<const uint4*>(low + k);
        const uint4 b = *reinterpret_cast<const uint4*>(key + k);
        mma_bf16(acc, a0.x, a1.x, a0.y, a1.y, b.x, b.y);
        mma_bf16(acc, a0.z, a1.z, a0.w, a1.w, b.z, b.w);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int of_head = first_head + g + 8 * (i / 2);
        const int at = 8 * warp + 2 * t + i % 2;
        if (of_head >= a.heads || begin + at >= keys.n) continue;
        scores_of(a, row, of_head)[begin + at] = there[at] ? acc[i] * a.scale : -INFINITY;
      }
    }
    if (next >= keys.n) return;
    begin = next;
    __syncthreads();
  }
}

// A block per 16 heads and kSlice values of a query: the softmax of its heads, a warp each, which
// other blocks make as well, and the weighted sum, a warp per 8 values. All but the scores was
// there before the kernel in front, so the values of the first rows are fetched while it runs.
template <int kSlice>
__global__ void __launch_bounds__(kWeighThreads)
    few_weigh_kernel(const __grid_constant__ Attention a) {
  constexpr int kOwnOctets = kStage * (kSlice / 8) / kWeighThreads;
  constexpr int kVStride = kSlice + 8;
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kStage];
  __shared__ float sums[kHeads];
  auto* values = reinterpret_cast<Bf16*>(memory);  // [kStage][kVStride]
  auto* weights = values + kStage * kVStride;      // [kHeads][kPStride]
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);  // positions were there before the step
  const int slice = blockIdx.x * kSlice;
  const int first_head = blockIdx.z * kHeads;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowShape& shape = a.raw.shape;
  const bool whole = has_whole_octets(shape);
  const int own_head = min(first_head + warp, a.heads - 1);
  const float sink = a.sinks[own_head];
  const float* scores = scores_of(a, row, own_head);
  const int d = slice + 8 * warp + lane % 4 * 2;  // of a warp that sums
  const bool sums_up = warp < kSlice / 8;

  const auto fetch_values = [&](int begin) {
    list_rows<kWeighThreads>(a, keys, begin, threadIdx.x, rows);
    __syncthreads();  // also: values and weights of the stage before are read
#pragma unroll 1
    for (int first = 0; first < kOwnOctets; first += kBatch) {
      const auto octet_of = [&](int i, int& r, int& in_slice) {
        const int at = (first + i) * kWeighThreads + static_cast<int>(threadIdx.x);
        r = at / (kSlice / 8);
        in_slice = at % (kSlice / 8) * 8;
      };
      StoredOctet stored[kBatch];
      if (whole) {
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
          int r, in_slice;
          octet_of(i, r, in_slice);
          const uint8_t* from = rows[r];
          stored[i] = load_octet<true>(shape, from != nullptr ? from : keys.raw,
                                       min(slice + in_slice, a.dim - 8));
        }
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        int r, in_slice;
        octet_of(i, r, in_slice);
        uint4 octet{0, 0, 0, 0};
        if (begin + r < keys.n && slice + in_slice < a.dim && rows[r] != nullptr) {
          octet = whole ? decode_octet(shape, stored[i], slice + in_slice)
                        : row_octet(shape, rows[r], slice + in_slice);
        }
        *reinterpret_cast<uint4*>(values + r * kVStride + in_slice) = octet;
      }
      if (begin + (first + kBatch) * kWeighThreads / (kSlice / 8) >= (keys.n + 31) / 32 * 32) break;
    }
  };
  float held[kHeld];
  const auto load_scores = [&](int begin) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int t = begin + 32 * i + lane;
      held[i] = t < keys.n ? scores[t] : -INFINITY;
    }
  };
  if (!whole) wait_for_inputs();
  fetch_values(0);
  if (whole) wait_for_inputs();

  const float2 turn = sums_up && d < a.dim ? turn_of(a, row, d) : float2{};
  float top = -INFINITY;
  for (int begin = (keys.n - 1) / kStage * kStage; begin >= 0; begin -= kStage) {
    load_scores(begin);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) top = fmaxf(top, held[i]);
  }
  top = warp_max(top);
  float sum = 0;
  float acc[4] = {};
  for (int begin = 0;;) {
    const int padded = (min(kStage, keys.n - begin) + 31) / 32 * 32;
    Bf16* to = weights + warp * kPStride + lane;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (32 * i >= padded) break;
      const float e = begin + 32 * i + lane < keys.n ? expf(held[i] - top) : 0.0f;
      sum += e;
      to[32 * i] = __float2bfloat16_rn(e);
    }
    __syncthreads();
    if (sums_up) {
      const Bf16* p = weights + lane % 16 * kPStride + lane / 16 * 8;
#pragma unroll 4
      for (int k = 0; k < padded; k += 32) {
        const uint4 b = load_transposed(values + (k + lane) * kVStride + 8 * warp);
        const uint4 a0 = load_blocks(p + k);
        const uint4 a1 = load_blocks(p + k + 16);
        mma_bf16(acc, a0.x, a0.y, a0.z, a0.w, b.x, b.y);
        mma_bf16(acc, a1.x, a1.y, a1.z, a1.w, b.z, b.w);
      }
    }
    begin += kStage;
    if (begin >= keys.n) break;
    fetch_values(begin);
    load_scores(begin);
  }
  sum = warp_sum(sum);
  if (lane == 0) sums[warp] = sum + expf(sink - top);
  __syncthreads();
  if (!sums_up || d >= a.dim) return;
  for (int i = 0; i < 2; ++i) {
    const int head = lane / 4 + 8 * i;
    if (first_head + head >= a.heads) return;
    store_pair<Bf16, true>(a, row, first_head + head, d, turn, sums[head], acc[2 * i],
                           acc[2 * i + 1]);
  }
}

// Blocks of scores for each 16 heads of a query: as many as there is room for at once, since each
// of them finishes its heads. But a block of the weighted sum, which fetches its values meanwhile,
// has a multiprocessor to itself: where two tiles a block are enough for that, there are fewer.
unsigned score_blocks(const Attention& a, unsigned others, unsigned weighing) {
  const unsigned tiles = blocks_for(a.stride, kKeys);
  const auto all = static_cast<unsigned>(multiprocessors());
  const unsigned beside = weighing < all ? (all - weighing) / others : 0;
  return 2 * beside >= tiles ? std::min(beside, tiles)
                             : std::clamp(kScoreBlocks * all / others, 1u, tiles);
}

}  // namespace

void attend_few(const Launch& at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const int padded = (a.dim + 31) / 32 * 32;
  const size_t shared = (kKeys + kHeads) * static_cast<size_t>(padded + kRowPad) * 2;
  const unsigned head_blocks = blocks_for(a.heads, kHeads);
  constexpr size_t kRowList = kStage * sizeof(void*) + 1024;  // what else a block has
  const bool wide = kWeighShared<64> + kRowList <= block_shared_bytes();
  const unsigned slices = blocks_for(a.dim, wide ? 64 : 32);
  const unsigned others = queries * head_blocks;
  start(at, few_scores_kernel, dim3(score_blocks(a, others, others * slices), queries, head_blocks),
        kScoreThreads, shared, a, padded);
  const auto weigh = [&](auto kernel, size_t bytes) {
    allow_shared(kernel, bytes);
    start(at, kernel, dim3(slices, queries, head_blocks), kWeighThreads, bytes, a);
  };
  if (wide) {
    weigh(few_weigh_kernel<64>, kWeighShared<64>);
  } else {
    weigh(few_weigh_kernel<32>, kWeighShared<32>);
  }
}

}  // namespace ds4::ops::cuda
