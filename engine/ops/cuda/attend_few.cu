// Attention of the few queries of a decode step, in two kernels: what costs there is not bytes but
// the loads that wait for each other, so each kernel sends all its loads off at once. Products,
// sums and roundings come in the same order as in attend.cu, so that the results are the same bits.
#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kHeads = 16;  // of a tensor-core tile
constexpr int kKeys = 16;   // rows of a block of the first kernel
constexpr int kScoreHeads = 4 * kHeads;
constexpr int kScoreThreads = kScoreHeads / kHeads * (kKeys / 8) * 32;  // a warp per tile

constexpr int kWeighThreads = 256;
constexpr int kWeighWarps = kWeighThreads / 32;
constexpr int kSlice = 32;   // values of a head per block of the second kernel
constexpr int kStage = 640;  // rows at a time: the window and 512 selected ones
constexpr int kStoredOctets = kStage * (kSlice / 8) / kWeighThreads;
constexpr int kVStride = kSlice + 8;
constexpr int kPStride = kStage + 8;
// Rows and weights leave a block room on every GPU: 99 KiB are the least that one can have.
constexpr size_t kWeighShared = (kStage * kVStride + kHeads * kPStride) * sizeof(Bf16);

// A block per kKeys rows of a query, a warp per 16 heads and 8 rows.
__global__ void __launch_bounds__(kScoreThreads)
    few_scores_kernel(const __grid_constant__ Attention a, int padded) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kKeys];
  const int stride = padded + kRowPad;
  auto* key_tile = reinterpret_cast<Bf16*>(memory);  // [kKeys][stride]
  auto* query_tile = key_tile + kKeys * stride;      // [kScoreHeads][stride]
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int begin = blockIdx.x * kKeys;
  wait_for_inputs();  // positions were there before the step
  if (begin >= keys.n) return;

  // Behind the last head that one again, of which nothing is stored.
  const int lane = threadIdx.x % 32;
  const int first_head = blockIdx.z * kScoreHeads;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{row} * a.heads * a.dim;
  const int octets = padded / 8;
  for (int i = threadIdx.x; i < kScoreHeads * octets; i += kScoreThreads) {
    const int head = i / octets;
    const int d = i % octets * 8;
    const Bf16* from = q + int64_t{min(first_head + head, a.heads - 1)} * a.dim;
    Bf16* to = query_tile + head * stride + d;
    if (a.dim % 8 == 0 && d < a.dim) {
      copy_async<16>(to, from + d);
    } else {
      *reinterpret_cast<uint4*>(to) = vector_octet(from, d, a.dim);
    }
  }
  commit_async();
  list_rows<kScoreThreads>(a, keys, begin, threadIdx.x, rows);
  __syncthreads();
  stage_rows<kScoreThreads, 4>(a, keys, rows, begin, kKeys, 0, octets, threadIdx.x, key_tile,
                               stride);
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

// A block per 16 heads and kSlice values of a query: the softmax of its heads, which other blocks
// make as well, and the weighted sum, a warp per 8 values.
__global__ void __launch_bounds__(kWeighThreads)
    few_weigh_kernel(const __grid_constant__ Attention a) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kStage];
  __shared__ float sums[kHeads];
  auto* values = reinterpret_cast<Bf16*>(memory);  // [kStage][kVStride]
  auto* weights = values + kStage * kVStride;      // [kHeads][kPStride]
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int slice = blockIdx.x * kSlice;
  const int first_head = blockIdx.z * kHeads;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowShape& shape = a.raw.shape;
  const bool whole = has_whole_octets(shape);
  wait_for_inputs();  // positions were there before the step

  constexpr int kOwnHeads = kHeads / kWeighWarps;
  const float* scores[kOwnHeads];
  float top[kOwnHeads];
  float sum[kOwnHeads];
