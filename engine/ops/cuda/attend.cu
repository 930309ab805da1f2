// Attention of each query over its own list of cache rows (model.md 3.4 steps 5-7), in three
// kernels: scores, softmax against the true maximum with the sink, weighted sum with the inverse
// rotation. Queries never share anything, so a result does not depend on its neighbours. In the
// reference precision both products run on the tensor cores; f32 has plain loops.
#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kTile = 32;           // rows of a block of the first kernel
constexpr int kStage = kScoreStep;  // rows that the last kernel stages at a time
constexpr int kSlice = 64;          // values of a head per block of the last kernel
constexpr int kSlicePad = 8;

// A block per kTile rows of a query; a warp per 16 heads. k runs in octets: a lane's 16 bytes of
// query and row serve two products. A row that is not there scores -inf.
__global__ void __launch_bounds__(kThreads)
    scores_kernel(const __grid_constant__ Attention a, int padded) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kTile];
  auto* tile = reinterpret_cast<Bf16*>(memory);  // [kTile][padded + kRowPad]
  const int stride = padded + kRowPad;
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int begin = blockIdx.x * kTile;
  if (begin >= keys.n) return;
  list_rows<kThreads>(a, keys, begin, rows);
  __syncthreads();
  stage_rows<kThreads, 4>(a, keys, rows, begin, kTile, 0, padded / 8, tile, stride);
  __syncthreads();

  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{row} * a.heads * a.dim;
  for (int base = threadIdx.x / 32 * 16; base < a.heads; base += kWarps * 16) {
    float acc[kTile / 8][4] = {};
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const Bf16* top = q + int64_t{min(base + g, a.heads - 1)} * a.dim;
    const Bf16* low = q + int64_t{min(base + g + 8, a.heads - 1)} * a.dim;
    constexpr int kBatch = 2;
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
        for (int j = 0; j < kTile / 8; ++j) {
          const uint4 key = *reinterpret_cast<const uint4*>(tile + (8 * j + g) * stride + k);
          const uint4& a0 = query[i][0];
          const uint4& a1 = query[i][1];
          mma_bf16(acc[j], a0.x, a1.x, a0.y, a1.y, key.x, key.y);
          mma_bf16(acc[j], a0.z, a1.z, a0.w, a1.w, key.z, key.w);
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int head = base + g + 8 * (i / 2);
        const int at = 8 * j + 2 * t + i % 2;
        if (head >= a.heads || begin + at >= keys.n) continue;
        scores_of(a, row, head)[begin + at] = rows[at] ? acc[j][i] * a.scale : -INFINITY;
      }
    }
  }
}

// The same for f32 values: a warp per row.
__global__ void plain_scores_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const int at = blockIdx.x * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (at >= keys.n) return;
  const uint8_t* from = key_row(a, keys, at);
  const RowShape& shape = a.raw.shape;
  for (int head = 0; head < a.heads; ++head) {
    const float* q = static_cast<const float*>(a.q) + (int64_t{row} * a.heads + head) * a.dim;
    float sum = 0;
    for (int d = lane; from != nullptr && d < a.dim; d += 32) {
      sum = fmaf(q[d], row_value(shape, from, d), sum);
    }
    sum = warp_sum(sum);
    if (lane == 0) scores_of(a, row, head)[at] = from != nullptr ? sum * a.scale : -INFINITY;
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
  const int n = keys_of(a, row).n;
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
    sums_of(a, row)[head] = sum + expf(a.sinks[head] - top);
  }
}

__device__ uint32_t pack(const float* p) {
  const float2 v = *reinterpret_cast<const float2*>(p);
  const __nv_bfloat162 b = __floats2bfloat162_rn(v.x, v.y);
  return reinterpret_cast<const uint32_t&>(b);
}

