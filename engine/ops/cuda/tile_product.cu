// Products on the tensor cores from repacked weights: 16 weight rows per warp by 8 activation rows
// (decode) or 64 (prefill). k is cut into `slices`, each summed on its own and then added in order,
// and columns never mix: a result has the same bits whichever kernel and company computed it.
#include "engine/ops/cuda/mma_feeds.cuh"
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kGroup = 128;
constexpr int kTileRows = 16;
constexpr int kFewWarps = 8;
constexpr int kManyWarps = 8;
constexpr int kManyTiles = kManyColumns / 8;

// What a block multiplies: one matrix and a range of columns.
struct Work {
  int matrix;
  int first;    // column (without jobs) or place (with)
  int columns;  // 0: nothing
};

__device__ Work work_of(const Columns& c, int row_of_grid, int column_tile, int per_tile) {
  if (c.jobs == nullptr) {
    const int first = column_tile * per_tile;
    return {row_of_grid, first, min(per_tile, c.columns - first)};
  }
  if (row_of_grid >= *c.n_jobs) return {0, 0, 0};
  const Job job = c.jobs[row_of_grid];
  return {job.matrix, job.first, job.count};
}
__device__ int64_t x_row(const Columns& c, const Work& work, int column) {
  const int at = work.first + column;
  if (c.jobs == nullptr) return int64_t{at} * c.groups + work.matrix;
  return c.x_rows == nullptr ? at : c.x_rows[at];
}
__device__ int64_t out_row(const Columns& c, const Work& work, int column) {
  const int at = work.first + column;
  return c.jobs == nullptr ? int64_t{at} * c.groups + work.matrix : at;
}

// Where a lane's units of weights and scales lie.
template <class Feed>
struct Source {
  const uint8_t* weights;
  const uint8_t* scale;
  const uint32_t* scale_words;
  int groups;

  __device__ Source(const Tiles& m, int matrix, int tile, int lane)
      : groups(static_cast<int>(m.cols) / kGroup) {
    weights =
        m.weights + matrix * m.stride + (int64_t{tile} * groups * Feed::kUnits * 32 + lane) * 16;
    scale = m.scales + matrix * m.scale_stride;
    scale_words =
        reinterpret_cast<const uint32_t*>(scale) + int64_t{tile} * groups * kTileRows + lane / 4;
    if constexpr (Feed::kScales == Scales::kBlock) scale += tile * kTileRows / kGroup * groups;
  }
};

// Weights and scales of a warp for some groups in flight.
template <class Feed, int ahead>
struct Step {
  uint4 weights[ahead][Feed::kUnits];
  uint32_t row0[ahead], row1[ahead];

  // Past the last group: zero weights under the last group's scales, so no branch is needed.
  __device__ void load(const Source<Feed>& from, int first, int stride) {
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int group = first + i * stride;
      const bool inside = group < from.groups;
      const uint8_t* at = from.weights + int64_t{group} * Feed::kUnits * 512;
#pragma unroll
      for (int u = 0; u < Feed::kUnits; ++u) {
        weights[i][u] = inside ? load_once(at + u * 512) : uint4{0, 0, 0, 0};
      }
    }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int group = min(first + i * stride, from.groups - 1);
      if constexpr (Feed::kScales == Scales::kBlock) {
        row0[i] = __ldg(from.scale + group);
      } else if constexpr (Feed::kScales == Scales::kRow) {
        row0[i] = __ldg(from.scale_words + group * kTileRows);
        row1[i] = __ldg(from.scale_words + group * kTileRows + 8);
      }
    }
  }
};

// Where a lane finds x for its column of an 8-column tile, and the scales of its two result
// columns.
template <class Feed>
struct Activations {
  // Stored BF16 rows are in natural order, arranged ones hold a lane's units side by side.
  static constexpr bool kArranged = Feed::kScales != Scales::kNone;
  static constexpr int kUnitStep = kArranged ? 1 : 4;    // in uint4, between a lane's units
  static constexpr int kGroupUnits = 4 * Feed::kXUnits;  // of all four lanes

