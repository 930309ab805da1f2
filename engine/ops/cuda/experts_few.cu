// The mixture of experts of up to eight tokens (model.md 3.7) behind their router: two launches of
// about a block for each multiprocessor. In the first each block makes hidden values of the shared
// expert, for which it needs no routing, while some of its warps wait for the router and route;
// then its share of gate and up of all chosen experts, side by side, so that nobody has to come
// back for their product. In the second it has a share of down; with one token the same rows of
// every expert, so that it can add them up. Both do what does not depend on the kernel in front
// while that one runs. Sums come in the order of few_columns.cu and of combine(), so that results
// are the same bits.
#include <algorithm>

#include "engine/ops/cuda/few_columns.cuh"
#include "engine/ops/cuda/routing.cuh"
#include "engine/ops/cuda/sides.cuh"

namespace ds4::ops::cuda {
namespace {

using Routed = Fp4PlanesFeed;

constexpr int kRoutedWarps = 24;  // of a block
constexpr int kRoutedThreads = kRoutedWarps * 32;

// A unit of work is two tiles of a job's expert, by a team. A tile's `parts` warps take turns with
// the groups of k: what a warp waits for, its instructions behind each other more than its bytes,
// the others fill.
template <int parts>
constexpr int kTeamThreads = 2 * parts * 32;
template <int parts>
constexpr int kTeams = kRoutedThreads / kTeamThreads<parts>;  // of a block
constexpr int kUpParts = 4;
constexpr int kDownParts = 2;

// Tile i of pair p is p * step + i * apart.
struct Units {
  const Tiles& m;
  const RoutedFew& routed;
  int pairs;  // of an expert
  int step, apart;

  __device__ int groups() const { return static_cast<int>(m.cols) / kGroup; }
};

// What is the same for all lanes, so that the compiler knows it is.
__device__ __forceinline__ int uniform(int v) {
  return __shfl_sync(0xffffffffu, v, 0);
}

// The unit where a team is, and how many it has with that one.
struct Place {
  int job, pair, left;

  __device__ Place of_warp() const { return {uniform(job), uniform(pair), uniform(left)}; }

  __device__ __forceinline__ void advance(int units, int pairs) {
    --left;
    for (pair += units; pair >= pairs; pair -= pairs) ++job;
  }
};

// A block's share of the units of all jobs, of which its teams take turns.
struct Share {
  int first, end;

  __device__ Share(const Units& units, int block, int blocks) {
    const int all = units.routed.n_jobs * units.pairs;
    first = all * block / blocks;
    end = all * (block + 1) / blocks;
  }
  __device__ Place place(const Units& units, int team, int teams) const {
    const int unit = first + team;
    const int job = unit / units.pairs;
    return {job, unit - job * units.pairs, max(0, (end - unit + teams - 1) / teams)};
  }
};

// The sums of a tile by its warp into [column][row].
__device__ __forceinline__ void keep_columns(const float (&acc)[4], float* to, int columns) {
  const int lane = threadIdx.x % 32;
  const int column = lane % 4 * 2;
  float* rows = to + column * kTileRows + lane / 4;
  if (column < columns) {
    rows[0] = acc[0];
    rows[8] = acc[2];
  }
  if (column + 1 < columns) {
    rows[kTileRows] = acc[1];
    rows[kTileRows + 8] = acc[3];
  }
}

// The weights of a warp on their way in: its groups of one tile of a unit, then of its team's next
// unit. Addresses count up, which takes fewer instructions.
template <int parts>
struct TileParts {
  static constexpr int kRing = 2;
  static constexpr int kStep = kRing * parts;  // groups
  const uint8_t* weights;                      // of the first group under way
  const uint32_t* scales;
  uint4 ring[kRing][Routed::kUnits];
  uint32_t row0[kRing], row1[kRing];

