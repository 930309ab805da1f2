// Activations as the products read them: quantised to E4M3 under one power-of-two scale per 128, in
// the order in which mma fragments take them; or widened to f32 for the plain product.
#include <cuda_fp16.h>

#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kGroup = 128;

// Where element p (0..31) of lane t of a group comes from; mma_feeds.cuh reads it back.
template <Arrange kind>
__device__ int source_of(int t, int p) {
  if constexpr (kind == Arrange::kF16Words) {
    const int in8 = p % 8;
    return p / 8 * 32 + t * 8 + in8 / 2 + 4 * (in8 % 2);
  }
  const int base = p / 16 * 64 + t * 16;
  if constexpr (kind == Arrange::kE4m3) return base + p % 16;
  // Bytes 0, 2, 1, 3 of each weight word come out of the bit moves in this order.
  const int in4 = p % 4;
  return base + p % 16 / 4 * 4 + (in4 == 1 ? 2 : in4 == 2 ? 1 : in4);
}

// A warp per group of 128.
template <Arrange kind>
__global__ void arrange_kernel(int64_t groups, const Bf16* x, void* out, float* scales) {
  __shared__ float stage[kWarps][kGroup];
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int64_t group = int64_t{blockIdx.x} * kWarps + warp;
  if (group >= groups) return;
  float v[4];
  float largest = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    v[i] = get(x[group * kGroup + lane * 4 + i]);
    largest = fmaxf(largest, fabsf(v[i]));
  }
  float factor = 0x1p60f;
  if constexpr (kind != Arrange::kBf16Wide) {
    const float scale = e8m0_value(q8_scale(warp_max(largest)));
    if (lane == 0) scales[group] = scale;
    factor = 1 / scale;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) stage[warp][lane * 4 + i] = v[i] * factor;
  __syncwarp();
  // Lane l writes elements 4l..4l+3, which belong to fragment lane t = l / 8.
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int at = lane * 4 + i;
    const float value = stage[warp][source_of<kind>(at / 32, at % 32)];
    if constexpr (kind == Arrange::kBf16Wide) {
      static_cast<Bf16*>(out)[group * kGroup + at] = __float2bfloat16_rn(value);
    } else if constexpr (kind == Arrange::kE4m3) {
      static_cast<uint8_t*>(out)[group * kGroup + at] = static_cast<uint8_t>(e4m3_code(value));
    } else {
      static_cast<__half*>(out)[group * kGroup + at] =
          __float2half_rn(e4m3_value(e4m3_code(value)));
    }
  }
}

// A warp per group, the last of a row possibly short.
template <class V>
__global__ void widen_kernel(bool quantise, int64_t rows, int64_t cols, const V* x, float* out) {
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

void arrange(Launch at, Arrange kind, int64_t rows, int64_t cols, const void* x, void* out,
             float* scales) {
  const int64_t groups = rows * (cols / kGroup);
  const unsigned blocks = blocks_for(groups, kWarps);
  const auto* from = static_cast<const Bf16*>(x);
  switch (kind) {
    case Arrange::kE4m3:
      arrange_kernel<Arrange::kE4m3>
          <<<blocks, kWarps * 32, 0, at.stream>>>(groups, from, out, scales);
      break;
    case Arrange::kF16:
      arrange_kernel<Arrange::kF16>
          <<<blocks, kWarps * 32, 0, at.stream>>>(groups, from, out, scales);
      break;
    case Arrange::kF16Words:
      arrange_kernel<Arrange::kF16Words>
          <<<blocks, kWarps * 32, 0, at.stream>>>(groups, from, out, scales);
      break;
    case Arrange::kBf16Wide:
      arrange_kernel<Arrange::kBf16Wide>
          <<<blocks, kWarps * 32, 0, at.stream>>>(groups, from, out, scales);
      break;
  }
}

void widen(Launch at, bool quantise, int64_t rows, int64_t cols, const void* x, float* out) {
  const unsigned blocks = blocks_for(rows * ((cols + kGroup - 1) / kGroup), kWarps);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    widen_kernel<V><<<blocks, kWarps * 32, 0, at.stream>>>(quantise && at.strict, rows, cols,
                                                           static_cast<const V*>(x), out);
  });
}

}  // namespace ds4::ops::cuda