  // In uint4 and in floats, from the beginning of x and of the scales.
  uint32_t x = 0, col0 = 0, col1 = 0;

  template <class RowOf>
  __device__ void locate(int groups, int lane, const RowOf& row_of) {
    const int t = lane % 4;
    x = static_cast<uint32_t>(row_of(lane / 4) * groups * kGroupUnits +
                              (kArranged ? t * Feed::kXUnits : t));
    if constexpr (Feed::kXScale) {
      col0 = static_cast<uint32_t>(row_of(2 * t) * groups);
      col1 = static_cast<uint32_t>(row_of(2 * t + 1) * groups);
    }
  }
  __device__ void multiply(const uint4* all, const float* scales,
                           const uint4 (&weights)[Feed::kUnits], uint32_t row0, uint32_t row1,
                           int group, float (&acc)[4]) const {
    uint4 units[Feed::kXUnits];
    const uint4* at = all + x + static_cast<uint32_t>(group * kGroupUnits);
#pragma unroll
    for (int u = 0; u < Feed::kXUnits; ++u) units[u] = __ldg(at + u * kUnitStep);
    GroupScales s{row0, row1, 1.0f, 1.0f};
    if constexpr (Feed::kXScale) {
      s.col0 = __ldg(scales + col0 + group);
      s.col1 = __ldg(scales + col1 + group);
    }
    Feed::accumulate(weights, units, s, acc);
  }
};

// Decode: the slices of a tile lie in different warps of a block.
template <class Feed, class Out>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    few_columns_kernel(Tiles m, Columns c, const uint4* x, const float* x_scale, Out* out,
                       int64_t out_stride) {
  __shared__ float partial[kFewWarps][kTileRows][kFewColumns + 1];
  constexpr int kAhead = Feed::kAhead;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int tiles_per_block = kFewWarps / m.slices;
  const int tile = blockIdx.x * tiles_per_block + warp / m.slices;
  const Work work = work_of(c, blockIdx.y, blockIdx.z, kFewColumns);
  if (work.columns <= 0) return;
  float acc[4] = {};
  if (tile * kTileRows < m.rows) {
    const Source<Feed> from(m, work.matrix, tile, lane);
    const int stride = m.slices * kAhead;
    int first = warp % m.slices;
    Step<Feed, kAhead> even, odd;
    even.load(from, first, m.slices);
    // Lanes beyond the last column read column 0 again: columns never mix, theirs is not stored.
    Activations<Feed> columns;
    columns.locate(from.groups, lane,
                   [&](int column) { return x_row(c, work, column < work.columns ? column : 0); });
    const auto multiply = [&](const Step<Feed, kAhead>& step, int begin) {
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int group = min(begin + i * m.slices, from.groups - 1);
        columns.multiply(x, x_scale, step.weights[i], step.row0[i], step.row1[i], group, acc);
      }
    };
#pragma unroll 1
    for (; first < from.groups; first += 2 * stride) {
      odd.load(from, first + stride, m.slices);
      multiply(even, first);
      even.load(from, first + 2 * stride, m.slices);
      multiply(odd, first + stride);
    }
  }
  const int g = lane / 4;
  const int t = lane % 4;
  partial[warp][g][2 * t] = acc[0];
  partial[warp][g][2 * t + 1] = acc[1];
  partial[warp][g + 8][2 * t] = acc[2];
  partial[warp][g + 8][2 * t + 1] = acc[3];
  __syncthreads();

  const int outputs = tiles_per_block * kTileRows * work.columns;
  for (int i = threadIdx.x; i < outputs; i += blockDim.x) {
    const int in_tile = i % kTileRows;
    const int in_block = i / kTileRows % tiles_per_block;
    const int column = i / (kTileRows * tiles_per_block);
    const int64_t row = (int64_t{blockIdx.x} * tiles_per_block + in_block) * kTileRows + in_tile;
    if (row >= m.rows) continue;
    float sum = 0.0f;
    for (int slice = 0; slice < m.slices; ++slice) {
      sum += partial[in_block * m.slices + slice][in_tile][column];
    }
    out[out_row(c, work, column) * out_stride + row] = put<Out>(sum);
  }
}