  __device__ TileParts(const Units& of, int warp, const Place& at) {
    if (at.left == 0) return;
    locate(of, warp, at);
#pragma unroll
    for (int i = 0; i < kRing; ++i) ask(i, i);
  }
  __device__ __forceinline__ void locate(const Units& of, int warp, const Place& at) {
    const int tile = at.pair * of.step + warp / parts * of.apart;
    const Source<Routed> from(of.m, of.routed.jobs[at.job].expert, tile, threadIdx.x % 32);
    weights = from.weights + warp % parts * (Routed::kUnits * 512);
    scales = from.scale_words + warp % parts * kTileRows;
  }
  __device__ __forceinline__ void move(int groups) {
    weights += groups * (Routed::kUnits * 512);
    scales += groups * kTileRows;
  }
  // The group `ahead` turns from where the pointers are.
  __device__ __forceinline__ void ask(int slot, int ahead) {
#pragma unroll
    for (int u = 0; u < Routed::kUnits; ++u) {
      ring[slot][u] = load_once(weights + ahead * parts * (Routed::kUnits * 512) + u * 512);
    }
    row0[slot] = __ldg(scales + ahead * parts * kTileRows);
    row1[slot] = __ldg(scales + ahead * parts * kTileRows + 8);
  }

  // A unit: the sums of the warp's groups, `stride` floats apart from `to` on, [column][row] each.
  // Then `at` is at the team's next unit, whose first groups are on their way. x is that of the
  // lane's column; `one`: there is one.
  template <bool one>
  __device__ __forceinline__ void multiply(const Units& units, Place& at, int warp, const uint4* x,
                                           float* to, int stride, int columns) {
    bool more = true;
#pragma unroll 1
    for (int left = units.groups() / parts; left > 0; left -= kRing) {
      if (left == kRing) {  // the next groups are another unit's
        at.advance(kTeams<parts>, units.pairs);
        more = at.left > 0;
        if (more) locate(units, warp, at);
        move(-kStep);
      }
#pragma unroll
      for (int i = 0; i < kRing; ++i) {
        if (i >= left) break;  // never: it keeps the loads of a group where they are
        uint4 own[Routed::kXUnits];
#pragma unroll
        for (int u = 0; u < Routed::kXUnits; ++u) {
          own[u] = x[i * parts * kGroupUnits<Routed> + u * 4];
        }
        float sums[4] = {};
        Routed::sum_group(Routed::unpack(ring[i]), own, row0[i], row1[i], sums);
        if (more) ask(i, i + kRing);
        keep_columns(sums, to + i * parts * stride, one ? 1 : columns);
      }
      x += kStep * kGroupUnits<Routed>;
      to += kStep * stride;
      move(kStep);
    }
  }
};

// Floats of the sums of groups that a unit has of so many columns.
__host__ __device__ constexpr int unit_floats(int groups, int columns) {
  return 2 * groups * columns * kTileRows;
}

// All units of a team. Sums of groups meet in `sums` [tile][group][column][row], with room for n
// columns, and are added in the order in which one warp would, a column by a warp. `one`: of one
// token. column_of(place): where x of a place is in shared memory; store(place, pair, result): by
// lane, row after row of both tiles.
template <bool one, int parts, class ColumnOf, class Store>
__device__ __forceinline__ void multiply_units(const Units& units, TileParts<parts>& tiles,
                                               Place& at, const Team& team, int n, const uint4* x,
                                               const float* x_scales, float* sums,
                                               const ColumnOf& column_of, const Store& store) {
  const int lane = threadIdx.x % 32;
  const int warp = uniform(team.own / 32);
  const int groups = units.groups();
  const int stride = n * kTileRows;
  float* own_sums = sums + (warp / parts * groups + warp % parts) * stride;
  const uint4* own_x = x + warp % parts * kGroupUnits<Routed> + lane % 4;
#pragma unroll 1
  while (at.left > 0) {
    const FewJob job = units.routed.jobs[at.job];
    const int pair = at.pair;
    // Lanes beyond the last column read column 0 again: columns never mix, theirs is not kept.
    const int column = !one && lane / 4 < job.columns ? lane / 4 : 0;
    const uint4* columns_x = own_x + column_of(job.first + column) * column_units<Routed>(groups);
    if (one || job.columns == 1) {
      tiles.template multiply<true>(units, at, warp, columns_x, own_sums, stride, 1);
    } else {
      tiles.template multiply<false>(units, at, warp, columns_x, own_sums, stride, job.columns);
    }
    team.sync();
    for (int added = warp; added < job.columns; added += 2 * parts) {
      const int place = job.first + added;
      const float* scales = x_scales + column_of(place) * groups;
      const float* from =
          sums + (lane / kTileRows * groups * n + added) * kTileRows + lane % kTileRows;
      float acc = 0;
#pragma unroll 8
      for (int group = 0; group < groups; ++group) {
        acc = fmaf(from[group * stride], scales[group] * Routed::kBias, acc);
      }
      store(place, pair, 0.0f + acc);
    }
    team.sync();
  }
}

constexpr int kMostSlices = 8;
// The sums of slices of k of a tile of the shared expert: [slice][column][row].
struct SliceSums {
  float* memory;
  int columns;

