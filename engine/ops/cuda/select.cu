// The indexer (model.md 3.6): scores of all visible keys per query, then the exact best ones in
// ascending order, ties to the lowest row. Selection counts digits of the scores from the top; the
// counts are integers, so it is deterministic.
#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/rows.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kKeys = kWarps * 16;  // of a block
constexpr int kQueries = 16;        // that a block meets with its keys
constexpr int kSelectThreads = 512;
constexpr int kSelectWarps = kSelectThreads / 32;

__device__ int64_t visible(const Selection& s, int row) {
  return (place_of(s.places, row).position + 1) / s.ratio;
}

__device__ float head_weight(const Selection& s, int row, int head) {
  if (head >= s.heads) return 0;
  return rounded<Bf16>(get(static_cast<const Bf16*>(s.projected)[int64_t{row} * s.heads + head]) *
                       s.scale);
}

// A warp holds 16 keys as fragments and meets the heads of one query after the other. kDim: 32, 64
// or 128; smaller dims are filled up with zeros.
template <int kDim>
__global__ void __launch_bounds__(kThreads) scores_kernel(const __grid_constant__ Selection s) {
  const int segment = blockIdx.z;
  const int begin = s.places.row[segment] + blockIdx.y * kQueries;
  const int end = min(begin + kQueries, s.places.row[segment + 1]);
  if (begin >= end) return;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const int64_t key = int64_t{blockIdx.x} * kKeys + threadIdx.x / 32 * 16;
  const int64_t most = visible(s, end - 1);
  if (key >= most || most <= s.top) return;

  uint4 top[kDim / 32], low[kDim / 32];
#pragma unroll
  for (int k = 0; k < kDim / 32; ++k) {
    const auto octet = [&](int64_t index) {
      return index < most ? row_octet(s.keys.shape, row_at(s.keys, segment, index), 32 * k + 8 * t)
                          : uint4{0, 0, 0, 0};
    };
    top[k] = octet(key + g);
    low[k] = octet(key + g + 8);
  }
  for (int row = begin; row < end; ++row) {
    const int64_t seen = visible(s, row);
    if (seen <= s.top || seen <= key) continue;
    const auto* q = static_cast<const Bf16*>(s.iq) + int64_t{row} * s.heads * s.dim;
    float sum0 = 0;
    float sum1 = 0;
    for (int heads = 0; heads < s.heads; heads += 8) {
      float dot[4] = {};
#pragma unroll
      for (int k = 0; k < kDim / 32; ++k) {
        const int d = 32 * k + 8 * t;
        const uint4 b =
            heads + g < s.heads && d < s.dim
                ? __ldg(reinterpret_cast<const uint4*>(q + int64_t{heads + g} * s.dim + d))
                : uint4{0, 0, 0, 0};
        mma_bf16(dot, top[k].x, low[k].x, top[k].y, low[k].y, b.x, b.y);
        mma_bf16(dot, top[k].z, low[k].z, top[k].w, low[k].w, b.z, b.w);
      }
      const float w0 = head_weight(s, row, heads + 2 * t);
      const float w1 = head_weight(s, row, heads + 2 * t + 1);
      sum0 += rounded<Bf16>(fmaxf(rounded<Bf16>(dot[0]), 0.0f) * w0);
      sum0 += rounded<Bf16>(fmaxf(rounded<Bf16>(dot[1]), 0.0f) * w1);
      sum1 += rounded<Bf16>(fmaxf(rounded<Bf16>(dot[2]), 0.0f) * w0);
      sum1 += rounded<Bf16>(fmaxf(rounded<Bf16>(dot[3]), 0.0f) * w1);
    }
#pragma unroll
    for (int d = 1; d < 4; d *= 2) {
      sum0 += __shfl_xor_sync(0xffffffffu, sum0, d);
      sum1 += __shfl_xor_sync(0xffffffffu, sum1, d);
    }
    float* out = s.scores + int64_t{row - s.places.row[0]} * s.stride;
    if (t == 0 && key + g < seen) out[key + g] = rounded<Bf16>(sum0);
    if (t == 0 && key + g + 8 < seen) out[key + g + 8] = rounded<Bf16>(sum1);
  }
}

// The same for f32 values: a thread per key.
__global__ void plain_scores_kernel(const __grid_constant__ Selection s) {
  const int row = s.places.row[0] + blockIdx.y;
  const int64_t key = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t seen = visible(s, row);
  if (seen <= s.top || key >= seen) return;
  const uint8_t* from = row_at(s.keys, place_of(s.places, row).segment, key);
  const float* q = static_cast<const float*>(s.iq) + int64_t{row} * s.heads * s.dim;
  const float* projected = static_cast<const float*>(s.projected) + int64_t{row} * s.heads;
  float sum = 0;
  for (int head = 0; head < s.heads; ++head) {
    float dot = 0;
    for (int d = 0; d < s.dim; ++d) {
      dot = fmaf(q[int64_t{head} * s.dim + d], row_value(s.keys.shape, from, d), dot);
    }
    sum += fmaxf(dot, 0.0f) * (projected[head] * s.scale);
  }
  s.scores[int64_t{row - s.places.row[0]} * s.stride + key] = sum;
}