// x of 64 columns for one group of 128 k in shared memory, column by column. A lane's unit u lies
// at u * 64 + t * 16; the stride puts neighbouring columns on the other half of the banks.
template <class Feed>
struct Stage {
  static constexpr int kColumnUnits = 4 * Feed::kXUnits;
  static constexpr int kStride = kColumnUnits + 4;  // in uint4
  uint4 x[kManyColumns * kStride];
  float scales[kManyColumns];
};

template <int bytes>
__device__ __forceinline__ void copy_async(void* to, const void* from) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
  }
}

// What one thread brings into a stage: the same units of some columns, group after group.
template <class Feed>
struct Filler {
  static constexpr int kUnits = Stage<Feed>::kColumnUnits;
  static constexpr int kStep = kManyWarps * 32 / kUnits;  // columns between a thread's
  static constexpr int kCount = kManyColumns / kStep;
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
    to = first * Stage<Feed>::kStride + place;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      from[i] = static_cast<uint32_t>(row_of(first + i * kStep) * groups * kUnits + unit);
    }
    scale = threadIdx.x < kManyColumns ? static_cast<uint32_t>(row_of(threadIdx.x) * groups) : 0;
  }
  __device__ void fill(Stage<Feed>& stage, const uint4* x, const float* scales, int group) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      copy_async<16>(stage.x + to + i * kStep * Stage<Feed>::kStride,
                     x + from[i] + static_cast<uint32_t>(group * kUnits));
    }
    if constexpr (Feed::kXScale) {
      if (threadIdx.x < kManyColumns) {
        copy_async<4>(stage.scales + threadIdx.x, scales + scale + group);
      }
    }
  }
};

// Prefill: the warps of a block share 64 columns, each with 16 rows of weights, slice after slice.
// The next group's x and weights are on their way while this one's are multiplied.
template <class Feed, class Out>
__global__ void __launch_bounds__(kManyWarps * 32)
    many_columns_kernel(Tiles m, Columns c, const uint4* x, const float* x_scale, Out* out,
                        int64_t out_stride) {
  __shared__ __align__(16) Stage<Feed> stages[2];
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const Work work = work_of(c, blockIdx.y, blockIdx.z, kManyColumns);
  if (work.columns <= 0) return;
  // Warps beyond the last rows repeat them and store nothing.
  const int tiles = static_cast<int>(m.rows / kTileRows);
  const int own_tile = blockIdx.x * kManyWarps + threadIdx.x / 32;
  const int tile = min(own_tile, tiles - 1);
  const Source<Feed> from(m, work.matrix, tile, lane);
  const Filler<Feed> filler(
      from.groups, [&](int column) { return x_row(c, work, min(column, work.columns - 1)); });
  // Tiles of 8 columns that no column falls into are left out; they are the same for all warps.
  const int n_tiles = (work.columns + 7) / 8;
  float sum[kManyTiles][4] = {};
  float acc[kManyTiles][4] = {};
  Step<Feed, 1> next;
  next.load(from, 0, m.slices);
  filler.fill(stages[0], x, x_scale, 0);
  asm volatile("cp.async.commit_group;" ::: "memory");
  int slice = 0;
  int group = 0;
#pragma unroll 1
  for (int i = 0; i < from.groups; ++i) {
    const Step<Feed, 1> step = next;
    const bool ends_slice = group + m.slices >= from.groups;
    const int next_group = ends_slice ? ++slice : group + m.slices;
    next.load(from, i + 1 < from.groups ? next_group : from.groups, m.slices);
    if (i + 1 < from.groups) filler.fill(stages[(i + 1) % 2], x, x_scale, next_group);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    const Stage<Feed>& stage = stages[i % 2];
#pragma unroll
    for (int j = 0; j < kManyTiles; ++j) {
      if (j >= n_tiles) continue;
      uint4 units[Feed::kXUnits];
      const uint4* at = stage.x + (8 * j + g) * Stage<Feed>::kStride + t;
#pragma unroll
      for (int u = 0; u < Feed::kXUnits; ++u) units[u] = at[4 * u];
      GroupScales s{step.row0[0], step.row1[0], 1.0f, 1.0f};
      if constexpr (Feed::kXScale) {
        const float2 columns = *reinterpret_cast<const float2*>(stage.scales + 8 * j + 2 * t);
        s.col0 = columns.x;
        s.col1 = columns.y;
      }
      Feed::accumulate(step.weights[0], units, s, acc[j]);
    }
    if (ends_slice) {
#pragma unroll
      for (int j = 0; j < kManyTiles; ++j) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          sum[j][k] += acc[j][k];
          acc[j][k] = 0;
        }
      }
    }
    group = next_group;
    __syncthreads();  // the stage may be filled again
  }
  if (own_tile >= tiles) return;
