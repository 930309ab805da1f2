// The mixture of experts of one token (model.md 3.7) behind its router: two launches of about a
// block for each multiprocessor. In the first each block makes hidden values of the shared expert,
// for which it needs no routing, while some of its warps wait for the router and route; then of one
// routed expert, gate and up side by side, so that nobody has to come back for their product. In
// the second a block has the same 32 rows of every expert's down, so that it can add them up. Both
// do what does not depend on the kernel in front while that one runs. Sums come in the order of
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

// The sums of a tile by its warp, column 0: rows g and g + 8 are in the lanes 4g.
__device__ __forceinline__ void keep_rows(const float (&acc)[4], float* rows) {
  const int lane = threadIdx.x % 32;
  if (lane % 4 != 0) return;
  rows[lane / 4] = acc[0];
  rows[lane / 4 + 8] = acc[2];
}

// A tile of a routed expert by kTeam warps, which take turns with the groups of k: what a warp
// waits for, its instructions behind each other more than its bytes, the others fill; addresses
// count up, which takes fewer of them. The sums of groups meet in shared memory [group][row] and
// are added in the order in which one warp would.
constexpr int kTeam = 2;
struct RoutedTile {
  static constexpr int kRing = 2;
  static constexpr int kStep = kRing * kTeam;  // groups
  const uint8_t* weights;                      // of the first group under way
  const uint32_t* scales;
  int first, left;  // groups of this warp
  uint4 ring[kRing][Routed::kUnits];
  uint32_t row0[kRing], row1[kRing];

