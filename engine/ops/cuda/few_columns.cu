// Products of a few activation rows (decode) on the tensor cores from repacked weights: a warp owns
// 16 weight rows by up to 8 columns and one slice of k; slices are added in order. Up to four
// columns are quantised and put into fragment order by each block for itself, in shared memory,
// while its first weights are on their way. Columns never mix: a result has the same bits in
// whatever company.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/tiles.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kFewWarps = 8;
constexpr int kStep = 4;  // groups that a warp loads before it arranges them

template <class Feed>
constexpr int kGroupUnits = 4 * Feed::kXUnits;  // of all four lanes, in uint4
// Neighbouring columns begin on other banks.
template <class Feed>
__host__ __device__ constexpr int column_units(int groups) {
  return groups * kGroupUnits<Feed> + 4;
}
template <class Feed>
size_t here_bytes(const Task& task) {
  const auto groups = static_cast<int>(task.tiles.cols) / kGroup;
  return static_cast<size_t>(task.columns.columns) *
         static_cast<size_t>(column_units<Feed>(groups) * 16 + groups * 4);
}

// Where a lane finds x for its column, and the scales of its two result columns. `here`: in shared
// memory, units of all lanes side by side; else in global memory, where arranged rows hold a lane's
// units side by side and BF16 rows are in natural order.
template <class Feed, bool here>
struct Activations {
  static constexpr bool kNatural = Feed::kScales == Scales::kNone;
  static constexpr int kUnitStep = here || kNatural ? 4 : 1;  // in uint4, between a lane's units

  // In uint4 and in floats, from the beginning of x and of the scales.
  uint32_t x = 0, col0 = 0, col1 = 0;

  template <class RowOf>
  __device__ void locate(int groups, int lane, const RowOf& row_of) {
    const int t = lane % 4;
    const int stride = here ? column_units<Feed>(groups) : groups * kGroupUnits<Feed>;
    x = static_cast<uint32_t>(row_of(lane / 4) * stride + (kUnitStep == 4 ? t : t * Feed::kXUnits));
    if constexpr (Feed::kXScale) {
      col0 = static_cast<uint32_t>(row_of(2 * t) * groups);
      col1 = static_cast<uint32_t>(row_of(2 * t + 1) * groups);
    }
  }
  __device__ void multiply(const uint4* all, const float* scales,
                           const uint4 (&weights)[Feed::kUnits], uint32_t row0, uint32_t row1,
                           int group, float (&acc)[4]) const {
    uint4 units[Feed::kXUnits];
    const uint4* at = all + x + static_cast<uint32_t>(group * kGroupUnits<Feed>);
#pragma unroll
    for (int u = 0; u < Feed::kXUnits; ++u) {
      units[u] = here ? at[u * kUnitStep] : __ldg(at + u * kUnitStep);
    }
    GroupScales s{row0, row1, 1.0f, 1.0f};
    if constexpr (Feed::kXScale) {
      s.col0 = here ? scales[col0 + group] : __ldg(scales + col0 + group);
      s.col1 = here ? scales[col1 + group] : __ldg(scales + col1 + group);
    }
    Feed::accumulate(weights, units, s, acc);
  }
};

// The columns of a block into shared memory; a warp per group of 128.
template <class Feed, class RowOf>
__device__ void arrange_columns(const Input& in, int groups, int columns, const RowOf& row_of,
                                uint4* x, float* scales) {
  constexpr Arrange kKind = kArrangeOf<Feed::kFeed>;
  constexpr int kBytes = kArrangedBytes<kKind>;
  constexpr int kInUnit = 16 / kBytes;  // elements
  const int lane = threadIdx.x % 32;
  const FragmentPlace place = place_in_group<kKind>(lane);
  const int unit = place.p / kInUnit * 4 + place.t;
  const int count = columns * groups;
  for (int begin = threadIdx.x / 32; begin < count; begin += kStep * kFewWarps) {
    float v[kStep][4];
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int at = min(begin + i * kFewWarps, count - 1);
      input_values(in, groups * kGroup, row_of(at / groups), at % groups * kGroup + lane * 4, v[i]);
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int at = begin + i * kFewWarps;
      if (at >= count) break;
      uint2 elements;
      const float scale = arrange_four<kKind>(lane, v[i], elements);
      uint4* to =
          x + at / groups * column_units<Feed>(groups) + at % groups * kGroupUnits<Feed> + unit;
      auto* element = reinterpret_cast<unsigned char*>(to) + place.p % kInUnit * kBytes;
      if constexpr (kKind == Arrange::kE4m3) {
        *reinterpret_cast<uint32_t*>(element) = elements.x;
      } else {
        *reinterpret_cast<uint2*>(element) = elements;
      }
      if (lane == 0) scales[at] = scale;
    }
  }
}

