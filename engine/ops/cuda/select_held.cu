// Selection for few queries: a block holds all scores of a query in registers and finds the
// threshold bit by bit, because counting digits in shared memory makes scores that are alike wait
// for each other. The same rows in the same order as select_kernel().
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/select.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr uint32_t kBoth = 0x00010001u;  // one in each half of a word
constexpr int kBits = 16;

// Shared by a block.
struct Counts {
  int reached[kBits];  // scores at or above the candidate of each bit
  int above[kWarps], equal[kWarps];
};

// A block's sum, in a place of its own that was zero.
__device__ int count_all(int own, int& place) {
  const int of_warp = __reduce_add_sync(0xffffffffu, own);
  if (threadIdx.x % 32 == 0) atomicAdd(&place, of_warp);
  __syncthreads();
  return place;
}

// How many of a thread's scores reach a candidate; the top bits of `held` tell which of two halves
// is larger.
template <int kPairs>
__device__ int reached_by(const uint32_t (&held)[kPairs], uint32_t candidate) {
  uint32_t reached = 0;  // in two halves
#pragma unroll
  for (int i = 0; i < kPairs; ++i) reached += (held[i] - candidate * kBoth) >> 15 & kBoth;
  return static_cast<int>((reached & 0xffffu) + (reached >> 16));
}

// A thread has kPairs pairs of neighbouring scores, zeros behind the last: the least order.
template <int kPairs>
__device__ void select_held(const Bf16* scores, int64_t seen, int top, int32_t* out,
                            Counts& counts) {
  constexpr int kOwn = 2 * kPairs;
  const int64_t first = int64_t{threadIdx.x} * kOwn;
  uint32_t held[kPairs];
  int own = 0;
#pragma unroll
  for (int i = 0; i < kPairs / 4; ++i) {
    const int64_t at = first + 8 * i;
    const uint4 v = at < seen ? *reinterpret_cast<const uint4*>(scores + at) : uint4{0, 0, 0, 0};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const auto order = [&](int e) {
        return at + e < seen ? order_of(reinterpret_cast<const Bf16*>(&v)[e]) : 0u;
      };
      held[4 * i + j] = order(2 * j) | order(2 * j + 1) << 16;
      own += __popc(held[4 * i + j] & 0x80008000u);
    }
  }
  // If enough scores have the top bit, those without it become 0, which no candidate is, and the
  // others one more than their low bits (all of them set: NaN, and stays so). Else those with it
  // become the most that there is, which no other score is (it would be -0).
  const bool large = count_all(own, counts.reached[0]) >= top;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    const uint32_t has = (held[i] >> 15 & kBoth) * 0xffffu;
    const uint32_t low = held[i] & 0x7fff7fffu;
    uint32_t more = low + kBoth;
    more -= more >> 15 & kBoth;
    held[i] = ((large ? more & has : low | has) & 0x7fff7fffu) | 0x80008000u;
  }
  uint32_t threshold = 0;
#pragma unroll 1
  for (int bit = kBits - 2; bit >= 0; --bit) {
    const uint32_t candidate = threshold | 1u << bit;
    own = reached_by(held, candidate);
    if (count_all(own, counts.reached[kBits - 1 - bit]) >= top) threshold = candidate;
  }

  // Every row above the threshold and the first ones at it, in order.
  const int above = reached_by(held, threshold + 1);
  const int equal = reached_by(held, threshold) - above;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  int above_before = above;
  int equal_before = equal;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const int a = __shfl_up_sync(0xffffffffu, above_before, d);
    const int e = __shfl_up_sync(0xffffffffu, equal_before, d);
    if (lane >= d) {
      above_before += a;
      equal_before += e;
    }
  }
  if (lane == 31) {
    counts.above[warp] = above_before;
    counts.equal[warp] = equal_before;
  }
  __syncthreads();
  const int warp_above = counts.above[lane];
  const int warp_equal = counts.equal[lane];
  const int equals = top - __reduce_add_sync(0xffffffffu, warp_above);
  above_before += __reduce_add_sync(0xffffffffu, lane < warp ? warp_above : 0) - above;
  equal_before += __reduce_add_sync(0xffffffffu, lane < warp ? warp_equal : 0) - equal;
  if (above == 0 && (equal == 0 || equal_before >= equals)) return;
  const uint32_t at_threshold = threshold | 0x8000u;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const uint32_t own_order = held[i / 2] >> (i % 2 * 16) & 0xffffu;
    const bool is_equal = own_order == at_threshold;
    if (own_order > at_threshold || (is_equal && equal_before < equals)) {
      out[above_before + min(equal_before, equals)] = static_cast<int32_t>(first + i);
    }
    above_before += own_order > at_threshold;
    equal_before += is_equal;
  }
}

// A block per query.
__global__ void __launch_bounds__(kThreads)
    select_held_kernel(const __grid_constant__ Selection s) {
  __shared__ Counts counts;
  if (threadIdx.x < kBits) counts.reached[threadIdx.x] = 0;
  wait_for_inputs();
  __syncthreads();
  const int row = s.places.row[0] + blockIdx.x;
  const int64_t seen = visible(s, row);
  int32_t* out = s.selected + int64_t{row} * s.top;
  if (seen <= s.top) {  // all of them, whatever their scores
    for (int i = threadIdx.x; i < s.top; i += kThreads) out[i] = i < seen ? i : -1;
    return;
  }
  const Bf16* scores = static_cast<const Bf16*>(s.scores) + int64_t{blockIdx.x} * s.stride;
  if (seen <= 8 * kThreads) {
    select_held<4>(scores, seen, s.top, out, counts);
  } else if (seen <= 32 * kThreads) {
    select_held<16>(scores, seen, s.top, out, counts);
  } else {
    select_held<32>(scores, seen, s.top, out, counts);
  }
}

}  // namespace

bool selects_held(const Selection& s) {
  return s.stride <= int64_t{64} * kThreads;
}

void select_held(const Launch& at, const Selection& s) {
  start(at, select_held_kernel, static_cast<unsigned>(s.places.rows()), kThreads, 0, s);
}

}  // namespace ds4::ops::cuda