  __host__ __device__ static constexpr int floats(int columns) {
    return kMostSlices * columns * kTileRows;
  }
  __device__ float* of(int slice) const { return memory + slice * columns * kTileRows; }
  // A result [column][row], rounded.
  __device__ __forceinline__ float add(int slices, int at) const {
    float sum = 0;
    for (int slice = 0; slice < slices; ++slice) sum += of(slice)[at];
    return rounded<Bf16>(sum);
  }
};

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
  __device__ __forceinline__ void multiply(const uint4* x, const float* scales,
                                           const SliceSums& sums) {
    Activations<Fp8, true> columns;
    columns.locate(from.groups, threadIdx.x % 32,
                   [&](int column) { return int64_t{column < sums.columns ? column : 0}; });
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
      keep_columns(acc, sums.of(own.slice), sums.columns);
      for (float& sum : acc) sum = 0;
    }
  }
};

constexpr int kOfSharedUp = 8;                          // warps of a tile of the shared expert
constexpr int kSharedUpThreads = 2 * kOfSharedUp * 32;  // of its gate and its up; the others route

// The shared expert's hidden values, a tile of gate and one of up at a time; and x, for which its
// first weights do not wait. `memory`: x in its own order, then sums.
template <class Fp8>
__device__ __forceinline__ void shared_hidden(const FewTokens& p, int n, const Team& team,
                                              uint4* routed_x, float* scales, uint4* memory) {
  const auto groups = static_cast<int>(p.up.cols) / kGroup;
  const auto inter = static_cast<int>(p.down.cols);
  const int pairs = inter / kTileRows;
  const int warp = team.own / 32;
  const auto tile_of = [&](int pair) {
    return SharedTile<Fp8>(p.shared_up, warp / kOfSharedUp * pairs + min(pair, pairs - 1),
                           warp % kOfSharedUp, kOfSharedUp);
  };
  auto pair = static_cast<int>(blockIdx.x);
  SharedTile<Fp8> tile = tile_of(pair);
  put_codes<Routed, Fp8>(p.x.codes, n, groups, warp, team.threads / 32, routed_x, memory);
  for (int i = team.own; i < n * groups; i += team.threads) scales[i] = __ldcg(p.x.scales + i);
  auto* sums = reinterpret_cast<float*>(memory + n * column_units<Fp8>(groups));
  const SliceSums gate{sums, n};
  const SliceSums up{sums + SliceSums::floats(n), n};
  auto* hidden = static_cast<Bf16*>(p.hidden) + int64_t{n} * p.routing.routing.per_token * inter;
  while (pair < pairs) {
    team.sync();  // x is there, or the sums of the pair before are read
    tile.multiply(memory, scales, warp < kOfSharedUp ? gate : up);
    team.sync();
    wait_for_inputs();
    if (team.own < n * kTileRows) {
      const int slices = p.shared_up.slices;
      const float value =
          gated_value(gate.add(slices, team.own), up.add(slices, team.own), p.limit, 1.0f);
      hidden[team.own / kTileRows * inter + pair * kTileRows + team.own % kTileRows] =
          put<Bf16>(value);
    }
    pair += static_cast<int>(gridDim.x);
    if (pair < pairs) tile = tile_of(pair);
  }
}