#pragma unroll
  for (int j = 0; j < kManyTiles; ++j) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int column = 8 * j + 2 * t + k % 2;
      if (column >= work.columns) continue;
      const int64_t row = int64_t{tile} * kTileRows + g + 8 * (k / 2);
      out[out_row(c, work, column) * out_stride + row] = put<Out>(sum[j][k]);
    }
  }
}

template <class Feed, class Out>
void launch(Launch at, const Tiles& m, const Columns& c, const void* x, const float* x_scale,
            void* out, int64_t out_stride) {
  const int64_t tiles = m.rows / kTileRows;
  const unsigned jobs = static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups);
  const bool few = c.columns <= kFewColumns;
  const unsigned column_tiles =
      c.jobs ? 1 : blocks_for(c.columns, few ? kFewColumns : kManyColumns);
  const auto kernel = few ? few_columns_kernel<Feed, Out> : many_columns_kernel<Feed, Out>;
  const int threads = 32 * (few ? kFewWarps : kManyWarps);
  const dim3 grid(blocks_for(tiles, few ? kFewWarps / m.slices : kManyWarps), jobs, column_tiles);
  kernel<<<grid, threads, 0, at.stream>>>(m, c, static_cast<const uint4*>(x), x_scale,
                                          static_cast<Out*>(out), out_stride);
}

template <class Feed>
void launch(Launch at, const Tiles& m, const Columns& c, const void* x, const float* x_scale,
            bool values, void* out, int64_t out_stride) {
  if (values) {
    launch<Feed, Bf16>(at, m, c, x, x_scale, out, out_stride);
  } else {
    launch<Feed, float>(at, m, c, x, x_scale, out, out_stride);
  }
}

}  // namespace

void tile_product(Launch at, const Tiles& m, const Columns& c, const void* x, const float* x_scale,
                  bool values, void* out, int64_t out_stride) {
  switch (m.feed) {
    case Feed::kFp8E4m3:
      return launch<Fp8Feed<Feed::kFp8E4m3>>(at, m, c, x, x_scale, values, out, out_stride);
    case Feed::kFp8F16:
      return launch<Fp8Feed<Feed::kFp8F16>>(at, m, c, x, x_scale, values, out, out_stride);
    case Feed::kFp8Wide:
      return launch<Fp8Feed<Feed::kFp8Wide>>(at, m, c, x, x_scale, values, out, out_stride);
    case Feed::kFp4Planes:
      return launch<Fp4PlanesFeed>(at, m, c, x, x_scale, values, out, out_stride);
    case Feed::kBf16:
      return launch<Bf16Feed>(at, m, c, x, x_scale, values, out, out_stride);
  }
}

}  // namespace ds4::ops::cuda