// Larger floats are larger keys; both zeros are one.
__device__ uint32_t order_of(float v) {
  const uint32_t bits = __float_as_uint(v + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The largest digit at which the count from the top reaches `need`; `need` loses what lies above.
// One warp; counts [256].
__device__ int find_digit(const int* counts, int& need) {
  const int lane = threadIdx.x % 32;
  int own = 0;  // of digits 255 - 8 lane down to 248 - 8 lane
  for (int i = 0; i < 8; ++i) own += counts[255 - 8 * lane - i];
  int up_to = own;
  for (int d = 1; d < 32; d *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, up_to, d);
    if (lane >= d) up_to += other;
  }
  const uint32_t reached = __ballot_sync(0xffffffffu, up_to >= need);
  const int from = __ffs(reached) - 1;
  int above = __shfl_sync(0xffffffffu, up_to - own, from);
  int digit = 255 - 8 * from;
  while (above + counts[digit] < need) above += counts[digit--];
  need -= above;
  return digit;
}

// A block per query.
__global__ void __launch_bounds__(kSelectThreads)
    select_kernel(const __grid_constant__ Selection s) {
  __shared__ int counts[256];
  __shared__ uint32_t prefix;
  __shared__ int need;
  __shared__ int warp_above[kSelectWarps], warp_equal[kSelectWarps];
  const int row = s.places.row[0] + blockIdx.x;
  const int64_t seen = visible(s, row);
  int32_t* out = s.selected + int64_t{row} * s.top;
  if (seen <= s.top) {  // all of them, whatever their scores
    for (int i = threadIdx.x; i < s.top; i += kSelectThreads) out[i] = i < seen ? i : -1;
    return;
  }
  const float* scores = s.scores + int64_t{blockIdx.x} * s.stride;
  if (threadIdx.x == 0) {
    prefix = 0;
    need = s.top;
  }
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += kSelectThreads) counts[i] = 0;
    __syncthreads();
    const uint32_t above = prefix;
    for (int64_t i = threadIdx.x; i < seen; i += kSelectThreads) {
      const uint32_t order = order_of(scores[i]);
      if (shift == 24 || order >> (shift + 8) == above) {
        atomicAdd(&counts[order >> shift & 255u], 1);
      }
    }
    __syncthreads();
    if (threadIdx.x < 32) {
      int left = need;
      const int digit = find_digit(counts, left);
      __syncwarp();
      if (threadIdx.x == 0) {
        prefix = above << 8 | static_cast<uint32_t>(digit);
        need = left;
      }
    }
    __syncthreads();
  }
  // Every row above the threshold and the first `need` rows at it, in order.
  const uint32_t threshold = prefix;
  const int equals = need;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  int above = 0;
  int equal = 0;
  for (int64_t begin = 0; begin < seen; begin += kSelectThreads) {
    const int64_t i = begin + threadIdx.x;
    const uint32_t order = i < seen ? order_of(scores[i]) : 0;
    const bool is_above = i < seen && order > threshold;
    const bool is_equal = i < seen && order == threshold;
    const uint32_t above_mask = __ballot_sync(0xffffffffu, is_above);
    const uint32_t equal_mask = __ballot_sync(0xffffffffu, is_equal);
    __syncthreads();  // the counts of the step before are read
    if (lane == 0) {
      warp_above[warp] = __popc(above_mask);
      warp_equal[warp] = __popc(equal_mask);
    }
    __syncthreads();
    const uint32_t before = (1u << lane) - 1;
    int my_above = above + __popc(above_mask & before);
    int my_equal = equal + __popc(equal_mask & before);
    for (int w = 0; w < kSelectWarps; ++w) {
      if (w < warp) {
        my_above += warp_above[w];
        my_equal += warp_equal[w];
      }
      above += warp_above[w];
      equal += warp_equal[w];
    }
    if (is_above || (is_equal && my_equal < equals)) {
      out[my_above + min(my_equal, equals)] = static_cast<int32_t>(i);
    }
  }
}

}  // namespace

void select_rows(Launch at, const Selection& s) {
  int most = 0;
  for (int i = 0; i < s.places.count; ++i) {
    const int n = s.places.row[i + 1] - s.places.row[i];
    most = n > most ? n : most;
  }
  const auto rows = static_cast<unsigned>(s.places.rows());
  if (s.stride > s.top) {
    if (at.strict) {
      const dim3 grid(blocks_for(s.stride, kKeys), blocks_for(most, kQueries),
                      static_cast<unsigned>(s.places.count));
      if (s.dim <= 32) {
        scores_kernel<32><<<grid, kThreads, 0, at.stream>>>(s);
      } else if (s.dim <= 64) {
        scores_kernel<64><<<grid, kThreads, 0, at.stream>>>(s);
      } else {
        scores_kernel<128><<<grid, kThreads, 0, at.stream>>>(s);
      }
    } else {
      plain_scores_kernel<<<dim3(blocks_for(s.stride, kThreads), rows), kThreads, 0, at.stream>>>(
          s);
    }
  }
  select_kernel<<<rows, kSelectThreads, 0, at.stream>>>(s);
}

}  // namespace ds4::ops::cuda
