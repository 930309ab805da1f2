// Launches of the small work on rows (sides.cuh).
#include <algorithm>

#include "engine/ops/cuda/sides.cuh"

namespace ds4::ops::cuda {
namespace {

template <class V>
__global__ void __launch_bounds__(kSideThreads) sides_kernel(const __grid_constant__ Sides sides) {
  run_side<V>(sides, static_cast<int>(blockIdx.x));
}

// Both kinds of queries alone, which are waited for: without the registers that others want.
template <class V>
__global__ void __launch_bounds__(kSideThreads)
    queries_kernel(const __grid_constant__ QueryHeads queries, int blocks,
                   const __grid_constant__ QueryHeads index) {
  const auto block = static_cast<int>(blockIdx.x);
  finish_heads<V>(block < blocks ? queries : index, block < blocks ? block : block - blocks,
                  [] { wait_for_inputs(); });
}

void add_blocks(Sides& sides, int part, int64_t blocks, int64_t shared_floats) {
  for (int i = part; i < Sides::kParts; ++i) sides.end[i] += static_cast<int>(blocks);
  sides.shared = std::max(sides.shared, static_cast<size_t>(shared_floats) * sizeof(float));
}

}  // namespace

bool set_pooling_counts(Pooling& work) {
  const Compression& c = work.compression;
  bool apart = false;
  work.rows = work.kept = 0;
  for (int s = 0; s < work.places.count; ++s) {
    const int64_t first = work.places.first[s];
    const int64_t n = work.places.row[s + 1] - work.places.row[s];
    // Where only the device knows the position, as many as n tokens can complete.
    const int64_t rows = work.places.origin[s] ? (n + c.ratio - 1) / c.ratio
                                               : (first + n) / c.ratio - first / c.ratio;
    work.rows = std::max(work.rows, static_cast<int>(rows));
    work.kept = std::max(work.kept, static_cast<int>(std::min(n, c.tail_slots[s])));
    apart |= n > c.tail_slots[s] - (c.overlap ? 2 : 1) * c.ratio + 1;
  }
  return apart;
}

void add_dots(Sides& sides, const Coefficients& work) {
  sides.coefficients = work;
  add_blocks(sides, Sides::kDots, dot_slices(work) * kDotWarps / kSideWarps, 0);
}

void add(Sides& sides, const Coefficients& work) {
  sides.coefficients = work;
  add_blocks(sides, Sides::kCoefficients, work.n, kMixRows);
}

void add(Sides& sides, const QueryHeads& work) {
  sides.queries[work.index] = work;
  add_blocks(sides, work.index ? Sides::kIndexQueries : Sides::kQueries,
             blocks_for(work.n_heads, kSideWarps), 0);
}

void add(Sides& sides, const RawRows& work) {
  sides.raw = work;
  add_blocks(sides, Sides::kRaw, work.places.rows(), work.rows.shape.dim);
}

void add(Sides& sides, const Pooling& work) {
  const Compression& c = work.compression;
  sides.pooling[c.index] = work;
  add_blocks(sides, c.index ? Sides::kIndexPooling : Sides::kPooling,
             int64_t{work.rows + work.kept} * work.places.count, 2 * (c.dim + c.pairs));
}

void remove(Sides& sides, Sides::Part part) {
  add_blocks(sides, part, -sides.blocks_of(part), 0);
}

void run_sides(Launch at, const Sides& sides) {
  if (sides.blocks() == 0) return;
  const int queries = sides.blocks_of(Sides::kQueries);
  const auto blocks = static_cast<unsigned>(sides.blocks());
  const bool alone = sides.blocks() == queries + sides.blocks_of(Sides::kIndexQueries);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    if (alone) {
      start(at, queries_kernel<V>, blocks, kSideThreads, sides.shared, sides.queries[0], queries,
            sides.queries[1]);
      return;
    }
    start(at, sides_kernel<V>, blocks, kSideThreads, sides.shared, sides);
  });
}

}  // namespace ds4::ops::cuda
