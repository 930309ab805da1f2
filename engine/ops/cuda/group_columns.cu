// Products of many activation rows (prefill) by warp groups, on the GPUs that have them (Hopper):
// 16 weight rows a warp by 64 columns per block. Weights and x wait in shared memory; weights are
// unpacked into registers, x is multiplied where it lies. Slices of k and all sums are those of
// few_columns.cu and many_columns.cu, and so are the bits.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/tiles.cuh"
#include "engine/ops/cuda/wgmma.cuh"

namespace ds4::ops::cuda {
namespace {

// Of the machine code that this GPU runs: Hopper's has products of warp groups if made for sm_90a.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ const int warp_groups = 1;
#else
__device__ const int warp_groups = 0;
#endif

constexpr int kColumns = kManyColumns;  // of a block
constexpr int kUnits = 16;              // of 16 bytes: x of a column and group

constexpr int kWarps = 8;

// For how many groups a block has room, so that two blocks find place on a multiprocessor (of BF16
// one). Two groups of warps that wait for each other rarely are worth more than a larger tile.
template <class Feed, bool sliced>
constexpr int kStages = Feed::kScales == Scales::kRow    ? 4
                        : Feed::kScales == Scales::kNone ? 3
                        : sliced                         ? 2
                                                         : 3;

template <class Feed, bool sliced>
struct Room {
  static constexpr int kCount = kStages<Feed, sliced>;
  uint4 x[kCount][2][kColumns][8];  // halves of a group, as describe_columns() says
  uint4 weights[kCount][kWarps][Feed::kUnits][32];
  uint4 row_scales[kCount][Feed::kScales == Scales::kRow ? kWarps : 1][kTileRows / 4];
  float x_scales[kCount][kColumns];
  float sums[sliced ? kColumns / 2 : 1][kWarps * 32];  // of the slices before, thread by thread
};

// One thread's part in bringing groups of k into their stages.
template <class Feed, bool sliced>
struct Filler {
  using To = Room<Feed, sliced>;
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kStep = kThreads / kUnits;  // columns between a thread's
  static constexpr int kCount = kColumns / kStep;
  const uint4* x;
  const float* x_scales;
  uint32_t from[kCount];  // in uint4, at group 0
  uint32_t scale;         // of column threadIdx.x
  int to;                 // in uint4, of its first column; the swizzle is the same for the others

  template <class RowOf>
  __device__ Filler(const Input& in, int groups, const RowOf& row_of)
      : x(static_cast<const uint4*>(in.arranged)), x_scales(in.scales) {
    const int unit = threadIdx.x % kUnits;
    const int first = threadIdx.x / kUnits;
    to = unit / 8 * kColumns * 8 + first * 8 + (unit % 8 ^ first % 8);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      from[i] = static_cast<uint32_t>(row_of(first + i * kStep) * groups * kUnits + unit);
    }
    scale = threadIdx.x < kColumns ? static_cast<uint32_t>(row_of(threadIdx.x) * groups) : 0;
  }
  __device__ void fill(To& room, const Source<Feed>& weights, int stage, int group) const {
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      copy_async<16>(&room.x[stage][0][0][0] + to + i * kStep * 8,
                     x + from[i] + static_cast<uint32_t>(group * kUnits));
    }
    const uint8_t* unit = weights.weights + static_cast<uint32_t>(group) * (Feed::kUnits * 512);
#pragma unroll
    for (int u = 0; u < Feed::kUnits; ++u) {
      copy_async<16>(&room.weights[stage][warp][u][lane], unit + u * 512);
    }
    if constexpr (Feed::kScales == Scales::kRow) {
      if (lane < kTileRows / 4) {  // scale_words points at those of row 0 for these lanes
        copy_async<16>(
            &room.row_scales[stage][warp][lane],
            reinterpret_cast<const uint4*>(weights.scale_words + group * kTileRows) + lane);
      }
    }
    if constexpr (Feed::kXScale) {
      if (threadIdx.x < kColumns) {
        copy_async<4>(&room.x_scales[stage][threadIdx.x], x_scales + scale + group);
      }
    }
  }
};