// `one`: of one token.
template <class Fp8, bool one>
__global__ void __launch_bounds__(kRoutedThreads, 1)
    few_tokens_up_kernel(const __grid_constant__ FewTokens p) {
  __shared__ RoutedFew routed;
  __shared__ Place places[32];  // of the teams, again and again: a lane each
  extern __shared__ uint4 x[];
  const auto own = static_cast<int>(threadIdx.x);
  const int n = one ? 1 : p.routing.routing.n;
  const auto groups = static_cast<int>(p.up.cols) / kGroup;
  const auto inter = static_cast<int>(p.down.cols);
  auto* scales = reinterpret_cast<float*>(x + n * column_units<Routed>(groups));
  float* memory = scales + n * groups;  // first of the shared expert and the routing, then sums
  constexpr int kParts = kUpParts;
  const Units units{p.up, routed, inter / kTileRows, 1, inter / kTileRows};
  if (own < kSharedUpThreads) {
    shared_hidden<Fp8>(p, n, {1, kSharedUpThreads, own}, x, scales,
                       reinterpret_cast<uint4*>(memory));
  } else {
    const Team team{2, kRoutedThreads - kSharedUpThreads, own - kSharedUpThreads};
    wait_for_inputs();
    route_tokens(p.routing, n, routed,
                 memory + n * column_units<Fp8>(groups) * 4 + 2 * SliceSums::floats(n),
                 blockIdx.x == 0, team);
    if (team.own < 32) {
      const Share share(units, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
      places[team.own] = share.place(units, team.own % kTeams<kParts>, kTeams<kParts>);
    }
  }
  __syncthreads();

  const int in_block = own / kTeamThreads<kParts>;
  Place at = places[in_block].of_warp();
  const Team team{1 + in_block, kTeamThreads<kParts>, own % kTeamThreads<kParts>};
  TileParts<kParts> tiles(units, uniform(team.own / 32), at);
  multiply_units<one>(
      units, tiles, at, team, n, x, scales, memory + in_block * unit_floats(groups, n),
      [&](int place) { return routed.tokens[place]; },
      [&](int place, int pair, float result) {
        const float gate = rounded<Bf16>(result);
        const float up = __shfl_down_sync(0xffffffffu, gate, kTileRows);
        if (own % 32 >= kTileRows) return;
        static_cast<Bf16*>(p.hidden)[place * inter + pair * kTileRows + own % 32] =
            put<Bf16>(gated_value(gate, up, p.limit, routed.weights[place]));
      });
}

constexpr int kDownTiles = 2;  // of an expert, that a block makes together
constexpr int kDownRows = kDownTiles * kTileRows;
constexpr int kSharedWarps = 4;
constexpr int kSharedThreads = kSharedWarps * 32;
constexpr int kDownThreads = kRoutedThreads + kSharedThreads;

// Columns of hidden values quantised into shared memory by some warps.
template <class Feed>
__device__ __forceinline__ void arrange_hidden(const Bf16* hidden, int columns, int groups,
                                               int warp, int warps, uint4* x, float* scales) {
  constexpr int kStep = 4;  // groups whose loads go together
  const int all = columns * groups;
  hidden += threadIdx.x % 32 * 4;
#pragma unroll 1
  for (int begin = warp; begin < all; begin += kStep * warps) {
    float v[kStep][4];
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      load_values(hidden + int64_t{min(begin + i * warps, all - 1)} * kGroup, v[i]);
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int at = begin + i * warps;
      if (at >= all) break;
      put_group<Feed>(v[i], groups, at / groups, at % groups, x, scales);
    }
  }
}

// What a block of down has in shared memory.
template <class Fp8>
struct DownMemory {
  int columns;  // of routed experts' x
  int n, groups;

  __host__ __device__ DownMemory(const Routing& r, int of_groups)
      : columns(r.n == 1 ? r.per_token : 2 * r.n), n(r.n), groups(of_groups) {}
  __host__ __device__ int shared_x() const { return columns * column_units<Routed>(groups); }
  __host__ __device__ int scales() const { return shared_x() + n * column_units<Fp8>(groups); }
  __host__ __device__ int floats(const Routing& r) const {
    return (columns + n) * groups + kTeams<kDownParts> * unit_floats(groups, n) +
           kDownTiles * SliceSums::floats(n) + route_tokens_floats(n, r.experts);
  }
};

