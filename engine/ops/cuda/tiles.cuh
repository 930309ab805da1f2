// What both products from tiles share: which matrix and columns a block works on, and a warp's
// weights and scales on their way in.
#pragma once

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mma_feeds.cuh"

namespace ds4::ops::cuda {

inline constexpr int kGroup = 128;
inline constexpr int kTileRows = 16;

// The groups of k in the order of summation: slice after slice.
struct Walk {
  int groups, slices;
  int slice = 0, group = 0;

  __device__ bool ends_slice() const { return group + slices >= groups; }
  __device__ void advance() { group = ends_slice() ? ++slice : group + slices; }
};

// What a block multiplies: one matrix and a range of columns.
struct Work {
  int matrix;
  int first;    // column (without jobs) or place (with)
  int columns;  // 0: nothing
  int row;      // with jobs: what place `first` reads, -1 where not known
};

__device__ __forceinline__ Work work_of(const Columns& c, int row_of_grid, int column_tile,
                                        int per_tile) {
  if (c.jobs == nullptr) {
    const int first = column_tile * per_tile;
    return {row_of_grid, first, min(per_tile, c.columns - first), 0};
  }
  const int n_jobs = *c.n_jobs;
  const int4 job = *reinterpret_cast<const int4*>(c.jobs + row_of_grid);  // perhaps nobody's
  if (row_of_grid >= n_jobs) return {0, 0, 0, 0};
  const int skipped = column_tile * per_tile;
  return {job.x, job.y + skipped, min(per_tile, job.z - skipped), column_tile == 0 ? job.w : -1};
}
__device__ __forceinline__ int64_t x_row(const Columns& c, const Work& work, int column) {
  const int at = work.first + column;
  if (c.jobs == nullptr) return int64_t{at} * c.groups + work.matrix;
  if (c.x_rows == nullptr) return at;
  return column == 0 && work.row >= 0 ? work.row : c.x_rows[at];
}
__device__ __forceinline__ int64_t out_row(const Columns& c, const Work& work, int column) {
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

// Weights and scales of a warp for one group, perhaps still on their way.
template <class Feed>
struct GroupWeights {
  uint4 weights[Feed::kUnits];
  uint32_t row0, row1;

  // Past the last group: zero weights under the last group's scales, so no branch is needed.
  __device__ void load(const Source<Feed>& from, int group) {
    const bool inside = group < from.groups;
    const uint8_t* at = from.weights + int64_t{group} * Feed::kUnits * 512;
#pragma unroll
    for (int u = 0; u < Feed::kUnits; ++u) {
      weights[u] = inside ? load_once(at + u * 512) : uint4{0, 0, 0, 0};
    }
    const int last = min(group, from.groups - 1);
    if constexpr (Feed::kScales == Scales::kBlock) {
      row0 = __ldg(from.scale + last);
    } else if constexpr (Feed::kScales == Scales::kRow) {
      row0 = __ldg(from.scale_words + last * kTileRows);
      row1 = __ldg(from.scale_words + last * kTileRows + 8);
    }
  }
};

}  // namespace ds4::ops::cuda