// The work of one block: tiles from `block` on of one matrix or job.
template <class Feed, class Out, bool here>
__device__ void few_columns(const Tiles& m, const Columns& c, const Input& in, int block, int job,
                            int column_tile, Out* out, int64_t out_stride) {
  extern __shared__ uint4 arranged[];  // `here`: columns, then their scales
  __shared__ float partial[kFewWarps][kTileRows][kFewColumns + 1];
  constexpr int kAhead = Feed::kAhead;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int tiles_per_block = kFewWarps / m.slices;
  const int tile = block * tiles_per_block + warp / m.slices;
  const bool inside = tile * kTileRows < m.rows;
  if (c.jobs != nullptr) wait_for_inputs();
  const Work work = work_of(c, job, column_tile, kFewColumns);
  if (work.columns <= 0) return;
  const Source<Feed> from(m, work.matrix, inside ? tile : 0, lane);
  const int stride = m.slices * kAhead;
  int first = warp % m.slices;
  Step<Feed, kAhead> even, odd;
  if (inside) {
    even.load(from, first, m.slices);
    odd.load(from, first + stride, m.slices);
  }
  // Weights never change, so their way in may begin while the kernel before still makes x.
  if (c.jobs == nullptr) wait_for_inputs();
  const uint4* x =
      static_cast<const uint4*>(Feed::kScales == Scales::kNone ? in.values : in.arranged);
  const float* x_scale = in.scales;
  if constexpr (here) {
    auto* scales =
        reinterpret_cast<float*>(arranged + work.columns * column_units<Feed>(from.groups));
    arrange_columns<Feed>(
        in, from.groups, work.columns, [&](int column) { return x_row(c, work, column); }, arranged,
        scales);
    __syncthreads();
    x = arranged;
    x_scale = scales;
  }
  float acc[4] = {};
  if (inside) {
    // Lanes beyond the last column read column 0 again: columns never mix, theirs is not stored.
    Activations<Feed, here> columns;
    columns.locate(from.groups, lane, [&](int column) {
      const int own = column < work.columns ? column : 0;
      return here ? int64_t{own} : x_row(c, work, own);
    });
    const auto multiply = [&](const Step<Feed, kAhead>& step, int begin) {
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int group = min(begin + i * m.slices, from.groups - 1);
        columns.multiply(x, x_scale, step.weights[i], step.row0[i], step.row1[i], group, acc);
      }
    };
#pragma unroll 1
    for (; first < from.groups; first += 2 * stride) {
      multiply(even, first);
      even.load(from, first + 2 * stride, m.slices);
      multiply(odd, first + stride);
      odd.load(from, first + 3 * stride, m.slices);
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
    const int64_t row = (int64_t{block} * tiles_per_block + in_block) * kTileRows + in_tile;
    if (row >= m.rows) continue;
    float sum = 0.0f;
    for (int slice = 0; slice < m.slices; ++slice) {
      sum += partial[in_block * m.slices + slice][in_tile][column];
    }
    out[out_row(c, work, column) * out_stride + row] = put<Out>(sum);
  }
}

template <class Feed, class Out, bool here>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    few_columns_kernel(const __grid_constant__ Task task) {
  few_columns<Feed, Out, here>(task.tiles, task.columns, task.x, blockIdx.x, blockIdx.y, blockIdx.z,
                               static_cast<Out*>(task.out), task.out_stride);
}