// `one`: of one token, whose sum it makes.
template <class Fp8, bool one>
__global__ void __launch_bounds__(kDownThreads, 1)
    few_tokens_down_kernel(const __grid_constant__ FewTokens p,
                           const __grid_constant__ Sides sides) {
  __shared__ RoutedFew routed;
  __shared__ float results[one ? kRoutedSlots : 1][kDownRows];  // of one token, by place
  extern __shared__ uint4 memory[];
  const int block = static_cast<int>(blockIdx.x) - sides.blocks();
  if (block < 0) {
    if (threadIdx.x >= kSideThreads) return;
    return run_side<Bf16>(sides, static_cast<int>(blockIdx.x));
  }
  const int blocks = static_cast<int>(gridDim.x) - sides.blocks();
  const auto own = static_cast<int>(threadIdx.x);
  const Routing& r = p.routing.routing;
  const int n = one ? 1 : r.n;
  const auto groups = static_cast<int>(p.down.cols) / kGroup;
  const auto rows = static_cast<int>(p.down.rows);
  const DownMemory<Fp8> has(r, groups);
  uint4* shared_x = memory + has.shared_x();
  auto* scales = reinterpret_cast<float*>(memory + has.scales());
  float* shared_scales = scales + has.columns * groups;
  float* sums = shared_scales + n * groups;
  float* slice_sums = sums + kTeams<kDownParts> * unit_floats(groups, n);
  // Logits are from the launch in front of the one in front.
  route_tokens(p.routing, n, routed, slice_sums + kDownTiles * SliceSums::floats(n), false,
               {0, kDownThreads, own});
  const auto* hidden = static_cast<const Bf16*>(p.hidden);
  if (own >= kRoutedThreads) {
    constexpr int kOfTile = kSharedWarps / kDownTiles;  // warps of a tile
    const Team team{1, kSharedThreads, own - kRoutedThreads};
    const int warp = team.own / 32;
    const SliceSums tile_sums{slice_sums + warp / kOfTile * SliceSums::floats(n), n};
    bool waited = false;
    for (int first = block * kDownTiles; first * kTileRows < rows; first += blocks * kDownTiles) {
      SharedTile<Fp8> tile(p.shared_down, first + warp / kOfTile, warp % kOfTile, kOfTile);
      wait_for_inputs();
      if (!waited) {
        arrange_hidden<Fp8>(hidden + int64_t{n} * r.per_token * groups * kGroup, n, groups, warp,
                            kSharedWarps, shared_x, shared_scales);
      }
      waited = true;
      team.sync();  // also: the sums of the tiles before are read
      tile.multiply(shared_x, shared_scales, tile_sums);
      if constexpr (one) break;  // a block has two tiles
      team.sync();
      for (int i = team.own; i < kDownTiles * n * kTileRows; i += kSharedThreads) {
        const int in_tile = i % (n * kTileRows);
        const int tile_of = i / (n * kTileRows);
        const SliceSums made{slice_sums + tile_of * SliceSums::floats(n), n};
        static_cast<Bf16*>(p.shared_y)[int64_t{in_tile / kTileRows} * rows +
                                       (first + tile_of) * kTileRows + in_tile % kTileRows] =
            put<Bf16>(made.add(p.shared_down.slices, in_tile));
      }
    }
  } else {
    const int in_block = own / kTeamThreads<kDownParts>;
    const Team team{2 + in_block, kTeamThreads<kDownParts>, own % kTeamThreads<kDownParts>};
    const Units units{p.down, routed, rows / kDownRows, kDownTiles, 1};
    Place at{in_block, block, in_block < routed.n_jobs};
    int first = 0;
    int columns = r.per_token;
    if constexpr (!one) {
      const Share share(units, block, blocks);
      at = share.place(units, in_block, kTeams<kDownParts>);
      // Of at most two jobs, whose places are neighbours.
      const FewJob last = routed.jobs[(share.end - 1) / units.pairs];
      first = routed.jobs[share.first / units.pairs].first;
      columns = last.first + last.columns - first;
    }
    at = at.of_warp();
    TileParts<kDownParts> tiles(units, uniform(team.own / 32), at);
    wait_for_inputs();
    arrange_hidden<Routed>(hidden + int64_t{first} * groups * kGroup, columns, groups, own / 32,
                           kRoutedWarps, memory, scales);
    Team{2 + kTeams<kDownParts>, kRoutedThreads, own}.sync();
    multiply_units<one>(
        units, tiles, at, team, n, memory, scales, sums + in_block * unit_floats(groups, n),
        [&](int place) { return place - first; },
        [&](int place, int pair, float result) {
          if constexpr (one) {
            results[place][own % 32] = rounded<Bf16>(result);
          } else {
            static_cast<Bf16*>(p.routed_y)[int64_t{place} * rows + pair * kDownRows + own % 32] =
                put<Bf16>(result);
          }
        });
  }
  if constexpr (one) {
    __syncthreads();
    if (own >= kDownRows) return;
    float sum = 0;
    for (int place = 0; place < r.per_token; ++place) sum += results[place][own];
    const SliceSums made{slice_sums + own / kTileRows * SliceSums::floats(1), 1};
    const float shared = made.add(p.shared_down.slices, own % kTileRows);
    static_cast<Bf16*>(p.y)[block * kDownRows + own] = put<Bf16>(sum + shared);
  }
}

