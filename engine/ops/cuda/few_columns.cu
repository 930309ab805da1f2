// Products of a few activation rows (decode) on the tensor cores from repacked weights: a warp owns
// 16 weight rows by up to 8 columns and one slice of k; slices are added in order. Up to four
// columns are quantised and put into fragment order by each block for itself, in shared memory,
// while its first weights are on their way. Columns never mix: a result has the same bits in
// whatever company.
#include <algorithm>

#include "engine/ops/cuda/few_columns.cuh"
#include "engine/ops/cuda/finish.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kFewWarps = 8;  // of a block, but for experts (warps_of)
constexpr int kStep = 4;      // groups that a warp loads before it arranges them
constexpr int kStepTiles = kStepRows / kFewColumns;

template <class Feed, bool here>
size_t shared_bytes(const Task& task) {
  const auto groups = static_cast<int>(task.tiles.cols) / kGroup;
  const int column_bytes = column_units<Feed>(groups) * 16 + groups * 4;
  const int columns = here ? task.columns.columns : 0;
  return static_cast<size_t>(columns * column_bytes);
}

// The columns of a block into shared memory: a warp per group of 128.
template <class Feed, class RowOf>
__device__ void arrange_columns(const Input& in, int groups, int columns, const RowOf& row_of,
                                uint4* x, float* scales) {
  const int lane = threadIdx.x % 32;
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
      put_group<Feed>(v[i], groups, at / groups, at % groups, x, scales);
    }
  }
}

// v * scale with the gain of the same places, in place.
__device__ inline void apply_gain(const float4& gain, float scale, float (&v)[4]) {
  v[0] = rounded<Bf16>(gain.x * (v[0] * scale));
  v[1] = rounded<Bf16>(gain.y * (v[1] * scale));
  v[2] = rounded<Bf16>(gain.z * (v[2] * scale));
  v[3] = rounded<Bf16>(gain.w * (v[3] * scale));
}

