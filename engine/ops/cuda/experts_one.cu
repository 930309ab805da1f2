// The mixture of experts of one token (model.md 3.7) behind its router: two launches of about a
// block for each multiprocessor. In the first each block routes for itself and makes hidden values
// of one expert, gate and up side by side, so that nobody has to come back for their product; in
// the second a block has the same 32 rows of every expert's down, so that it can add them up. Both
// do what does not depend on the kernel in front while that one runs: x of the first, and all of
// the shared expert of the second. Sums come in the order of few_columns.cu and of combine(), so
// that results are the same bits.
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

__device__ __forceinline__ void barrier_of(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// The sums of a tile by its warp, column 0: rows g and g + 8 are in the lanes 4g.
__device__ __forceinline__ void keep_rows(const float (&acc)[4], float (&rows)[kTileRows]) {
  const int lane = threadIdx.x % 32;
  if (lane % 4 != 0) return;
  rows[lane / 4] = acc[0];
  rows[lane / 4 + 8] = acc[2];
}

// A tile of a routed expert by a warp: weights on their way, then the product with a column.
struct RoutedTile {
  Source<Routed> from;
  GroupWeights<Routed> ring[Routed::kRing];

  __device__ RoutedTile(const Tiles& m, int expert, int tile)
      : from(m, expert, tile, threadIdx.x % 32) {
#pragma unroll
    for (int i = 0; i < Routed::kRing; ++i) ring[i].load(from, i);
  }
  __device__ __forceinline__ void multiply(const uint4* x, const float* scales, int column,
                                           float (&acc)[4]) {
    Activations<Routed, true> columns;
    columns.locate(from.groups, threadIdx.x % 32, [&](int) { return int64_t{column}; });
#pragma unroll 1
    for (int group = 0; group < from.groups; group += Routed::kRing) {
#pragma unroll
      for (int i = 0; i < Routed::kRing; ++i) {
        columns.multiply(x, scales, Routed::unpack(ring[i].weights), ring[i].row0, ring[i].row1,
                         min(group + i, from.groups - 1), acc);
        ring[i].load(from, group + Routed::kRing + i);
      }
    }
  }
};

constexpr int kUpWarps = 12;
constexpr int kPairs = kUpWarps / 2;  // tiles of gate, and as many of up, of a block

// Blocks (., place).
__global__ void __launch_bounds__(kUpWarps * 32, 1)
    one_token_up_kernel(const __grid_constant__ OneToken p) {
  __shared__ RoutedHere routed;
  __shared__ float sums[kUpWarps][kTileRows];
  extern __shared__ uint4 x[];
  const auto groups = static_cast<int>(p.up.cols) / kGroup;
  auto* scales = reinterpret_cast<float*>(x + column_units<Routed>(groups));
  // From a lane's units side by side to the units of all lanes side by side.
  constexpr int kUnits = kGroupUnits<Routed>;
  for (int i = threadIdx.x; i < groups * kUnits; i += kUpWarps * 32) {
    const int in_group = i % kUnits;
    const int to = i - in_group + in_group % Routed::kXUnits * 4 + in_group / Routed::kXUnits;
    copy_async<16>(x + to, static_cast<const uint4*>(p.x.arranged) + i);
  }
  commit_async();
  if (threadIdx.x < groups) scales[threadIdx.x] = __ldcg(p.x.scales + threadIdx.x);
  wait_for_inputs();
  const auto place = static_cast<int>(blockIdx.y);
  route_here(p.routing, routed, blockIdx.x == 0 && place == 0);

  const int warp = threadIdx.x / 32;
  const auto inter = static_cast<int>(p.down.cols);
  const int pair = static_cast<int>(blockIdx.x) * kPairs + warp / 2;
  const bool inside = pair * kTileRows < inter;
  RoutedTile tile(p.up, routed.experts[place],
                  (inside ? pair : 0) + warp % 2 * (inter / kTileRows));
  wait_async<0>();
  __syncthreads();
  float acc[4] = {};
  if (inside) tile.multiply(x, scales, 0, acc);
  keep_rows(acc, sums[warp]);
  __syncthreads();
  const auto own = static_cast<int>(threadIdx.x);
  const int row = static_cast<int>(blockIdx.x) * kPairs * kTileRows + own;
  if (own >= kPairs * kTileRows || row >= inter) return;
  const float(&gate_and_up)[2][kTileRows] =
      reinterpret_cast<const float(&)[2][kTileRows]>(sums[own / kTileRows * 2]);
  const float gate = rounded<Bf16>(0.0f + gate_and_up[0][own % kTileRows]);
  const float up = rounded<Bf16>(0.0f + gate_and_up[1][own % kTileRows]);
  static_cast<Bf16*>(p.hidden)[place * inter + row] =
      put<Bf16>(gated_value(gate, up, p.limit, routed.weights[place]));
}

constexpr int kDownTiles = 2;  // of a block and expert
constexpr int kSharedWarps = 4;
constexpr int kDownWarps = kDownTiles * kRoutedSlots + kSharedWarps;
constexpr int kMostSlices = 8;
constexpr int kOfTile = kSharedWarps / kDownTiles;  // warps of a tile of the shared expert

// Values 4 * lane .. + 3 of a group from past L1.
__device__ __forceinline__ void load_late(const void* values, int64_t k, float (&v)[4]) {
  const uint2 bits = __ldcg(reinterpret_cast<const uint2*>(static_cast<const Bf16*>(values) + k) +
                            threadIdx.x % 32);
  v[0] = __uint_as_float(bits.x << 16);
  v[1] = __uint_as_float(bits.x & 0xffff0000u);
  v[2] = __uint_as_float(bits.y << 16);
  v[3] = __uint_as_float(bits.y & 0xffff0000u);
}

// The shared expert by its warps: hidden values, then two tiles, of which each warp has some
// slices.
template <class Fp8>
__device__ __forceinline__ void shared_rows(const OneToken& p, int block, uint4* x, float* scales,
                                            float (&sums)[kDownTiles][kMostSlices][kTileRows]) {
  const int own = static_cast<int>(threadIdx.x) / 32 - (kDownWarps - kSharedWarps);
  const Tiles& m = p.shared;
  const Source<Fp8> from(m, 0, block * kDownTiles + own / kOfTile, threadIdx.x % 32);
  const int of_warp = (m.slices + kOfTile - 1) / kOfTile;
  const int first = own % kOfTile * of_warp;
  const int end = min(first + of_warp, m.slices);
  GroupWeights<Fp8> ring[2];
  Walk coming{from.groups, m.slices, first, first};
  Walk walk = coming;
  const auto ask = [&](GroupWeights<Fp8>& weights) {
    weights.load(from, coming.slice < end ? coming.group : from.groups);
    coming.advance();
  };
  ask(ring[0]);
  ask(ring[1]);
  for (int group = own; group < from.groups; group += kSharedWarps) {
    float v[4];
    float up[4];
    load_late(p.shared_up, int64_t{group} * kGroup, v);
    load_late(p.shared_up, m.cols + int64_t{group} * kGroup, up);
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = rounded<Bf16>(gated_value(v[i], up[i], p.limit, 1.0f));
    put_group<Fp8>(v, from.groups, 0, group, x, scales);
  }
  barrier_of(1, kSharedWarps * 32);
  Activations<Fp8, true> columns;
  columns.locate(from.groups, threadIdx.x % 32, [](int) { return int64_t{0}; });
  float acc[4] = {};
#pragma unroll 1
  while (walk.slice < end) {
#pragma unroll
    for (auto& weights : ring) {
      if (walk.slice >= end) break;
      columns.multiply(x, scales, Fp8::unpack(weights.weights), weights.row0, weights.row1,
                       walk.group, acc);
      ask(weights);
      if (walk.ends_slice()) {
        keep_rows(acc, sums[own / kOfTile][walk.slice]);
        for (float& sum : acc) sum = 0;
      }
      walk.advance();
    }
  }
}

template <class Fp8>
__global__ void __launch_bounds__(kDownWarps * 32, 1)
    one_token_down_kernel(const __grid_constant__ OneToken p, const __grid_constant__ Sides sides) {
  __shared__ float routed_sums[kRoutedSlots][kDownTiles][kTileRows];
  __shared__ float shared_sums[kDownTiles][kMostSlices][kTileRows];
  extern __shared__ uint4 memory[];
  auto block = static_cast<int>(blockIdx.x);
  if (block < sides.blocks()) {
    if (threadIdx.x >= kSideThreads) return;
    wait_for_inputs();
    return run_side<Bf16>(sides, block);
  }
  block -= sides.blocks();
  const int per_token = p.routing.routing.per_token;
  const auto groups = static_cast<int>(p.down.cols) / kGroup;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int routed_warps = kDownWarps - kSharedWarps;
  uint4* x = memory;  // of the routed experts, then of the shared one; their scales
  uint4* shared_x = x + per_token * column_units<Routed>(groups);
  auto* scales = reinterpret_cast<float*>(shared_x + column_units<Fp8>(groups));
  if (warp >= routed_warps) {
    // Gate and up are from the launch in front of the one in front.
    shared_rows<Fp8>(p, block, shared_x, scales + per_token * groups, shared_sums);
    wait_for_inputs();
  } else {
    wait_for_inputs();
    const int slot = warp / kDownTiles;
    const int own = lane < per_token ? p.routing.ids[lane] : INT32_MAX;
    int place = 0;
    for (int j = 0; j < per_token; ++j) {
      const int other = __shfl_sync(0xffffffffu, own, j);
      place += other < own || (other == own && j < lane);
    }
    const unsigned found = __ballot_sync(0xffffffffu, lane < per_token && place == slot);
    const int expert = __shfl_sync(0xffffffffu, own, found ? __ffs(found) - 1 : 0);
    RoutedTile tile(p.down, expert, block * kDownTiles + warp % kDownTiles);
    constexpr int kStep = 4;
#pragma unroll 1
    for (int begin = warp; begin < per_token * groups; begin += kStep * routed_warps) {
      float v[kStep][4];
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        const int at = min(begin + i * routed_warps, per_token * groups - 1);
        load_values(static_cast<const Bf16*>(p.hidden) + int64_t{at} * kGroup + lane * 4, v[i]);
      }
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        const int at = begin + i * routed_warps;
        if (at >= per_token * groups) break;
        put_group<Routed>(v[i], groups, at / groups, at % groups, x, scales);
      }
    }
    barrier_of(2, routed_warps * 32);
    if (slot < per_token) {
      float acc[4] = {};
      tile.multiply(x, scales, slot, acc);
      keep_rows(acc, routed_sums[slot][warp % kDownTiles]);
    }
  }
  __syncthreads();
  const auto own = static_cast<int>(threadIdx.x);
  if (own >= kDownTiles * kTileRows) return;
  const int tile = own / kTileRows;
  const int row = own % kTileRows;
  float sum = 0;
  for (int slot = 0; slot < per_token; ++slot) {
    sum += rounded<Bf16>(0.0f + routed_sums[slot][tile][row]);
  }
  float shared = 0;
  for (int slice = 0; slice < p.shared.slices; ++slice) shared += shared_sums[tile][slice][row];
  static_cast<Bf16*>(p.y)[block * kDownTiles * kTileRows + own] =
      put<Bf16>(sum + rounded<Bf16>(shared));
}

}  // namespace

