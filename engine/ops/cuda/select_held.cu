// Selection for few queries: the threads of a block, or of a cluster of blocks, hold all scores of
// a query in registers and find the threshold two bits a round, because counting digits in shared
// memory makes scores that are alike wait for each other. The same rows in the same order as
// select_kernel().
#include <cooperative_groups.h>

#include <algorithm>

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/select.cuh"

namespace ds4::ops::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kOwn = 8;  // scores of a thread, in pairs of neighbours
constexpr int kPairs = kOwn / 2;
constexpr int kBlockScores = kThreads * kOwn;
constexpr int kMostBlocks = 8;           // of a cluster: as many as every GPU with clusters takes
constexpr uint32_t kBoth = 0x00010001u;  // one in each half of a word
constexpr uint32_t kTopBits = 0x80008000u;  // of both halves
constexpr uint32_t kLowBits = 0x7fff7fffu;

// Three counts, of which all threads together have less than 2^16 each.
struct Counts {
  uint32_t two;  // the second in the high half
  uint32_t third;

  __device__ uint32_t first() const { return two & 0xffffu; }
  __device__ uint32_t second() const { return two >> 16; }
};
__device__ Counts warp_counts(const Counts& own) {
  return {__reduce_add_sync(0xffffffffu, own.two), __reduce_add_sync(0xffffffffu, own.third)};
}

// What the threads that hold the scores of a query share: those of one block, or of a cluster.
struct Shared {
  Counts of_warp[2][kWarps];  // of this round and the one before, which some may still read
  Counts of_block[2][kMostBlocks];
};
template <bool clusters>
struct Together {
  Shared& shared;
  int threads;  // of a block
  int turn = 0;

  // Sums over all threads of what their warps counted; `before`: over the warps in front only.
  __device__ Counts sum(const Counts& of_warp, Counts* before = nullptr) {
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    Counts* warps = shared.of_warp[turn];
    [[maybe_unused]] Counts* blocks = shared.of_block[turn];
    turn ^= 1;
    if (lane == 0) warps[warp] = of_warp;
    asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
    Counts all{};
    if (!clusters || before != nullptr || warp == 0) {
      const Counts own = lane < threads / 32 ? warps[lane] : Counts{};
      all = warp_counts(own);
      if (before != nullptr) *before = warp_counts(lane < warp ? own : Counts{});
    }
#if __CUDA_ARCH__ >= 900
    if constexpr (clusters) {
      const cg::cluster_group cluster = cg::this_cluster();
      const auto rank = static_cast<int>(cluster.block_rank());
      if (warp == 0 && lane < kMostBlocks) *cluster.map_shared_rank(blocks + rank, lane) = all;
      cluster.sync();
      const Counts own = lane < kMostBlocks ? blocks[lane] : Counts{};
      all = warp_counts(own);
      if (before != nullptr) {
        const Counts in_front = warp_counts(lane < rank ? own : Counts{});
        before->two += in_front.two;
        before->third += in_front.third;
      }
    }
#endif
    return all;
  }
};

__device__ __forceinline__ uint32_t both_halves(uint32_t counts) {
  return (counts & 0xffffu) + (counts >> 16);
}
// How many of a thread's scores reach a candidate, whose halves `held` compares by their top bits.
__device__ __forceinline__ uint32_t reached_by(const uint32_t (&held)[kPairs], uint32_t candidate) {
  uint32_t reached = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) reached += (held[i] - candidate * kBoth) >> 15 & kBoth;
  return both_halves(reached);
}

// The threads hold the scores in order, zeros behind the last: the least order.
template <bool clusters>
__device__ void select_held(const Bf16* scores, int seen, int top, int32_t* out,
                            Together<clusters> together) {
  const int first = static_cast<int>(blockIdx.x * kThreads + threadIdx.x) * kOwn;
  const uint4 v =
      first < seen ? *reinterpret_cast<const uint4*>(scores + first) : uint4{0, 0, 0, 0};
  const auto order = [&](int e) {
    return first + e < seen ? order_of(reinterpret_cast<const Bf16*>(&v)[e]) : 0u;
  };
  const auto count = [&](uint32_t a, uint32_t b, uint32_t c) {
    return together.sum(warp_counts({a | b << 16, c}));
  };
  const auto want = static_cast<uint32_t>(top);
  // Two bits: which scores have the top bit and, in the form that they are given below for either
  // answer, the next one.
  uint32_t held[kPairs];
  uint32_t tops = 0, of_large = 0, of_small = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    held[i] = order(2 * i) | order(2 * i + 1) << 16;
    const uint32_t low = held[i] | kTopBits;
    tops += held[i] >> 15 & kBoth;
    of_large += ((low - 0x3fffu * kBoth) & held[i]) >> 15 & kBoth;
    of_small += ((low - 0x4000u * kBoth) | held[i]) >> 15 & kBoth;
  }
  Counts counts = count(both_halves(tops), both_halves(of_large), both_halves(of_small));
  // If enough scores have the top bit, those without it become 0, which no candidate is, and the
  // others one more than their low bits (all of them set: NaN, and stays so). Else those with it
  // become the most that there is, which no other score is (it would be -0).
  const bool large = counts.first() >= want;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    const uint32_t has = (held[i] >> 15 & kBoth) * 0xffffu;
    const uint32_t low = held[i] & kLowBits;
    uint32_t more = low + kBoth;
    more -= more >> 15 & kBoth;
    held[i] = ((large ? more & has : low | has) & kLowBits) | kTopBits;
  }
  uint32_t threshold = (large ? counts.second() : counts.third) >= want ? 0x4000u : 0u;