// The columns' norms in their stead. The product waits for this, so what a thread sums (in the
// order of rms_norm()) and what it arranges is loaded together, and all sums go through one
// barrier.
template <class Feed, class RowOf>
__device__ void norm_columns(const Input& in, int groups, int columns, const RowOf& row_of,
                             uint4* x, float* scales) {
  __shared__ float parts[kHereColumns][kFewWarps];
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int cols = groups * kGroup;
  const auto* values = static_cast<const Bf16*>(in.values);
  int64_t begin[kHereColumns];
  uint2 first[kHereColumns];
  float sums[kHereColumns] = {};
  const int own = min(warp, groups - 1) * kGroup + lane * 4;
#pragma unroll
  for (int i = 0; i < kHereColumns; ++i) {
    begin[i] = row_of(min(i, columns - 1)) * cols;
    if (i < columns) first[i] = *reinterpret_cast<const uint2*>(values + begin[i] + own);
  }
#pragma unroll 4
  for (int k = threadIdx.x; k < cols; k += kFewWarps * 32) {
#pragma unroll
    for (int i = 0; i < kHereColumns; ++i) {
      if (i < columns) {
        const float v = get(values[begin[i] + k]);
        sums[i] = fmaf(v, v, sums[i]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kHereColumns; ++i) {
    if (i >= columns) break;
    const float sum = warp_sum(sums[i]);
    if (lane == 0) parts[i][warp] = sum;
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kHereColumns; ++i) {
    if (i >= columns) break;
    const float sum = warp_sum(lane < kFewWarps ? parts[i][lane] : 0.0f);
    const float scale = inverse_root(sum / static_cast<float>(cols) + in.eps);
    for (int group = warp; group < groups; group += kFewWarps) {
      const int k = group * kGroup + lane * 4;
      if (group > warp) first[i] = *reinterpret_cast<const uint2*>(values + begin[i] + k);
      const auto* pair = reinterpret_cast<const __nv_bfloat162*>(&first[i]);
      float v[4] = {get(pair[0].x), get(pair[0].y), get(pair[1].x), get(pair[1].y)};
      apply_gain(*reinterpret_cast<const float4*>(in.gain + k), scale, v);
      put_group<Feed>(v, groups, i, group, x, scales);
    }
  }
}

// BF16 columns, as they are.
template <class RowOf>
__device__ void copy_columns(const Input& in, int groups, int columns, const RowOf& row_of,
                             uint4* x) {
  const int units = groups * kGroupUnits<Bf16Feed>;
#pragma unroll 4
  for (int i = threadIdx.x; i < columns * units; i += kFewWarps * 32) {
    const auto* from = static_cast<const uint4*>(in.values) + row_of(i / units) * units;
    x[i / units * column_units<Bf16Feed>(groups) + i % units] = from[i % units];
  }
}

using Partial = float[kFewWarps][kTileRows][kFewColumns + 1];

// A result from those of its slices of k, which warps `first` and the next ones have. All loads go
// together.
__device__ float sum_of_slices(const Partial& partial, int first, int slices, int row, int column) {
  float parts[kFewWarps];
#pragma unroll
  for (int i = 0; i < kFewWarps; ++i) {
    if (i < slices) parts[i] = partial[first + i][row][column];
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kFewWarps; ++i) {
    if (i < slices) sum += parts[i];
  }
  return sum;
}

// Whether this block arranges the results of its part.
__device__ bool& arranging_block() {
  __shared__ bool arranging;
  return arranging;
}

// The work of one block: tiles from `block` on of one matrix or job, by kTiles times kFewColumns
// columns. `arranges`, `routes`: whether it ends with kArrange, with kRoute.
template <class Feed, bool here, int kTiles = 1, bool arranges = false>
__device__ void few_columns(const Task& task, const Finish& finish, bool routes, int block, int job,
                            Partial& partial) {
  extern __shared__ uint4 memory[];  // `here`: columns, then their scales
  const Tiles& m = task.tiles;
  const Columns& c = task.columns;
  const Input& in = task.x;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int tiles_per_block = static_cast<int>(blockDim.x) / 32 / m.slices;
  const int tile = block * tiles_per_block + warp / m.slices;
  const bool inside = tile * kTileRows < m.rows;
  if (c.jobs != nullptr) wait_for_inputs();
  const Work work = work_of(c, job, 0, kTiles * kFewColumns);
  if (work.columns <= 0) return;
  const Source<Feed> from(m, work.matrix, inside ? tile : 0, lane);
  constexpr int kRing = kTiles > 1 ? 2 : Feed::kRing;
  int group = warp % m.slices;
  GroupWeights<Feed> ring[kRing];
  if (inside) {
#pragma unroll
    for (int i = 0; i < kRing; ++i) ring[i].load(from, group + i * m.slices);
  }
  if constexpr (here) {  // the gain is not among what other kernels bring into L2
    if (in.gain && threadIdx.x * 32 < m.cols) {
      asm volatile("prefetch.global.L2 [%0];" ::"l"(in.gain + threadIdx.x * 32));
    }
  }
  const int results = tiles_per_block * kTileRows;
  if constexpr (arranges) {
    if (threadIdx.x == 0) {
      arranging_block() = comes_up_last(finish, task, work.matrix, block * results, results);
    }
  }
  // Weights never change, so their way in may begin while the kernel before still makes x.
  if (c.jobs == nullptr) wait_for_inputs();
  const uint4* x =
      static_cast<const uint4*>(Feed::kScales == Scales::kNone ? in.values : in.arranged);
  const float* x_scale = in.scales;
  if constexpr (here) {
    uint4* arranged = memory;
    auto* own_scales =
        reinterpret_cast<float*>(arranged + work.columns * column_units<Feed>(from.groups));
    const auto row_of = [&](int column) { return x_row(c, work, column); };
    if constexpr (Feed::kScales == Scales::kNone) {
      copy_columns(in, from.groups, work.columns, row_of, arranged);
    } else if (in.gain) {
      norm_columns<Feed>(in, from.groups, work.columns, row_of, arranged, own_scales);
    } else {
      arrange_columns<Feed>(in, from.groups, work.columns, row_of, arranged, own_scales);
    }
    __syncthreads();
    x = arranged;
    x_scale = own_scales;
  }
  float acc[kTiles][4] = {};
  // Lanes beyond the last column read column 0 again: columns never mix, theirs is not stored.
  Activations<Feed, here> columns[kTiles];
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
    columns[i].locate(from.groups, lane, [&](int column) {
      column += i * kFewColumns;
      const int own = column < work.columns ? column : 0;
      return here ? int64_t{own} : x_row(c, work, own);
    });
  }
  const auto multiply = [&](const GroupWeights<Feed>& weights, int at) {
    const auto fragments = Feed::unpack(weights.weights);
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      columns[j].multiply(x, x_scale, fragments, weights.row0, weights.row1,
                          min(at, from.groups - 1), acc[j]);
    }
  };
  if (inside) {
#pragma unroll 1
    for (; group < from.groups; group += kRing * m.slices) {
#pragma unroll
      for (int i = 0; i < kRing; ++i) {
        multiply(ring[i], group + i * m.slices);
        ring[i].load(from, group + (kRing + i) * m.slices);
      }
    }
  }
  const int g = lane / 4;
  const int t = lane % 4;
#pragma unroll
  for (int part = 0; part < kTiles; ++part) {
    const int begin = part * kFewColumns;
    if (begin >= work.columns) break;
    if (part > 0) __syncthreads();  // the one before is read
    partial[warp][g][2 * t] = acc[part][0];
    partial[warp][g][2 * t + 1] = acc[part][1];
    partial[warp][g + 8][2 * t] = acc[part][2];
    partial[warp][g + 8][2 * t + 1] = acc[part][3];
    __syncthreads();

    // The next kernel waits for this, so without divisions: a block has one, two, four or eight
    // tiles.
    const int outputs = results * min(work.columns - begin, kFewColumns);
    const int tile_bits = 31 - __clz(tiles_per_block);
    for (int i = threadIdx.x; i < outputs; i += blockDim.x) {
      const int in_tile = i % kTileRows;
      const int column = i / kTileRows >> tile_bits;
      const int in_block = i / kTileRows - column * tiles_per_block;
      const int64_t row = (int64_t{block} * tiles_per_block + in_block) * kTileRows + in_tile;
      if (row >= m.rows) continue;
      const float sum = sum_of_slices(partial, in_block * m.slices, m.slices, in_tile, column);
      const int64_t at = out_row(c, work, begin + column) * task.out_stride + row;
      if constexpr (arranges) hand_in(finish, at, put<Bf16>(sum));
      if (task.values) {
        static_cast<Bf16*>(task.out)[at] = put<Bf16>(sum);
      } else {
        static_cast<float*>(task.out)[at] = sum;
      }
    }
  }
  if constexpr (arranges) {
    if (arranging_block()) arrange_results(finish, task, work, block * results);
  } else if (kTiles == 1 && routes) {
    route_results(finish, task, work, block * results, results, reinterpret_cast<float*>(memory));
  }
}

template <class Feed, bool here>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    few_columns_kernel(const __grid_constant__ Task task, const __grid_constant__ Finish finish) {
  __shared__ Partial partial;
  few_columns<Feed, here>(task, finish, finish.kind == Finish::kRoute, blockIdx.x, blockIdx.y,
                          partial);
}

// With kArrange, a kernel of its own: whether a block is to arrange takes a register from the loop.
template <class Feed, bool here>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    arranging_columns_kernel(const __grid_constant__ Task task,
                             const __grid_constant__ Finish finish) {
  __shared__ Partial partial;
  few_columns<Feed, here, 1, true>(task, finish, false, blockIdx.x, blockIdx.y, partial);
}

// More columns than one tile has, of which weights are read once.
template <class Feed>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    step_columns_kernel(const __grid_constant__ Task task, const __grid_constant__ Finish finish) {
  __shared__ Partial partial;
  few_columns<Feed, false, kStepTiles>(task, finish, false, blockIdx.x, blockIdx.y, partial);
}

// Several products side by side: the blocks in front of end[i] belong to task i. Blocks of `sides`
// come before them.
struct TaskSet {
  Sides sides;
  Task tasks[kMostTasks];
  int end[kMostTasks] = {};
  int per_job[kMostTasks] = {};  // blocks of a matrix
  int finished = -1;             // the task with a finish
  Finish finish;
};

template <class Quantised, bool here>
__global__ void __launch_bounds__(kFewWarps * 32, 2)
    few_columns_set_kernel(const __grid_constant__ TaskSet set) {
  __shared__ Partial partial;
  auto block = static_cast<int>(blockIdx.x);
  if (block < set.sides.blocks()) return run_side<Bf16>(set.sides, block);
  block -= set.sides.blocks();
  int i = 0;
  while (block >= set.end[i]) ++i;
  if (i > 0) block -= set.end[i - 1];
  const Task& task = set.tasks[i];
  const int job = block / set.per_job[i];
  block %= set.per_job[i];
  switch (task.tiles.feed) {
    case Feed::kBf16:
      return few_columns<Bf16Feed, here>(task, set.finish, set.finished == i, block, job, partial);
    case Feed::kFp4Planes:
      return few_columns<Fp4PlanesFeed, here>(task, set.finish, false, block, job, partial);
    default:
      return few_columns<Quantised, here>(task, set.finish, set.finished == i, block, job, partial);
  }
}

unsigned blocks_of(const Tiles& m, int warps = kFewWarps) {
  return blocks_for(m.rows / kTileRows, warps / m.slices);
}
unsigned jobs_of(const Columns& c) {
  return static_cast<unsigned>(c.jobs ? c.most_jobs : c.groups);
}

// Dynamic shared memory of a block that finishes results.
size_t finish_shared(const Finish& finish) {
  return finish.kind == Finish::kRoute ? route_few_shared(finish.routing) : 0;
}

// Experts' blocks are some hundred, of which multiprocessors get one more or less: half as large
// ones come out more even.
int warps_of(const Task& task, bool here) {
  const bool whole = !task.columns.jobs || here || task.tiles.slices > kFewWarps / 2;
  return whole ? kFewWarps : kFewWarps / 2;
}

template <class Feed>
void launch(const Launch& at, const Task& task, const Finish& finish) {
  const Columns& c = task.columns;
  const bool here = arranges_here(task);
  const int warps = warps_of(task, here);
  auto kernel = !c.jobs && c.columns > kFewColumns ? step_columns_kernel<Feed>
                : here                             ? few_columns_kernel<Feed, true>
                                                   : few_columns_kernel<Feed, false>;
  if constexpr (Feed::kFeed == cuda::Feed::kFp8Wide) {  // as can_finish() says
    if (finish.kind == Finish::kArrange) {
      kernel = here ? arranging_columns_kernel<Feed, true> : arranging_columns_kernel<Feed, false>;
    }
  }
  const size_t bytes =
      std::max(here ? shared_bytes<Feed, true>(task) : shared_bytes<Feed, false>(task),
               finish_shared(finish));
  allow_shared(kernel, bytes);
  start(at, kernel, dim3(blocks_of(task.tiles, warps), jobs_of(c)),
        static_cast<unsigned>(warps) * 32, bytes, task, finish);
}

template <class Quantised, bool here>
void launch_set(const Launch& at, std::span<const Task> tasks, std::span<const Finish> finishes,
                const Sides& sides) {
  TaskSet set;
  set.sides = sides;
  size_t bytes = sides.shared;
  int end = 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    set.tasks[i] = task;
    set.per_job[i] = static_cast<int>(blocks_of(task.tiles));
    set.end[i] = end += set.per_job[i] * static_cast<int>(jobs_of(task.columns));
    bytes =
        std::max({bytes, finish_shared(finishes[i]),
                  task.tiles.feed == Feed::kBf16        ? shared_bytes<Bf16Feed, here>(task)
                  : task.tiles.feed == Feed::kFp4Planes ? shared_bytes<Fp4PlanesFeed, here>(task)
                                                        : shared_bytes<Quantised, here>(task)});
    if (finishes[i].kind == Finish::kNone) continue;
    set.finished = static_cast<int>(i);
    set.finish = finishes[i];
  }
  const auto kernel = few_columns_set_kernel<Quantised, here>;
  allow_shared(kernel, bytes);
  start(at, kernel, static_cast<unsigned>(sides.blocks() + end), kFewWarps * 32, bytes, set);
}

