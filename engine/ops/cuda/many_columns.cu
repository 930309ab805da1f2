// Products of many activation rows (prefill) on the tensor cores from repacked weights: 128 weight
// rows by 64 columns per block, x through shared memory ahead of its use. k is cut
// into the same slices, added in the same order, as in few_columns.cu, and columns never mix: a
// result has the same bits whichever of the two made it.
#include "engine/ops/cuda/numeric.cuh"
#include "engine/ops/cuda/tiles.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kManyWarps = 8;
constexpr int kColumns = 64;  // of a block
constexpr int kColumnTiles = kColumns / 8;
constexpr int kTogether = 4;  // tiles of 8 columns that are multiplied at once
constexpr int kStages = 3;    // of x

// x of a block's columns for one group of 128 k in shared memory, column by column. A lane's unit u
// lies at u * 64 + t * 16; the stride puts neighbouring columns on the other half of the banks.
template <class Feed>
struct Stage {
  static constexpr int kColumnUnits = 4 * Feed::kXUnits;
  static constexpr int kStride = kColumnUnits + 4;  // in uint4
  uint4 x[kColumns * kStride];
  float scales[kColumns];
};

// What one thread brings into a stage: the same units of some columns, group after group.
template <class Feed>
struct Filler {
  using To = Stage<Feed>;
  static constexpr int kUnits = To::kColumnUnits;
  static constexpr int kStep = kManyWarps * 32 / kUnits;  // columns between a thread's
  static constexpr int kCount = kColumns / kStep;
  uint32_t from[kCount];  // in uint4, at group 0
  uint32_t scale;         // of column threadIdx.x
  int to;                 // in uint4, of its first column

  template <class RowOf>
  __device__ Filler(int groups, const RowOf& row_of) {
    const int unit = threadIdx.x % kUnits;
    const int first = threadIdx.x / kUnits;
    // Arranged rows hold a lane's units side by side, stored BF16 rows are in order already.
    const int place =
        Feed::kScales == Scales::kNone ? unit : unit % Feed::kXUnits * 4 + unit / Feed::kXUnits;
    to = first * To::kStride + place;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      from[i] = static_cast<uint32_t>(row_of(first + i * kStep) * groups * kUnits + unit);
    }
    scale = threadIdx.x < kColumns ? static_cast<uint32_t>(row_of(threadIdx.x) * groups) : 0;
  }
  __device__ void fill(To& stage, const uint4* x, const float* scales, int group) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      copy_async<16>(stage.x + to + i * kStep * To::kStride,
                     x + from[i] + static_cast<uint32_t>(group * kUnits));
    }
    if constexpr (Feed::kXScale) {
      if (threadIdx.x < kColumns) copy_async<4>(stage.scales + threadIdx.x, scales + scale + group);
    }
  }
};

// `sliced`: k has several slices; else one set of sums is spared.
template <class Feed, class Out, bool sliced>
__global__ void __launch_bounds__(kManyWarps * 32, 2)
    many_columns_kernel(const __grid_constant__ Task task) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  auto* stages = reinterpret_cast<Stage<Feed>*>(memory);
  const Tiles& m = task.tiles;
  const Columns& c = task.columns;
  const auto* x =
      static_cast<const uint4*>(Feed::kScales == Scales::kNone ? task.x.values : task.x.arranged);
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const Work work = work_of(c, blockIdx.y, blockIdx.z, kColumns);
  if (work.columns <= 0) return;
  // Warps beyond the last rows repeat them and store nothing.
  const auto tiles = static_cast<int>(m.rows / kTileRows);
  const int own_tile = static_cast<int>(blockIdx.x) * kManyWarps + threadIdx.x / 32;
  const Source<Feed> from(m, work.matrix, min(own_tile, tiles - 1), lane);
  const int groups = from.groups;
  const Filler<Feed> filler(
      groups, [&](int column) { return x_row(c, work, min(column, work.columns - 1)); });
  // Tiles of columns that no column falls into are left out; they are the same for all rows.
  const int n_tiles = (work.columns + 7) / 8;

  float acc[kColumnTiles][4] = {};
  float sum[kColumnTiles][4] = {};
  Walk filled{groups, m.slices};
  Walk walk{groups, m.slices};
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) {
    if (i < groups) filler.fill(stages[i], x, task.x.scales, filled.group);
    filled.advance();
    commit_async();
  }
  GroupWeights<Feed> next;
  next.load(from, 0);
