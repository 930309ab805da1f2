// Attention of the few queries of a decode step, in two kernels: what costs there is not bytes but
// the loads that wait for each other, so each kernel sends all its loads off at once, and those of
// what was there before the kernel in front while that one still runs. Products, sums and roundings
// come in the same order as in attend.cu, so that the results are the same bits.
#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kHeads = 16;  // of a tensor-core tile
constexpr int kKeys = 16;   // rows of a block of the first kernel
constexpr int kScoreHeads = 4 * kHeads;
constexpr int kScoreThreads = kScoreHeads / kHeads * (kKeys / 8) * 32;  // a warp per tile

constexpr int kWeighThreads = kHeads * 32;  // a warp per head
constexpr int kStage = 640;                 // rows at a time: the window and 512 selected ones
constexpr int kHeld = kStage / 32;          // scores of a lane
constexpr int kBatch = 5;                   // loads of a thread that go together
constexpr int kPStride = kStage + 8;
// The second kernel by the values of a head that a block has: 64, or 32 where a block cannot have
// the shared memory (99 KiB are the least).
template <int kSlice>
constexpr size_t kWeighShared = (kStage * (kSlice + 8) + kHeads * kPStride) * sizeof(Bf16);

// A block per kKeys rows of a query, a warp per 16 heads and 8 rows.
__global__ void __launch_bounds__(kScoreThreads)
    few_scores_kernel(const __grid_constant__ Attention a, int padded) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kKeys];
  const int stride = padded + kRowPad;
  auto* key_tile = reinterpret_cast<Bf16*>(memory);  // [kKeys][stride]
  auto* query_tile = key_tile + kKeys * stride;      // [kScoreHeads][stride]
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);  // positions were there before the step
  const int begin = blockIdx.x * kKeys;
  if (begin >= keys.n) return;

  const int octets = padded / 8;
  const int more_heads = kScoreThreads / octets;
  const int more_octets = kScoreThreads % octets;
  const auto fetch_rows = [&] {
    list_rows<kScoreThreads>(a, keys, begin, threadIdx.x, rows);
    __syncthreads();
    stage_rows<kScoreThreads, 4, true>(a, keys, rows, begin, kKeys, 0, octets, threadIdx.x,
                                       key_tile, stride);
  };
  const bool early = a.settled && has_whole_octets(a.raw.shape) &&
                     (keys.chosen == nullptr || begin + kKeys <= keys.n_raw);
  // Behind the last head that one again, of which nothing is stored.
  const int lane = threadIdx.x % 32;
  const int first_head = blockIdx.z * kScoreHeads;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{row} * a.heads * a.dim;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    if (pass == 1) {
      wait_for_inputs();
      // From one octet to the next without the divisions that would take longer than the copy.
      int head = static_cast<int>(threadIdx.x) / octets;
      int octet = static_cast<int>(threadIdx.x) % octets;
      while (head < kScoreHeads) {
        const int d = octet * 8;
        const Bf16* from = q + int64_t{min(first_head + head, a.heads - 1)} * a.dim;
        Bf16* to = query_tile + head * stride + d;
        if (a.dim % 8 == 0 && d < a.dim) {
          copy_async<16>(to, from + d);
        } else {
          *reinterpret_cast<uint4*>(to) = vector_octet(from, d, a.dim);
        }
        head += more_heads;
        octet += more_octets;
        if (octet >= octets) {
          octet -= octets;
          ++head;
        }
      }
      commit_async();
    }
    if (early == (pass == 0)) fetch_rows();
  }
  wait_async<0>();
  __syncthreads();

  const int g = lane / 4;
  const int t = lane % 4;
  const int warp_head = threadIdx.x / 32 / (kKeys / 8) * kHeads;
  const int warp_key = threadIdx.x / 32 % (kKeys / 8) * 8;
  float acc[4] = {};
  const Bf16* top = query_tile + (warp_head + g) * stride;
  const Bf16* low = top + 8 * stride;
  const Bf16* key = key_tile + (warp_key + g) * stride;
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
    const int head = first_head + warp_head + g + 8 * (i / 2);
    const int at = warp_key + 2 * t + i % 2;
    if (head >= a.heads || begin + at >= keys.n) continue;
    scores_of(a, row, head)[begin + at] = rows[at] ? acc[i] * a.scale : -INFINITY;
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

}  // namespace

void attend_few(const Launch& at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const int padded = (a.dim + 31) / 32 * 32;
  const size_t shared = (kKeys + kScoreHeads) * static_cast<size_t>(padded + kRowPad) * 2;
  const unsigned head_blocks = blocks_for(a.heads, kScoreHeads);
  allow_shared(few_scores_kernel, shared);
  start(at, few_scores_kernel, dim3(blocks_for(a.stride, kKeys), queries, head_blocks),
        kScoreThreads, shared, a, padded);
  const auto weigh = [&](auto kernel, int slice, size_t bytes) {
    allow_shared(kernel, bytes);
    start(at, kernel, dim3(blocks_for(a.dim, slice), queries, blocks_for(a.heads, kHeads)),
          kWeighThreads, bytes, a);
  };
  constexpr size_t kRowList = kStage * sizeof(void*) + 1024;  // what else a block has
  if (kWeighShared<64> + kRowList <= block_shared_bytes()) {
    weigh(few_weigh_kernel<64>, 64, kWeighShared<64>);
  } else {
    weigh(few_weigh_kernel<32>, 32, kWeighShared<32>);
  }
}

}  // namespace ds4::ops::cuda