bool can_one_token(const OneToken& work) {
  const Routing& r = work.routing.routing;
  const Feed shared = work.shared.feed;
  return r.n == 1 && r.experts <= kRoutedExperts && r.per_token <= kRoutedSlots &&
         work.up.feed == Feed::kFp4Planes && work.up.slices == 1 &&
         work.down.feed == Feed::kFp4Planes && work.down.slices == 1 &&
         work.up.rows == 2 * work.down.cols && work.down.rows % (kDownTiles * kTileRows) == 0 &&
         (shared == Feed::kFp8F16 || shared == Feed::kFp8E4m3) &&
         work.shared.rows == work.down.rows && work.shared.cols == work.down.cols &&
         work.x.arranged != nullptr && work.up.cols / kGroup <= kUpWarps * 32;
}

void one_token_up(Launch at, const OneToken& work) {
  const dim3 grid(blocks_for(work.down.cols / kTileRows, kPairs),
                  static_cast<unsigned>(work.routing.routing.per_token));
  const size_t bytes = column_bytes<Routed>(work.up.cols);
  allow_shared(one_token_up_kernel, bytes);
  start(at, one_token_up_kernel, grid, kUpWarps * 32, bytes, work);
}

void one_token_down(Launch at, const OneToken& work, const Sides& sides) {
  const auto launch = [&](auto feed) {
    using Fp8 = decltype(feed);
    const int64_t cols = work.down.cols;
    const auto bytes = static_cast<size_t>(
        work.routing.routing.per_token * column_bytes<Routed>(cols) + column_bytes<Fp8>(cols));
    const auto kernel = one_token_down_kernel<Fp8>;
    allow_shared(kernel, std::max(bytes, sides.shared));
    const auto blocks = static_cast<unsigned>(work.down.rows / (kDownTiles * kTileRows));
    start(at, kernel, static_cast<unsigned>(sides.blocks()) + blocks, kDownWarps * 32,
          std::max(bytes, sides.shared), work, sides);
  };
  if (work.shared.feed == Feed::kFp8E4m3) {
    launch(Fp8Feed<Feed::kFp8E4m3>());
  } else {
    launch(Fp8Feed<Feed::kFp8F16>());
  }
}

}  // namespace ds4::ops::cuda