#pragma unroll
  for (int i = 0; i < kOwnHeads; ++i) {
    const int head = min(first_head + warp + i * kWeighWarps, a.heads - 1);
    scores[i] = scores_of(a, row, head);
    top[i] = -INFINITY;
    sum[i] = 0;
  }
  float acc[4] = {};
  for (int begin = 0; begin < keys.n; begin += kStage) {
    list_rows<kWeighThreads>(a, keys, begin, threadIdx.x, rows);
    __syncthreads();  // also: values and weights of the stage before are read
    const auto octet_of = [&](int i, int& r, int& d) {
      const int at = i * kWeighThreads + static_cast<int>(threadIdx.x);
      r = at / (kSlice / 8);
      d = at % (kSlice / 8) * 8;
    };
    StoredOctet stored[kStoredOctets];
    if (whole) {
#pragma unroll
      for (int i = 0; i < kStoredOctets; ++i) {
        int r, d;
        octet_of(i, r, d);
        const uint8_t* from = rows[r];
        stored[i] = load_octet(shape, from != nullptr ? from : keys.raw, min(slice + d, a.dim - 8));
      }
    }
    if (begin == 0) {
#pragma unroll
      for (int i = 0; i < kOwnHeads; ++i) {
#pragma unroll 10
        for (int t = lane; t < keys.n; t += 32) top[i] = fmaxf(top[i], scores[i][t]);
        top[i] = warp_max(top[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kStoredOctets; ++i) {
      int r, d;
      octet_of(i, r, d);
      uint4 octet{0, 0, 0, 0};
      if (begin + r < keys.n && slice + d < a.dim && rows[r] != nullptr) {
        octet = whole ? decode_octet(shape, stored[i], slice + d)
                      : row_octet(shape, rows[r], slice + d);
      }
      *reinterpret_cast<uint4*>(values + r * kVStride + d) = octet;
    }
    const int end = min(kStage, keys.n - begin);
    const int padded = (end + 31) / 32 * 32;
#pragma unroll
    for (int i = 0; i < kOwnHeads; ++i) {
      Bf16* to = weights + (warp + i * kWeighWarps) * kPStride;
#pragma unroll 5
      for (int t = lane; t < padded; t += 32) {
        const float e = t < end ? expf(scores[i][begin + t] - top[i]) : 0.0f;
        if (t < end) sum[i] += e;
        to[t] = __float2bfloat16_rn(e);
      }
    }
    __syncthreads();
    if (warp < kSlice / 8) {
      const Bf16* p = weights + lane / 4 * kPStride + lane % 4 * 2;
      const auto pair = [&](int at) { return *reinterpret_cast<const uint32_t*>(p + at); };
#pragma unroll 4
      for (int k = 0; k < padded; k += 32) {
        const uint4 b = load_transposed(values + (k + lane) * kVStride + 8 * warp);
        const int low = 8 * kPStride + k;
        mma_bf16(acc, pair(k), pair(low), pair(k + 8), pair(low + 8), b.x, b.y);
        mma_bf16(acc, pair(k + 16), pair(low + 16), pair(k + 24), pair(low + 24), b.z, b.w);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kOwnHeads; ++i) {
    sum[i] = warp_sum(sum[i]);
    const int head = warp + i * kWeighWarps;
    if (lane == 0 && first_head + head < a.heads) {
      sums[head] = sum[i] + expf(a.sinks[first_head + head] - top[i]);
    }
  }
  __syncthreads();
  const int d = slice + 8 * warp + lane % 4 * 2;
  if (warp >= kSlice / 8 || d >= a.dim) return;
  for (int i = 0; i < 2; ++i) {
    const int head = lane / 4 + 8 * i;
    if (first_head + head >= a.heads) return;
    store_pair<Bf16, true>(a, row, first_head + head, d, sums[head], acc[2 * i], acc[2 * i + 1]);
  }
}

}  // namespace

void attend_few(const Launch& at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const int padded = (a.dim + 31) / 32 * 32;
  const size_t shared = (kKeys + kScoreHeads) * static_cast<size_t>(padded + kRowPad) * 2;
  const unsigned head_blocks = blocks_for(a.heads, kScoreHeads);
  allow_shared(few_scores_kernel, shared);
  allow_shared(few_weigh_kernel, kWeighShared);
  start(at, few_scores_kernel, dim3(blocks_for(a.stride, kKeys), queries, head_blocks),
        kScoreThreads, shared, a, padded);
  start(at, few_weigh_kernel, dim3(blocks_for(a.dim, kSlice), queries, blocks_for(a.heads, kHeads)),
        kWeighThreads, kWeighShared, a);
}

}  // namespace ds4::ops::cuda