template <class Quantised>
void launch_set(const Launch& at, std::span<const Task> tasks, std::span<const Finish> finishes,
                const Sides& sides) {
  if (arranges_here(tasks)) {
    launch_set<Quantised, true>(at, tasks, finishes, sides);
  } else {
    launch_set<Quantised, false>(at, tasks, finishes, sides);
  }
}

}  // namespace

bool can_finish(const Task& task, const Finish& finish) {
  const Tiles& m = task.tiles;
  const int64_t block = int64_t{kFewWarps} / m.slices * kTileRows;  // results
  if (finish.kind == Finish::kArrange && (m.feed != Feed::kFp8Wide || !task.values)) return false;
  return !task.columns.jobs && task.columns.columns <= kFewColumns && finish.part > 0 &&
         finish.part % block == 0 && m.rows % finish.part == 0 &&
         task.columns.groups * (m.rows / finish.part) <= kMostArrived;
}

void few_columns_product(Launch at, const Task& task, const Finish& finish) {
  with_feed(task.tiles.feed, [&](auto feed) { launch<decltype(feed)>(at, task, finish); });
}

bool arranges_here(std::span<const Task> tasks) {
  return std::ranges::all_of(tasks, [](const Task& task) { return arranges_here(task); });
}

void few_columns_set(Launch at, std::span<const Task> tasks, std::span<const Finish> finishes,
                     const Sides& sides) {
  const bool e4m3 = std::ranges::any_of(
      tasks, [](const Task& task) { return task.tiles.feed == Feed::kFp8E4m3; });
  if (e4m3) {
    launch_set<Fp8Feed<Feed::kFp8E4m3>>(at, tasks, finishes, sides);
  } else {
    launch_set<Fp8Feed<Feed::kFp8F16>>(at, tasks, finishes, sides);
  }
}

}  // namespace ds4::ops::cuda
