// The mixture of experts of one token (model.md 3.7) behind its router: two launches of about a
// block for each multiprocessor. In the first each block routes for itself and makes hidden values
// of one expert, gate and up side by side, so that nobody has to come back for their product; in
// the second a block has the same 32 rows of every expert's down, so that it can add them up. Both
// do what does not depend on the kernel in front while that one runs: x of the first; the routing
// once more, first weights and all of the shared expert of the second. Sums come in the order of
// few_columns.cu and of combine(), so that results are the same bits.
#include <algorithm>

#include "engine/ops/cuda/few_columns.cuh"
#include "engine/ops/cuda/routing.cuh"
#include "engine/ops/cuda/sides.cuh"

namespace ds4::ops::cuda {
namespace {

using Routed = Fp4PlanesFeed;

// A column of x and its scales.
template <class Feed>
__host__ __device__ constexpr int column_bytes(int64_t cols) {
  const auto groups = static_cast<int>(cols / kGroup);
  return column_units<Feed>(groups) * 16 + groups * 4;
}

// The sums of groups of some tiles.
size_t sums_bytes(int tiles, int64_t cols) {
  return static_cast<size_t>(tiles * (cols / kGroup) * kTileRows) * sizeof(float);
}

__device__ __forceinline__ void barrier_of(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// The sums of a tile by its warp, column 0: rows g and g + 8 are in the lanes 4g.
__device__ __forceinline__ void keep_rows(const float (&acc)[4], float* rows) {
  const int lane = threadIdx.x % 32;
  if (lane % 4 != 0) return;
  rows[lane / 4] = acc[0];
  rows[lane / 4 + 8] = acc[2];
}

// A tile of a routed expert by kTeam warps, which take turns with the groups of k: what a warp
// waits for, its instructions behind each other more than its bytes, the others fill. The sums of
// groups meet in shared memory [group][row] and are added in the order in which one warp would.
constexpr int kTeam = 2;
struct RoutedTile {
  static constexpr int kRing = 2;
  Source<Routed> from;
  int first;
  GroupWeights<Routed> ring[kRing];

  __device__ RoutedTile(const Tiles& m, int expert, int tile, int of_team)
      : from(m, expert, tile, threadIdx.x % 32), first(of_team) {
#pragma unroll
    for (int i = 0; i < kRing; ++i) ring[i].load(from, first + i * kTeam);
  }
  __device__ __forceinline__ void multiply(const uint4* x, float* sums) {
    const uint4* at = x + threadIdx.x % 4;
#pragma unroll 1
    for (int group = first; group < from.groups; group += kRing * kTeam) {
#pragma unroll
      for (int i = 0; i < kRing; ++i) {
        const int own = group + i * kTeam;
        if (own >= from.groups) break;
        uint4 units[Routed::kXUnits];
#pragma unroll
        for (int u = 0; u < Routed::kXUnits; ++u) {
          units[u] = at[own * kGroupUnits<Routed> + u * 4];
        }
        float group_sums[4] = {};
        Routed::sum_group(Routed::unpack(ring[i].weights), units, ring[i].row0, ring[i].row1,
                          group_sums);
        ring[i].load(from, own + kRing * kTeam);
        keep_rows(group_sums, sums + own * kTileRows);
      }
    }
  }
};
// A row of such a tile.
__device__ __forceinline__ float add_groups(const float* sums, int row, int groups,
                                            const float* scales) {
  float acc = 0;
#pragma unroll 8
  for (int group = 0; group < groups; ++group) {
    acc = fmaf(sums[group * kTileRows + row], scales[group] * Routed::kBias, acc);
  }
  return 0.0f + acc;
}

constexpr int kPairs = 6;  // tiles of gate, and as many of up, of a block
constexpr int kUpTiles = 2 * kPairs;
constexpr int kUpThreads = kUpTiles * kTeam * 32;

// Blocks (., place).
__global__ void __launch_bounds__(kUpThreads, 1)
    one_token_up_kernel(const __grid_constant__ OneToken p) {
  __shared__ RoutedHere routed;
  __shared__ float results[kUpTiles * kTileRows];
  extern __shared__ uint4 x[];
  const auto own = static_cast<int>(threadIdx.x);
  const auto groups = static_cast<int>(p.up.cols) / kGroup;
  auto* scales = reinterpret_cast<float*>(x + column_units<Routed>(groups));
  float* sums = scales + groups;
  // From a lane's units side by side to the units of all lanes side by side.
  constexpr int kUnits = kGroupUnits<Routed>;
  for (int i = own; i < groups * kUnits; i += kUpThreads) {
    const int in_group = i % kUnits;
    const int to = i - in_group + in_group % Routed::kXUnits * 4 + in_group / Routed::kXUnits;
    copy_async<16>(x + to, static_cast<const uint4*>(p.x.arranged) + i);
  }
  commit_async();
  if (own < groups) scales[own] = __ldcg(p.x.scales + own);
  wait_for_inputs();
  const auto place = static_cast<int>(blockIdx.y);
  route_here(p.routing, routed, blockIdx.x == 0 && place == 0);

  const int in_block = own / 32 / kTeam;
  const auto inter = static_cast<int>(p.down.cols);
  const int pair = static_cast<int>(blockIdx.x) * kPairs + in_block / 2;
  const bool inside = pair * kTileRows < inter;
  RoutedTile tile(p.up, routed.experts[place],
                  (inside ? pair : 0) + in_block % 2 * (inter / kTileRows), own / 32 % kTeam);
  wait_async<0>();
  __syncthreads();
  if (inside) tile.multiply(x, sums + in_block * groups * kTileRows);
  __syncthreads();
  if (own < kUpTiles * kTileRows) {
    results[own] =
        add_groups(sums + own / kTileRows * groups * kTileRows, own % kTileRows, groups, scales);
  }
  __syncthreads();
  const int row = static_cast<int>(blockIdx.x) * kPairs * kTileRows + own;
  if (own >= kPairs * kTileRows || row >= inter) return;
  const int at = own / kTileRows * 2 * kTileRows + own % kTileRows;
  const float gate = rounded<Bf16>(results[at]);
  const float up = rounded<Bf16>(results[at + kTileRows]);
  static_cast<Bf16*>(p.hidden)[place * inter + row] =
      put<Bf16>(gated_value(gate, up, p.limit, routed.weights[place]));
}

constexpr int kDownTiles = 2;  // of a block and expert
constexpr int kSharedWarps = 4;
constexpr int kRoutedWarps = kDownTiles * kRoutedSlots * kTeam;
constexpr int kDownWarps = kRoutedWarps + kSharedWarps;
constexpr int kMostSlices = 8;
constexpr int kOfTile = kSharedWarps / kDownTiles;  // warps of a tile of the shared expert

// The shared expert by its warps: hidden values, then two tiles, of which each warp has some
// slices.
template <class Fp8>
__device__ __forceinline__ void shared_rows(const OneToken& p, int block, uint4* x, float* scales,
                                            float (&sums)[kDownTiles][kMostSlices][kTileRows]) {
  const int own = static_cast<int>(threadIdx.x) / 32 - kRoutedWarps;
  const int lane = threadIdx.x % 32;
  const Tiles& m = p.shared;
  const Source<Fp8> from(m, 0, block * kDownTiles + own / kOfTile, lane);
  const int of_warp = (m.slices + kOfTile - 1) / kOfTile;
  const int first = own % kOfTile * of_warp;
  const int end = min(first + of_warp, m.slices);
  Walk walk{from.groups, m.slices, first, first};
  GroupWeights<Fp8> weights;
  weights.load(from, first < end ? walk.group : from.groups);
  for (int group = own; group < from.groups; group += kSharedWarps) {
    float v[4];
    float up[4];
    const auto* gate = static_cast<const Bf16*>(p.shared_up) + group * kGroup + lane * 4;
    load_values_late(gate, v);
    load_values_late(gate + m.cols, up);
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = rounded<Bf16>(gated_value(v[i], up[i], p.limit, 1.0f));
    put_group<Fp8>(v, from.groups, 0, group, x, scales);
  }
  barrier_of(1, kSharedWarps * 32);
  Activations<Fp8, true> columns;
  columns.locate(from.groups, lane, [](int) { return int64_t{0}; });
  float acc[4] = {};
#pragma unroll 1
  while (walk.slice < end) {
    const Walk done = walk;
    const auto fragments = Fp8::unpack(weights.weights);
    const uint32_t block_scale = weights.row0;
    walk.advance();
    weights.load(from, walk.slice < end ? walk.group : from.groups);
    columns.multiply(x, scales, fragments, block_scale, block_scale, done.group, acc);
    if (walk.slice == done.slice) continue;
    keep_rows(acc, sums[own / kOfTile][done.slice]);
    for (float& sum : acc) sum = 0;
  }
}

template <class Fp8>
__global__ void __launch_bounds__(kDownWarps * 32, 1)
    one_token_down_kernel(const __grid_constant__ OneToken p, const __grid_constant__ Sides sides) {
  __shared__ RoutedHere routed;
  __shared__ float shared_sums[kDownTiles][kMostSlices][kTileRows];
  extern __shared__ uint4 memory[];
  auto block = static_cast<int>(blockIdx.x);
  if (block < sides.blocks()) {
    if (threadIdx.x >= kSideThreads) return;
    return run_side<Bf16>(sides, block);
  }
  block -= sides.blocks();
  const int per_token = p.routing.routing.per_token;
  const auto groups = static_cast<int>(p.down.cols) / kGroup;
  const int warp = threadIdx.x / 32;
  uint4* x = memory;  // of the routed experts, then of the shared one; their scales
  uint4* shared_x = x + per_token * column_units<Routed>(groups);
  auto* scales = reinterpret_cast<float*>(shared_x + column_units<Fp8>(groups));
  float* sums = scales + (per_token + 1) * groups;  // of the routed experts' tiles
  // Logits, and gate and up of the shared expert, are from the launch in front of the one in front.
  route_here(p.routing, routed, false);
  if (warp >= kRoutedWarps) {
    shared_rows<Fp8>(p, block, shared_x, scales + per_token * groups, shared_sums);
    wait_for_inputs();
  } else {
    const int in_block = warp / kTeam;
    const int slot = in_block / kDownTiles;
    RoutedTile tile(p.down, routed.experts[min(slot, per_token - 1)],
                    block * kDownTiles + in_block % kDownTiles, warp % kTeam);
    wait_for_inputs();
    const int all = per_token * groups;
    constexpr int kStep = 4;
#pragma unroll 1
    for (int begin = warp; begin < all; begin += kStep * kRoutedWarps) {
      float v[kStep][4];
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        const int at = min(begin + i * kRoutedWarps, all - 1);
        load_values(
            static_cast<const Bf16*>(p.hidden) + int64_t{at} * kGroup + threadIdx.x % 32 * 4, v[i]);
      }
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        const int at = begin + i * kRoutedWarps;
        if (at >= all) break;
        put_group<Routed>(v[i], groups, at / groups, at % groups, x, scales);
      }
    }
    barrier_of(2, kRoutedWarps * 32);
    if (slot < per_token) {
      tile.multiply(x + slot * column_units<Routed>(groups), sums + in_block * groups * kTileRows);
    }
  }
  __syncthreads();
  const auto own = static_cast<int>(threadIdx.x);
  constexpr int kRows = kDownTiles * kTileRows;
  float* results = reinterpret_cast<float*>(x);  // [per_token][kRows]; x is read
  if (own < per_token * kRows) {
    results[own] =
        rounded<Bf16>(add_groups(sums + own / kTileRows * groups * kTileRows, own % kTileRows,
                                 groups, scales + own / kRows * groups));
  }
  __syncthreads();
  if (own >= kRows) return;
  float sum = 0;
  for (int slot = 0; slot < per_token; ++slot) sum += results[slot * kRows + own];
  float shared = 0;
  for (int slice = 0; slice < p.shared.slices; ++slice) {
    shared += shared_sums[own / kTileRows][slice][own % kTileRows];
  }
  static_cast<Bf16*>(p.y)[block * kRows + own] = put<Bf16>(sum + rounded<Bf16>(shared));
}

size_t up_shared(const OneToken& work) {
  return column_bytes<Routed>(work.up.cols) + sums_bytes(kUpTiles, work.up.cols);
}
template <class Fp8>
size_t down_shared(const OneToken& work) {
  const int64_t cols = work.down.cols;
  const int per_token = work.routing.routing.per_token;
  return static_cast<size_t>(per_token * column_bytes<Routed>(cols) + column_bytes<Fp8>(cols)) +
         sums_bytes(kDownTiles * per_token, cols);
}

}  // namespace