#pragma unroll 1
  for (int i = 0; i < groups; ++i) {
    wait_async<kStages - 2>();
    __syncthreads();  // this stage is filled, and the one before is read
    if (i + kStages - 1 < groups) {
      filler.fill(stages[(i + kStages - 1) % kStages], x, task.x.scales, filled.group);
      filled.advance();
    }
    commit_async();
    const bool ends_slice = walk.ends_slice();
    walk.advance();
    // Once for all columns: the compiler does not keep it across the branch below.
    const typename Feed::Fragments fragments = Feed::unpack(next.weights);
    const uint32_t row0 = next.row0;
    const uint32_t row1 = next.row1;
    next.load(from, i + 1 < groups ? walk.group : groups);
    const Stage<Feed>& stage = stages[i % kStages];
#pragma unroll
    for (int first = 0; first < kColumnTiles; first += kTogether) {
      if (first >= n_tiles) break;
#pragma unroll
      for (int j = first; j < first + kTogether; ++j) {
        uint4 units[Feed::kXUnits];
        const uint4* at = stage.x + (8 * j + g) * Stage<Feed>::kStride + t;
#pragma unroll
        for (int u = 0; u < Feed::kXUnits; ++u) units[u] = at[4 * u];
        float2 columns{1.0f, 1.0f};
        if constexpr (Feed::kXScale) {
          columns = *reinterpret_cast<const float2*>(stage.scales + 8 * j + 2 * t);
        }
        Feed::multiply(fragments, units, {row0, row1, columns.x, columns.y}, acc[j]);
      }
    }
    if constexpr (sliced) {
      if (!ends_slice) continue;
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          sum[j][k] += acc[j][k];
          acc[j][k] = 0;
        }
      }
    }
  }
  if (own_tile >= tiles) return;
#pragma unroll
  for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int column = 8 * j + 2 * t + k % 2;
      if (column >= work.columns) continue;
      const int64_t row = int64_t{own_tile} * kTileRows + g + 8 * (k / 2);
      // One slice is added to zero as several are.
      const float value = sliced ? sum[j][k] : 0.0f + acc[j][k];
      static_cast<Out*>(task.out)[out_row(c, work, column) * task.out_stride + row] =
          put<Out>(value);
    }
  }
}

template <class Feed, class Out, bool sliced>
void launch(const Launch& at, const Task& task) {
  const Tiles& m = task.tiles;
  const Columns& c = task.columns;
  const auto jobs = static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups);
  const dim3 grid(blocks_for(m.rows / kTileRows, kManyWarps), jobs,
                  blocks_for(c.columns, kColumns));
  constexpr size_t kBytes = kStages * sizeof(Stage<Feed>);
  const auto kernel = many_columns_kernel<Feed, Out, sliced>;
  allow_shared(kernel, kBytes);
  start(at, kernel, grid, kManyWarps * 32, kBytes, task);
}

template <class Feed, class Out>
void launch(const Launch& at, const Task& task) {
  task.tiles.slices > 1 ? launch<Feed, Out, true>(at, task) : launch<Feed, Out, false>(at, task);
}

}  // namespace

void many_columns_product(Launch at, const Task& task) {
  with_feed(task.tiles.feed, [&](auto feed) {
    using Policy = decltype(feed);
    task.values ? launch<Policy, Bf16>(at, task) : launch<Policy, float>(at, task);
  });
}

}  // namespace ds4::ops::cuda