// A block per kSlice values of the heads of a query; a warp per 16 heads; k runs over the rows.
__global__ void __launch_bounds__(kThreads) weigh_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
  constexpr int kStride = kSlice + kSlicePad;
  constexpr int kSteps = 2;  // products whose weights are loaded at a time
  __shared__ __align__(16) Bf16 tile[kStage][kStride];
  __shared__ const uint8_t* rows[kStage];
  const int row = a.places.row[0] + blockIdx.y;
  const Keys keys = keys_of(a, row);
  const float* sums = sums_of(a, row);
  const int slice = blockIdx.x * kSlice;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  for (int round = 0; round < a.heads; round += kWarps * 16) {
    const int base = round + threadIdx.x / 32 * 16;
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const float* top = scores_of(a, row, min(base + g, a.heads - 1)) + 2 * t;
    const float* low = scores_of(a, row, min(base + g + 8, a.heads - 1)) + 2 * t;
    float acc[kSlice / 8][4] = {};
    for (int begin = 0; begin < keys.n; begin += kStage) {
      __syncthreads();  // the tile before is read
      list_rows<kThreads>(a, keys, begin, rows);
      __syncthreads();
      stage_rows<kThreads, 4>(a, keys, rows, begin, kStage, slice, kSlice / 8, &tile[0][0],
                              kStride);
      __syncthreads();
      // Up to the end of the stage: weights and rows behind the last are zeros.
#pragma unroll 1
      for (int first = 0; first < kStage; first += 16 * kSteps) {
        uint32_t weight[kSteps][4];
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const int at = begin + first + 16 * i;
          weight[i][0] = pack(top + at);
          weight[i][1] = pack(low + at);
          weight[i][2] = pack(top + at + 8);
          weight[i][3] = pack(low + at + 8);
        }
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const int k = first + 16 * i;
#pragma unroll
          for (int j = 0; j < kSlice / 8; j += 2) {
            const uint4 b = load_transposed(&tile[k + lane % 16][8 * j + lane / 16 * 8]);
            mma_bf16(acc[j], weight[i][0], weight[i][1], weight[i][2], weight[i][3], b.x, b.y);
            mma_bf16(acc[j + 1], weight[i][0], weight[i][1], weight[i][2], weight[i][3], b.z, b.w);
          }
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kSlice / 8; ++j) {
      const int d = slice + 8 * j + 2 * t;
      if (d >= a.dim) continue;
      for (int i = 0; i < 2; ++i) {
        const int head = base + g + 8 * i;
        if (head >= a.heads) break;
        store_pair<Bf16>(a, row, head, d, sums[head], acc[j][2 * i], acc[j][2 * i + 1]);
      }
    }
  }
}

// The same for f32 values: a thread per pair of values.
__global__ void plain_weigh_kernel(const __grid_constant__ Attention a) {
  wait_for_inputs();
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
    if (from == nullptr) continue;
    const RowShape& shape = a.raw.shape;
    x = fmaf(p[t], row_value(shape, from, d), x);
    y = fmaf(p[t], row_value(shape, from, d + 1), y);
  }
  store_pair<float>(a, row, head, d, sums_of(a, row)[head], x, y);
}

}  // namespace

void attend(Launch at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const unsigned head_blocks = blocks_for(a.heads, kWarps);
  if (at.strict && queries <= kFewQueries) {
    attend_few(at, a);
  } else if (at.strict) {
    const int padded = (a.dim + 31) / 32 * 32;
    const size_t shared = size_t{kTile} * static_cast<size_t>(padded + kRowPad) * 2;
    start(at, scores_kernel, dim3(blocks_for(a.stride, kTile), queries), kThreads, shared, a,
          padded);
    start(at, softmax_kernel<Bf16>, dim3(queries, head_blocks), kThreads, 0, a);
    start(at, weigh_kernel, dim3(blocks_for(a.dim, kSlice), queries), kThreads, 0, a);
  } else {
    start(at, plain_scores_kernel, dim3(blocks_for(a.stride, kWarps), queries), kThreads, 0, a);
    start(at, softmax_kernel<float>, dim3(queries, head_blocks), kThreads, 0, a);
    start(at, plain_weigh_kernel, dim3(blocks_for(int64_t{a.heads} * a.dim / 2, kThreads), queries),
          kThreads, 0, a);
  }
}

}  // namespace ds4::ops::cuda