// 8 * kTiles columns, of which `work` may have fewer.
template <int kTiles, class Feed, class Out, bool sliced>
__device__ __forceinline__ void multiply_columns(const Task& task, const Work& work,
                                                 Room<Feed, sliced>& room) {
  constexpr int kCount = kStages<Feed, sliced>;
  constexpr Arrange kArranged = kArrangeOf<Feed::kFeed>;
  constexpr bool kBf16 = kArranged == Arrange::kBf16Wide || kArranged == Arrange::kBf16;
  const Tiles& m = task.tiles;
  const Columns& c = task.columns;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int g = lane / 4;
  const int t = lane % 4;
  // Warps beyond the last rows repeat them and store nothing.
  const auto tiles = static_cast<int>(m.rows / kTileRows);
  const int own_tile = static_cast<int>(blockIdx.x) * kWarps + warp;
  const Source<Feed> from(m, work.matrix, min(own_tile, tiles - 1), lane);
  const int groups = from.groups;
  const Filler<Feed, sliced> filler(
      task.x, groups, [&](int column) { return x_row(c, work, min(column, work.columns - 1)); });
  float acc[kTiles][4] = {};
  if constexpr (sliced) {
#pragma unroll
    for (int i = 0; i < 4 * kTiles; ++i) room.sums[i][threadIdx.x] = 0;
  }
  Walk filled{groups, m.slices};
  Walk walk{groups, m.slices};
#pragma unroll
  for (int i = 0; i < kCount - 1; ++i) {
    if (i < groups) filler.fill(room, from, i, filled.group);
    filled.advance();
    commit_async();
  }
  uint32_t block_scale = Feed::kScales == Scales::kBlock ? __ldg(from.scale) : 0;
#pragma unroll 1
  for (int i = 0; i < groups; ++i) {
    const bool ends_slice = walk.ends_slice();
    walk.advance();
    wait_async<kCount - 2>();
    publish_copies();
    __syncthreads();  // this stage is filled, and the one before is read
    if (i + kCount - 1 < groups) {
      filler.fill(room, from, (i + kCount - 1) % kCount, filled.group);
      filled.advance();
    }
    commit_async();
    const int stage = i % kCount;
    const uint64_t x = describe_columns(&room.x[stage]);
    const auto columns_at = [&](int product) {
      return x + static_cast<uint64_t>(product / 4 * (kColumns * 128 / 16)) + product % 4 * kNext16;
    };
    const auto column_scales = [&](int j) {
      if constexpr (!Feed::kXScale) return float2{1.0f, 1.0f};
      return *reinterpret_cast<const float2*>(&room.x_scales[stage][8 * j + 2 * t]);
    };
    uint4 w[Feed::kUnits];
#pragma unroll
    for (int u = 0; u < Feed::kUnits; ++u) w[u] = room.weights[stage][warp][u][lane];
    float part[kTiles][4];
    if constexpr (Feed::kScales == Scales::kRow) {
      const auto* scales = reinterpret_cast<const uint32_t*>(&room.row_scales[stage][warp]);
      const uint32_t row0 = scales[g];
      const uint32_t row1 = scales[g + 8];
      float sum[kTiles][4] = {};
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        uint32_t a[2][4];
        Feed::unpack_block(word(w[0], b), word(w[1], b), a[0], a[1]);
        begin_products();
        group_product<false>(part, a[0], columns_at(2 * b), 0);
        group_product<false>(part, a[1], columns_at(2 * b + 1), 1);
        end_products();
        const float top = e8m0_float((row0 >> (8 * b)) & 0xffu);
        const float low = e8m0_float((row1 >> (8 * b)) & 0xffu);
        wait_products(part);
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
#pragma unroll
          for (int k = 0; k < 4; ++k) sum[j][k] = fmaf(part[j][k], k < 2 ? top : low, sum[j][k]);
        }
      }
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
        const float2 columns = column_scales(j);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          acc[j][k] = fmaf(sum[j][k], (k % 2 ? columns.y : columns.x) * Feed::kBias, acc[j][k]);
        }
      }
    } else {
      const typename Feed::Fragments fragments = Feed::unpack(w);
      begin_products();
#pragma unroll
      for (int p = 0; p < 8; ++p) {
        group_product<kBf16>(part, fragments.a[p], columns_at(p), p != 0);
      }
      end_products();
      const float block =
          Feed::kScales == Scales::kBlock ? e8m0_float(block_scale) * Feed::kBias : 1.0f;
      if constexpr (Feed::kScales == Scales::kBlock) {
        block_scale = __ldg(from.scale + min(walk.group, groups - 1));
      }
      wait_products(part);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
        const float2 columns = column_scales(j);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          acc[j][k] = fmaf(part[j][k], block * (k % 2 ? columns.y : columns.x), acc[j][k]);
        }
      }
    }
    if constexpr (sliced) {
      if (!ends_slice) continue;
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          room.sums[4 * j + k][threadIdx.x] += acc[j][k];
          acc[j][k] = 0;
        }
      }
    }
  }
  if (own_tile >= tiles) return;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int column = 8 * j + 2 * t + k % 2;
      if (column >= work.columns) continue;
      const int64_t row = int64_t{own_tile} * kTileRows + g + 8 * (k / 2);
      // One slice is added to zero as several are.
      const float value = sliced ? room.sums[4 * j + k][threadIdx.x] : 0.0f + acc[j][k];
      static_cast<Out*>(task.out)[out_row(c, work, column) * task.out_stride + row] =
          put<Out>(value);
    }
  }
}