  __device__ RoutedTile(const Tiles& m, int expert, int tile, int of_team) : first(of_team) {
    const Source<Routed> from(m, expert, tile, threadIdx.x % 32);
    weights = from.weights + first * (Routed::kUnits * 512);
    scales = from.scale_words + first * kTileRows;
    left = (from.groups - first + kTeam - 1) / kTeam;
#pragma unroll
    for (int i = 0; i < kRing; ++i) ask(i, i);
  }
  // The group `ahead` turns from where the pointers are.
  __device__ __forceinline__ void ask(int slot, int ahead) {
    if (ahead >= left) return;
#pragma unroll
    for (int u = 0; u < Routed::kUnits; ++u) {
      ring[slot][u] = load_once(weights + ahead * kTeam * (Routed::kUnits * 512) + u * 512);
    }
    row0[slot] = __ldg(scales + ahead * kTeam * kTileRows);
    row1[slot] = __ldg(scales + ahead * kTeam * kTileRows + 8);
  }
  __device__ __forceinline__ void multiply(const uint4* x, float* sums) {
    const uint4* at = x + first * kGroupUnits<Routed> + threadIdx.x % 4;
    float* to = sums + first * kTileRows;
#pragma unroll 1
    for (; left > 0; left -= kRing) {
#pragma unroll
      for (int i = 0; i < kRing; ++i) {
        if (i >= left) break;
        uint4 units[Routed::kXUnits];
#pragma unroll
        for (int u = 0; u < Routed::kXUnits; ++u) {
          units[u] = at[i * kTeam * kGroupUnits<Routed> + u * 4];
        }
        float group_sums[4] = {};
        Routed::sum_group(Routed::unpack(ring[i]), units, row0[i], row1[i], group_sums);
        ask(i, i + kRing);
        keep_rows(group_sums, to + i * kTeam * kTileRows);
      }
      weights += kStep * (Routed::kUnits * 512);
      scales += kStep * kTileRows;
      at += kStep * kGroupUnits<Routed>;
      to += kStep * kTileRows;
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

constexpr int kMostSlices = 8;
using SliceSums = float[kMostSlices][kTileRows];

// Slices of k of a tile of the shared expert by a warp, of `warps` that have the tile.
template <class Fp8>
struct SharedTile {
  Source<Fp8> from;
  int end;
  Walk next;
  GroupWeights<Fp8> weights;  // of the group `next`

  __device__ SharedTile(const Tiles& m, int tile, int warp, int warps)
      : from(m, 0, tile, threadIdx.x % 32) {
    const int of_warp = (m.slices + warps - 1) / warps;
    const int first = warp * of_warp;
    end = min(first + of_warp, m.slices);
    next = {from.groups, m.slices, first, first};
    ask();
  }
  __device__ __forceinline__ void ask() {
    weights.load(from, next.slice < end ? next.group : from.groups);
  }
  __device__ __forceinline__ void multiply(const uint4* x, const float* scales, SliceSums& sums) {
    Activations<Fp8, true> columns;
    columns.locate(from.groups, threadIdx.x % 32, [](int) { return int64_t{0}; });
    float acc[4] = {};
#pragma unroll 1
    while (next.slice < end) {
      const Walk own = next;
      const auto fragments = Fp8::unpack(weights.weights);
      const uint32_t block_scale = weights.row0;
      next.advance();
      ask();
      columns.multiply(x, scales, fragments, block_scale, block_scale, own.group, acc);
      if (next.slice == own.slice) continue;
      keep_rows(acc, sums[own.slice]);
      for (float& sum : acc) sum = 0;
    }
  }
};
// A row of such a tile, rounded.
__device__ __forceinline__ float add_slices(const SliceSums& sums, int row, int slices) {
  float sum = 0;
  for (int slice = 0; slice < slices; ++slice) sum += sums[slice][row];
  return rounded<Bf16>(sum);
}

constexpr int kPairs = 6;  // tiles of gate, and as many of up, of a block
constexpr int kUpTiles = 2 * kPairs;
constexpr int kUpThreads = kUpTiles * kTeam * 32;
constexpr int kOfSharedUp = 8;                   // warps of a tile of the shared expert
constexpr int kSharedUpWarps = 2 * kOfSharedUp;  // of its gate and its up; the others route
constexpr int kSharedUpThreads = kSharedUpWarps * 32;

// x as it was arranged, a lane's units side by side, into the units of all lanes side by side.
template <class Feed>
__device__ __forceinline__ void copy_arranged(const Input& in, int groups, const Team& team,
                                              uint4* x) {
  constexpr int kUnits = kGroupUnits<Feed>;
  for (int i = team.own; i < groups * kUnits; i += team.threads) {
    const int in_group = i % kUnits;
    const int to = i - in_group + in_group % Feed::kXUnits * 4 + in_group / Feed::kXUnits;
    copy_async<16>(x + to, static_cast<const uint4*>(in.arranged) + i);
  }
  commit_async();
}

// The shared expert's hidden values, a tile of gate and one of up at a time.
template <class Fp8>
__device__ __forceinline__ void shared_hidden(const OneToken& p, const Team& team, uint4* x,
                                              float* scales, SliceSums (&sums)[2]) {
  const auto groups = static_cast<int>(p.shared_up.cols) / kGroup;
  const auto inter = static_cast<int>(p.down.cols);
  const int pairs = inter / kTileRows;
  const auto blocks = static_cast<int>(gridDim.x * gridDim.y);
  const int which = team.own / 32 / kOfSharedUp;
  const auto first = static_cast<int>(blockIdx.y * gridDim.x + blockIdx.x);
  auto* hidden = static_cast<Bf16*>(p.hidden) + p.routing.routing.per_token * inter;
  copy_arranged<Fp8>(p.shared_x, groups, team, x);
  for (int i = team.own; i < groups; i += team.threads) scales[i] = __ldcg(p.x.scales + i);
  for (int pair = first; pair < pairs; pair += blocks) {
    SharedTile<Fp8> tile(p.shared_up, which * pairs + pair, team.own / 32 % kOfSharedUp,
                         kOfSharedUp);
    wait_async<0>();
    team.sync();  // also: the sums of the pair before are read
    tile.multiply(x, scales, sums[which]);
    team.sync();
    wait_for_inputs();
    if (team.own >= kTileRows) continue;
    const float gate = add_slices(sums[0], team.own, p.shared_up.slices);
    const float up = add_slices(sums[1], team.own, p.shared_up.slices);
    hidden[pair * kTileRows + team.own] = put<Bf16>(gated_value(gate, up, p.limit, 1.0f));
  }
}

// Blocks (., place).
template <class Fp8>
__global__ void __launch_bounds__(kUpThreads, 1)
    one_token_up_kernel(const __grid_constant__ OneToken p) {
  __shared__ RoutedHere routed;
  __shared__ float results[kUpTiles * kTileRows];
  __shared__ SliceSums shared_sums[2];
  extern __shared__ uint4 x[];
  const auto own = static_cast<int>(threadIdx.x);
  const auto groups = static_cast<int>(p.up.cols) / kGroup;
  uint4* shared_x = x + column_units<Routed>(groups);
  auto* scales = reinterpret_cast<float*>(shared_x + column_units<Fp8>(groups));
  float* sums = scales + groups;
  const auto inter = static_cast<int>(p.down.cols);
  const int pairs = inter / kTileRows;
  const auto place = static_cast<int>(blockIdx.y);
  if (own < kSharedUpThreads) {
    shared_hidden<Fp8>(p, {1, kSharedUpThreads, own}, shared_x, scales, shared_sums);
  } else {
    const Team team{2, kUpThreads - kSharedUpThreads, own - kSharedUpThreads};
    copy_arranged<Routed>(p.x, groups, team, x);
    wait_for_inputs();
    route_here(p.routing, routed, blockIdx.x == 0 && place == 0, team);
    wait_async<0>();
  }
  __syncthreads();

  const int in_block = own / 32 / kTeam;
  const int pair = static_cast<int>(blockIdx.x) * kPairs + in_block / 2;
  const bool inside = pair < pairs;
  RoutedTile tile(p.up, routed.experts[place], (inside ? pair : 0) + in_block % 2 * pairs,
                  own / 32 % kTeam);
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
constexpr int kOfTile = kSharedWarps / kDownTiles;  // warps of a tile of the shared expert

template <class Fp8>
__global__ void __launch_bounds__(kDownWarps * 32, 1)
    one_token_down_kernel(const __grid_constant__ OneToken p, const __grid_constant__ Sides sides) {
  __shared__ RoutedHere routed;
  __shared__ SliceSums shared_sums[kDownTiles];
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
  // Logits are from the launch in front of the one in front.
  route_here(p.routing, routed, false, {0, kDownWarps * 32, static_cast<int>(threadIdx.x)});
  const auto* hidden = static_cast<const Bf16*>(p.hidden) + threadIdx.x % 32 * 4;
  if (warp >= kRoutedWarps) {
    const int own = warp - kRoutedWarps;
    SharedTile<Fp8> tile(p.shared_down, block * kDownTiles + own / kOfTile, own % kOfTile, kOfTile);
    wait_for_inputs();
    float* shared_scales = scales + per_token * groups;
    for (int group = own; group < groups; group += kSharedWarps) {
      float v[4];
      load_values(hidden + (per_token * groups + group) * kGroup, v);
      put_group<Fp8>(v, groups, 0, group, shared_x, shared_scales);
    }
    Team{1, kSharedWarps * 32, 0}.sync();
    tile.multiply(shared_x, shared_scales, shared_sums[own / kOfTile]);
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
        load_values(hidden + min(begin + i * kRoutedWarps, all - 1) * kGroup, v[i]);
      }
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        const int at = begin + i * kRoutedWarps;
        if (at >= all) break;
        put_group<Routed>(v[i], groups, at / groups, at % groups, x, scales);
      }
    }
    Team{2, kRoutedWarps * 32, 0}.sync();
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
  const float shared =
      add_slices(shared_sums[own / kTileRows], own % kTileRows, p.shared_down.slices);
  static_cast<Bf16*>(p.y)[block * kRows + own] = put<Bf16>(sum + shared);
}

template <class Fp8>
size_t up_shared(const OneToken& work) {
  const int64_t cols = work.up.cols;
  return static_cast<size_t>(column_bytes<Routed>(cols) + column_units<Fp8>(cols / kGroup) * 16) +
         sums_bytes(kUpTiles, cols);
}
template <class Fp8>
size_t down_shared(const OneToken& work) {
  const int64_t cols = work.down.cols;
  const int per_token = work.routing.routing.per_token;
  return static_cast<size_t>(per_token * column_bytes<Routed>(cols) + column_bytes<Fp8>(cols)) +
         sums_bytes(kDownTiles * per_token, cols);
}

// Calls run(policy) with that of the shared expert.
template <class Run>
void with_fp8(Feed feed, const Run& run) {
  if (feed == Feed::kFp8E4m3) return run(Fp8Feed<Feed::kFp8E4m3>());
  run(Fp8Feed<Feed::kFp8F16>());
}

}  // namespace

bool can_one_token(const OneToken& work) {
  const Routing& r = work.routing.routing;
  const Tiles& up = work.shared_up;
  const Tiles& down = work.shared_down;
  constexpr size_t kElse = 8192;  // what else a block has of shared memory, at most
  using Larger = Fp8Feed<Feed::kFp8F16>;
  return r.n == 1 && r.experts <= kRoutedExperts && r.per_token <= kRoutedSlots &&
         work.up.feed == Feed::kFp4Planes && work.up.slices == 1 &&
         work.down.feed == Feed::kFp4Planes && work.down.slices == 1 &&
         work.up.rows == 2 * work.down.cols && work.down.rows % (kDownTiles * kTileRows) == 0 &&
         (up.feed == Feed::kFp8F16 || up.feed == Feed::kFp8E4m3) && down.feed == up.feed &&
         up.rows == work.up.rows && up.cols == work.up.cols && down.rows == work.down.rows &&
         down.cols == work.down.cols && work.x.arranged != nullptr &&
         work.shared_x.arranged != nullptr && work.up.cols / kGroup <= kUpThreads &&
         std::max(up_shared<Larger>(work), down_shared<Larger>(work)) + kElse <=
             block_shared_bytes();
}

void one_token_up(Launch at, const OneToken& work) {
  const dim3 grid(blocks_for(work.down.cols / kTileRows, kPairs),
                  static_cast<unsigned>(work.routing.routing.per_token));
  with_fp8(work.shared_up.feed, [&](auto feed) {
    using Fp8 = decltype(feed);
    const size_t bytes = up_shared<Fp8>(work);
    allow_shared(one_token_up_kernel<Fp8>, bytes);
    start(at, one_token_up_kernel<Fp8>, grid, kUpThreads, bytes, work);
  });
}

void one_token_down(Launch at, const OneToken& work, const Sides& sides) {
  const auto blocks = static_cast<unsigned>(work.down.rows / (kDownTiles * kTileRows));
  with_fp8(work.shared_down.feed, [&](auto feed) {
    using Fp8 = decltype(feed);
    const size_t bytes = std::max(down_shared<Fp8>(work), sides.shared);
    allow_shared(one_token_down_kernel<Fp8>, bytes);
    start(at, one_token_down_kernel<Fp8>, static_cast<unsigned>(sides.blocks()) + blocks,
          kDownWarps * 32, bytes, work, sides);
  });
}

}  // namespace ds4::ops::cuda