bool can_one_token(const OneToken& work) {
  const Routing& r = work.routing.routing;
  const Feed shared = work.shared.feed;
  constexpr size_t kElse = 8192;  // what else a block has of shared memory, at most
  return r.n == 1 && r.experts <= kRoutedExperts && r.per_token <= kRoutedSlots &&
         work.up.feed == Feed::kFp4Planes && work.up.slices == 1 &&
         work.down.feed == Feed::kFp4Planes && work.down.slices == 1 &&
         work.up.rows == 2 * work.down.cols && work.down.rows % (kDownTiles * kTileRows) == 0 &&
         (shared == Feed::kFp8F16 || shared == Feed::kFp8E4m3) &&
         work.shared.rows == work.down.rows && work.shared.cols == work.down.cols &&
         work.x.arranged != nullptr && work.up.cols / kGroup <= kUpThreads &&
         std::max(up_shared(work), down_shared<Fp8Feed<Feed::kFp8F16>>(work)) + kElse <=
             block_shared_bytes();
}

void one_token_up(Launch at, const OneToken& work) {
  const dim3 grid(blocks_for(work.down.cols / kTileRows, kPairs),
                  static_cast<unsigned>(work.routing.routing.per_token));
  const size_t bytes = up_shared(work);
  allow_shared(one_token_up_kernel, bytes);
  start(at, one_token_up_kernel, grid, kUpThreads, bytes, work);
}

void one_token_down(Launch at, const OneToken& work, const Sides& sides) {
  const auto launch = [&](auto feed) {
    using Fp8 = decltype(feed);
    const size_t bytes = std::max(down_shared<Fp8>(work), sides.shared);
    const auto kernel = one_token_down_kernel<Fp8>;
    allow_shared(kernel, bytes);
    const auto blocks = static_cast<unsigned>(work.down.rows / (kDownTiles * kTileRows));
    start(at, kernel, static_cast<unsigned>(sides.blocks()) + blocks, kDownWarps * 32, bytes, work,
          sides);
  };
  if (work.shared.feed == Feed::kFp8E4m3) {
    launch(Fp8Feed<Feed::kFp8E4m3>());
  } else {
    launch(Fp8Feed<Feed::kFp8F16>());
  }
}

}  // namespace ds4::ops::cuda
