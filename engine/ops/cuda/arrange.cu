// Activations as the products read them: quantised to E4M3 under one power-of-two scale per 128, in
// the order in which mma fragments take them; or widened to f32 for the plain product.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kGroup = 128;

// A warp per group of 128.
template <Arrange kind, Order order>
__global__ void arrange_kernel(int64_t groups, int64_t cols, const __grid_constant__ Input in,
                               void* out, float* scales) {
  const int lane = threadIdx.x % 32;
  const int64_t group = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  // Groups fit 32 bits, whose division is a fifth of 64 bits'.
  const auto per_row = static_cast<uint32_t>(cols / kGroup);
  const uint32_t row = static_cast<uint32_t>(group) / per_row;
  const uint32_t in_row = static_cast<uint32_t>(group) % per_row;
  wait_for_inputs();
  if (group >= groups) return;
  float v[4];
  input_values(in, cols, row, int64_t{in_row} * kGroup + lane * 4, v);
  uint2 elements;
  const float scale = arrange_four<kind>(lane, v, elements);
  if constexpr (order == Order::kChunks) {
    static_assert(kArrangedBytes<kind> == 2);
    const FragmentPlace place = place_in_group<kind>(lane);
    auto* to = static_cast<uint32_t*>(out) + group * (kGroup / 2) + place.p / 2 * 4 + place.t;
    to[0] = elements.x;
    to[4] = elements.y;
  } else {
    store_arranged<kind>(lane, elements, group, out);
  }
  if (scales != nullptr && lane == 0) scales[group] = scale;
}

template <Arrange kind>
__device__ void arrange_group(const Arranging& task, int64_t group) {
  const int lane = threadIdx.x % 32;
  const int64_t per_row = task.cols / kGroup;
  float v[4];
  input_values(task.x, task.cols, group / per_row, group % per_row * kGroup + lane * 4, v);
  uint2 elements;
  const float scale = arrange_four<kind>(lane, v, elements);
  store_arranged<kind>(lane, elements, group, task.out);
  if (lane == 0) task.scales[group] = scale;
}

template <Arrange codes>
__global__ void arrange_both_kernel(const __grid_constant__ Arranging first,
                                    const __grid_constant__ Arranging second) {
  wait_for_inputs();
  const int64_t group = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  const int64_t end = first.rows * (first.cols / kGroup);
  if (group < end) return arrange_group<Arrange::kF16Words>(first, group);
  if (group - end < second.rows * (second.cols / kGroup)) arrange_group<codes>(second, group - end);
}

// A warp per group, the last of a row possibly short.
template <class V>
__global__ void widen_kernel(bool quantise, int64_t rows, int64_t cols, const V* x, float* out) {
  wait_for_inputs();
  const int lane = threadIdx.x % 32;
  const int64_t per_row = (cols + kGroup - 1) / kGroup;
  const int64_t index = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (index >= rows * per_row) return;
  const int64_t begin = index / per_row * cols + index % per_row * kGroup;
  const int64_t left = cols - index % per_row * kGroup;
  const int count = static_cast<int>(left < kGroup ? left : kGroup);
  float largest = 0;
  for (int i = lane; i < count; i += 32) largest = fmaxf(largest, fabsf(get(x[begin + i])));
  const float scale = e8m0_value(q8_scale(warp_max(largest)));
  for (int i = lane; i < count; i += 32) {
    const float v = get(x[begin + i]);
    out[begin + i] = quantise ? e4m3_value(e4m3_code(v * (1 / scale))) * scale : v;
  }
}

}  // namespace

void arrange(Launch at, Arrange kind, Order order, int64_t rows, int64_t cols, const Input& x,
             void* out, float* scales) {
  const int64_t groups = rows * (cols / kGroup);
  const auto run = [&](auto kernel) {
    start(at, kernel, blocks_for(groups, kWarps), kWarps * 32, 0, groups, cols, x, out, scales);
  };
  if (order == Order::kChunks) {
    run(kind == Arrange::kF16        ? arrange_kernel<Arrange::kF16, Order::kChunks>
        : kind == Arrange::kF16Words ? arrange_kernel<Arrange::kF16Words, Order::kChunks>
        : kind == Arrange::kBf16Wide ? arrange_kernel<Arrange::kBf16Wide, Order::kChunks>
                                     : arrange_kernel<Arrange::kBf16, Order::kChunks>);
  } else {
    run(kind == Arrange::kE4m3       ? arrange_kernel<Arrange::kE4m3, Order::kLanes>
        : kind == Arrange::kF16      ? arrange_kernel<Arrange::kF16, Order::kLanes>
        : kind == Arrange::kF16Words ? arrange_kernel<Arrange::kF16Words, Order::kLanes>
                                     : arrange_kernel<Arrange::kBf16Wide, Order::kLanes>);
  }
}

void arrange_both(Launch at, const Arranging& words, const Arranging& codes) {
  const int64_t groups = (words.rows * words.cols + codes.rows * codes.cols) / kGroup;
  const auto kernel = codes.kind == Arrange::kE4m3 ? arrange_both_kernel<Arrange::kE4m3>
                                                   : arrange_both_kernel<Arrange::kF16>;
  start(at, kernel, blocks_for(groups, kWarps), kWarps * 32, 0, words, codes);
}

void widen(Launch at, bool quantise, int64_t rows, int64_t cols, const void* x, float* out) {
  const unsigned blocks = blocks_for(rows * ((cols + kGroup - 1) / kGroup), kWarps);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, widen_kernel<V>, blocks, kWarps * 32, 0, quantise && at.strict, rows, cols,
          static_cast<const V*>(x), out);
  });
}

}  // namespace ds4::ops::cuda