template <class Fp8>
size_t up_shared(const FewTokens& work) {
  const Routing& r = work.routing.routing;
  const auto groups = static_cast<int>(work.up.cols / kGroup);
  const int first = r.n * column_units<Fp8>(groups) * 4 + 2 * SliceSums::floats(r.n) +
                    route_tokens_floats(r.n, r.experts);
  const int then = kTeams<kUpParts> * unit_floats(groups, r.n);
  return static_cast<size_t>(r.n * (column_units<Routed>(groups) * 4 + groups) +
                             std::max(first, then)) *
         4;
}
template <class Fp8>
size_t down_shared(const FewTokens& work) {
  const Routing& r = work.routing.routing;
  const DownMemory<Fp8> has(r, static_cast<int>(work.down.cols / kGroup));
  return static_cast<size_t>(has.scales()) * 16 + static_cast<size_t>(has.floats(r)) * 4;
}

// Calls run(policy) with that of the shared expert.
template <class Run>
void with_fp8(Feed feed, const Run& run) {
  if (feed == Feed::kFp8E4m3) return run(Fp8Feed<Feed::kFp8E4m3>());
  run(Fp8Feed<Feed::kFp8F16>());
}

// A block has units of two jobs at most if there are not fewer blocks than jobs.
int down_blocks(const FewTokens& work, const Sides& sides) {
  const Routing& r = work.routing.routing;
  if (r.n == 1) return static_cast<int>(work.down.rows / kDownRows);
  return std::max(multiprocessors() - sides.blocks(), r.n * r.per_token);
}

}  // namespace

bool can_few_tokens(const FewTokens& work) {
  const Routing& r = work.routing.routing;
  const Tiles& up = work.shared_up;
  const Tiles& down = work.shared_down;
  constexpr size_t kElse = 4096;  // what else a block has of shared memory, at most
  using Larger = Fp8Feed<Feed::kFp8F16>;
  const auto cut = [](const Tiles& m, int groups) {
    return m.feed == Feed::kFp4Planes && m.slices == 1 && m.cols % (groups * kGroup) == 0;
  };
  return work.x.codes != nullptr && r.n <= kFewColumns && r.per_token <= kRoutedSlots &&
         cut(work.up, TileParts<kUpParts>::kStep) && cut(work.down, TileParts<kDownParts>::kStep) &&
         work.up.rows == 2 * work.down.cols && work.down.rows % kDownRows == 0 &&
         (up.feed == Feed::kFp8F16 || up.feed == Feed::kFp8E4m3) && down.feed == up.feed &&
         up.rows == work.up.rows && up.cols == work.up.cols && down.rows == work.down.rows &&
         down.cols == work.down.cols &&
         std::max(up_shared<Larger>(work), down_shared<Larger>(work)) + kElse <=
             block_shared_bytes();
}

void few_tokens_up(Launch at, const FewTokens& work) {
  with_fp8(work.shared_up.feed, [&](auto feed) {
    using Fp8 = decltype(feed);
    const auto kernel = work.routing.routing.n == 1 ? few_tokens_up_kernel<Fp8, true>
                                                    : few_tokens_up_kernel<Fp8, false>;
    const size_t bytes = up_shared<Fp8>(work);
    allow_shared(kernel, bytes);
    start(at, kernel, static_cast<unsigned>(multiprocessors()), kRoutedThreads, bytes, work);
  });
}

void few_tokens_down(Launch at, const FewTokens& work, const Sides& sides) {
  with_fp8(work.shared_down.feed, [&](auto feed) {
    using Fp8 = decltype(feed);
    const auto kernel = work.routing.routing.n == 1 ? few_tokens_down_kernel<Fp8, true>
                                                    : few_tokens_down_kernel<Fp8, false>;
    const size_t bytes = std::max(down_shared<Fp8>(work), sides.shared);
    allow_shared(kernel, bytes);
    start(at, kernel, static_cast<unsigned>(sides.blocks() + down_blocks(work, sides)),
          kDownThreads, bytes, work, sides);
  });
}

}  // namespace ds4::ops::cuda