#pragma unroll 1
  for (int bit = 12; bit >= 0; bit -= 2) {
    const uint32_t step = 1u << bit;
    counts = count(reached_by(held, threshold + step), reached_by(held, threshold + 2 * step),
                   reached_by(held, threshold + 3 * step));
    const bool reached[] = {counts.first() >= want, counts.second() >= want, counts.third >= want};
    threshold += (reached[0] + reached[1] + reached[2]) * step;
  }

  // Every row above the threshold and the first ones at it, in order.
  const uint32_t above = reached_by(held, threshold + 1);
  const uint32_t equal = reached_by(held, threshold) - above;
  const uint32_t own = above | equal << 16;
  const int lane = threadIdx.x % 32;
  uint32_t up_to = own;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const uint32_t other = __shfl_up_sync(0xffffffffu, up_to, d);
    if (lane >= d) up_to += other;
  }
  Counts before;
  counts = together.sum({__shfl_sync(0xffffffffu, up_to, 31), 0}, &before);
  const int equals = top - static_cast<int>(counts.first());
  before.two += up_to - own;
  auto above_before = static_cast<int>(before.first());
  auto equal_before = static_cast<int>(before.second());
  if (above == 0 && (equal == 0 || equal_before >= equals)) return;
  const uint32_t at_threshold = threshold | 0x8000u;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const uint32_t own_order = held[i / 2] >> (i % 2 * 16) & 0xffffu;
    const bool is_equal = own_order == at_threshold;
    if (own_order > at_threshold || (is_equal && equal_before < equals)) {
      out[above_before + min(equal_before, equals)] = first + i;
    }
    above_before += own_order > at_threshold;
    equal_before += is_equal;
  }
}

// A block or a cluster per query, of which the first block does it alone where it can.
template <bool clusters>
__global__ void __launch_bounds__(kThreads)
    select_held_kernel(const __grid_constant__ Selection s) {
  __shared__ Shared shared;
  const int row = s.places.row[0] + static_cast<int>(blockIdx.y);
  const auto seen = static_cast<int>(visible(s, row));  // positions were there before the step
  int32_t* out = s.selected + int64_t{row} * s.top;
  wait_for_inputs();
  if (seen <= s.top) {  // all of them, whatever their scores
    const auto all = static_cast<int>(gridDim.x * kThreads);
    for (auto i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x); i < s.top; i += all) {
      out[i] = i < seen ? i : -1;
    }
    return;
  }
  const Bf16* scores = static_cast<const Bf16*>(s.scores) + int64_t{blockIdx.y} * s.stride;
  if (!clusters || seen <= kBlockScores) {
    const int threads = min(kThreads, (seen + 32 * kOwn - 1) / (32 * kOwn) * 32);
    if (blockIdx.x > 0 || static_cast<int>(threadIdx.x) >= threads) return;
    select_held<false>(scores, seen, s.top, out, {shared, threads});
  } else {
    select_held<true>(scores, seen, s.top, out, {shared, kThreads});
  }
}

}  // namespace

bool selects_held(const Launch& at, const Selection& s) {
  // GPUs that bring kernels up early have clusters.
  return s.stride < (at.early ? kMostBlocks * kBlockScores : kBlockScores);
}

void select_held(const Launch& at, const Selection& s) {
  const auto rows = static_cast<unsigned>(s.places.rows());
  if (s.stride <= kBlockScores) {
    start(at, select_held_kernel<false>, dim3(1, rows), kThreads, 0, s);
  } else {
    start_clusters(at, select_held_kernel<true>, dim3(kMostBlocks, rows), kThreads, s);
  }
}

}  // namespace ds4::ops::cuda