template <class Feed, class Out, bool sliced>
__global__ void __launch_bounds__(kWarps * 32, 2)
    group_columns_kernel(const __grid_constant__ Task task) {
  wait_for_inputs();
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& room = *reinterpret_cast<Room<Feed, sliced>*>(memory);
  const Work work = work_of(task.columns, blockIdx.y, blockIdx.z, kColumns);
  if (work.columns <= 0) return;
  if (work.columns > kColumns / 2) {
    multiply_columns<kColumns / 8, Feed, Out>(task, work, room);
  } else {
    multiply_columns<kColumns / 16, Feed, Out>(task, work, room);
  }
}

template <class Feed, class Out, bool sliced>
void launch(const Launch& at, const Task& task) {
  const Columns& c = task.columns;
  const auto jobs = static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups);
  const dim3 grid(blocks_for(task.tiles.rows / kTileRows, kWarps), jobs,
                  blocks_for(c.columns, kColumns));
  constexpr size_t kBytes = sizeof(Room<Feed, sliced>);
  const auto kernel = group_columns_kernel<Feed, Out, sliced>;
  allow_shared(kernel, kBytes);
  start(at, kernel, grid, kWarps * 32, kBytes, task);
}

template <class Feed, class Out>
void launch(const Launch& at, const Task& task) {
  task.tiles.slices > 1 ? launch<Feed, Out, true>(at, task) : launch<Feed, Out, false>(at, task);
}

}  // namespace

bool has_warp_groups() {
  int has = 0;
  static_cast<void>(cudaMemcpyFromSymbol(&has, warp_groups, sizeof(has)));
  return has != 0;
}

void group_columns_product(Launch at, const Task& task) {
  with_feed(task.tiles.feed, [&](auto feed) {
    using Policy = decltype(feed);
    if constexpr (Policy::kFeed != Feed::kFp8E4m3) {  // not of these GPUs
      task.values ? launch<Policy, Bf16>(at, task) : launch<Policy, float>(at, task);
    }
  });
}

}  // namespace ds4::ops::cuda