// Blocks 0 .. jobs * per_job - 1 make the routed part, the others the shared one.
template <class RoutedFeed, class SharedFeed, bool here>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    few_columns_pair_kernel(const __grid_constant__ Task routed,
                            const __grid_constant__ Task shared, int jobs, int per_job) {
  const auto block = static_cast<int>(blockIdx.x);
  if (block < jobs * per_job) {
    few_columns<RoutedFeed, Bf16, here>(routed.tiles, routed.columns, routed.x, block % per_job,
                                        block / per_job, 0, static_cast<Bf16*>(routed.out),
                                        routed.out_stride);
  } else {
    few_columns<SharedFeed, Bf16, here>(shared.tiles, shared.columns, shared.x,
                                        block - jobs * per_job, 0, 0,
                                        static_cast<Bf16*>(shared.out), shared.out_stride);
  }
}

unsigned blocks_of(const Tiles& m) {
  return blocks_for(m.rows / kTileRows, kFewWarps / m.slices);
}

template <class Feed, class Out, bool here>
void launch(const Launch& at, const Task& task) {
  const Columns& c = task.columns;
  const auto jobs = static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups);
  const unsigned column_tiles = c.jobs ? 1 : blocks_for(c.columns, kFewColumns);
  const size_t bytes = here ? here_bytes<Feed>(task) : 0;
  allow_shared(few_columns_kernel<Feed, Out, here>, bytes);
  start(at, few_columns_kernel<Feed, Out, here>, dim3(blocks_of(task.tiles), jobs, column_tiles),
        kFewWarps * 32, bytes, task);
}

template <class Feed>
void launch(const Launch& at, const Task& task, bool values) {
  if constexpr (Feed::kScales != Scales::kNone) {
    if (arranges_here(task.tiles, task.columns)) {
      return values ? launch<Feed, Bf16, true>(at, task) : launch<Feed, float, true>(at, task);
    }
  }
  values ? launch<Feed, Bf16, false>(at, task) : launch<Feed, float, false>(at, task);
}

template <class SharedFeed, bool here>
void launch_pair(const Launch& at, const Task& routed, const Task& shared) {
  const auto kernel = few_columns_pair_kernel<Fp4PlanesFeed, SharedFeed, here>;
  const size_t routed_bytes = here_bytes<Fp4PlanesFeed>(routed);
  const size_t shared_bytes = here_bytes<SharedFeed>(shared);
  const size_t bytes = !here ? 0 : routed_bytes > shared_bytes ? routed_bytes : shared_bytes;
  const unsigned per_job = blocks_of(routed.tiles);
  const auto jobs = static_cast<unsigned>(routed.columns.most_jobs);
  allow_shared(kernel, bytes);
  start(at, kernel, jobs * per_job + blocks_of(shared.tiles), kFewWarps * 32, bytes, routed, shared,
        static_cast<int>(jobs), static_cast<int>(per_job));
}

template <class SharedFeed>
void launch_pair(const Launch& at, const Task& routed, const Task& shared) {
  if (arranges_here(routed.tiles, routed.columns) && arranges_here(shared.tiles, shared.columns)) {
    launch_pair<SharedFeed, true>(at, routed, shared);
  } else {
    launch_pair<SharedFeed, false>(at, routed, shared);
  }
}

}  // namespace

void few_columns_product(Launch at, const Task& task, bool values) {
  switch (task.tiles.feed) {
    case Feed::kFp8E4m3:
      return launch<Fp8Feed<Feed::kFp8E4m3>>(at, task, values);
    case Feed::kFp8F16:
      return launch<Fp8Feed<Feed::kFp8F16>>(at, task, values);
    case Feed::kFp8Wide:
      return launch<Fp8Feed<Feed::kFp8Wide>>(at, task, values);
    case Feed::kFp4Planes:
      return launch<Fp4PlanesFeed>(at, task, values);
    case Feed::kBf16:
      return launch<Bf16Feed>(at, task, values);
  }
}

void few_columns_pair(Launch at, const Task& routed, const Task& shared) {
  if (shared.tiles.feed == Feed::kFp8E4m3) {
    launch_pair<Fp8Feed<Feed::kFp8E4m3>>(at, routed, shared);
  } else {
    launch_pair<Fp8Feed<Feed::kFp8F16>>(at, routed, shared);
  }
}

}  // namespace ds4::ops::cuda
