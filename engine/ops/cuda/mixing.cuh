// Hyper-connections: how dots are cut, and the coefficients of a token (model.md 3.2 steps 2-4).
#pragma once

#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {

inline constexpr int kPerLane = 8;  // k of a lane, two vectors of four 128 apart
inline constexpr int kSlice =
    32 * kPerLane;  // k of a warp's dots, of which sums are added in order
inline constexpr int kMaxRows = kMaxStreams * (kMaxStreams + 2);

__device__ inline void load_four(const float* from, float* to) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}
__device__ inline void load_four(const Bf16* from, float* to) {
  const uint2 v = *reinterpret_cast<const uint2*>(from);
  to[0] = __uint_as_float(v.x << 16);
  to[1] = __uint_as_float(v.x & 0xffff0000u);
  to[2] = __uint_as_float(v.y << 16);
  to[3] = __uint_as_float(v.y & 0xffff0000u);
}

__device__ inline void store_four(const float* from, float* to) {
  *reinterpret_cast<float4*>(to) = {from[0], from[1], from[2], from[3]};
}
__device__ inline void store_four(const float* from, Bf16* to) {
  __align__(8) Bf16 v[4];
  for (int i = 0; i < 4; ++i) v[i] = put<Bf16>(from[i]);
  *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(v);
}
inline constexpr int kSums = 8;
// The sums over a warp of eight values of a lane, in the order of warp_sum(): lane 4i and the three
// behind it get that of v[i]. With a quarter of its shuffles, because each step halves the values.
__device__ inline float sums_of_eight(float (&v)[kSums]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int step = 16, count = kSums / 2; count > 0; step /= 2, count /= 2) {
    const bool upper = lane & step;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const float own = upper ? v[i + count] : v[i];
      const float other = upper ? v[i] : v[i + count];
      v[i] = own + __shfl_xor_sync(0xffffffffu, other, step);
    }
  }
  v[0] += __shfl_xor_sync(0xffffffffu, v[0], 2);
  return v[0] + __shfl_xor_sync(0xffffffffu, v[0], 1);
}

__device__ inline float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// The stream matrix of a token, lane 4j + k with C[j][k] (four streams). Rows sum over k (the
// destination), columns over j (the source), in order; the sums get eps.
__device__ inline float sinkhorn_lanes(float c, int iterations, float eps) {
  const auto total = [&](int first, int step) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += __shfl_sync(0xffffffffu, c, first + i * step);
    return sum;
  };
  const int lane = threadIdx.x % 16;
  const int row = lane / 4 * 4;
  const int column = lane % 4;
  float top = c;
#pragma unroll
  for (int i = 0; i < 4; ++i) top = fmaxf(top, __shfl_sync(0xffffffffu, c, row + i));
  c = expf(c - top);
  c = c / total(row, 1) + eps;
  c /= total(column, 4) + eps;
  for (int i = 1; i < iterations; ++i) {
    c /= total(row, 1) + eps;
    c /= total(column, 4) + eps;
  }
  return c;
}

// The same by one thread for any number of streams.
inline __device__ __noinline__ void sinkhorn(float* c, int n, int iterations, float eps) {
  for (int j = 0; j < n; ++j) {
    float top = c[j * n];
    for (int k = 1; k < n; ++k) top = fmaxf(top, c[j * n + k]);
    for (int k = 0; k < n; ++k) c[j * n + k] = expf(c[j * n + k] - top);
  }
  for (int i = 0; i < iterations; ++i) {
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum += c[j * n + k];
      for (int k = 0; k < n; ++k) {
        c[j * n + k] = i == 0 ? c[j * n + k] / sum + eps : c[j * n + k] / (sum + eps);
      }
    }
    for (int k = 0; k < n; ++k) {
      float sum = 0;
      for (int j = 0; j < n; ++j) sum += c[j * n + k];
      for (int j = 0; j < n; ++j) c[j * n + k] /= sum + eps;
    }
  }
}

// By a warp, m in shared memory.
__device__ inline float pre_coefficient(const Mixing& mixing, const float* m, int j) {
  return sigmoid(m[j] * mixing.scale[0] + mixing.base[j]) + mixing.mix_eps;
}

__device__ inline void mix_coefficients(const Mixing& mixing, float* m) {
  const int n = mixing.streams;
  const int lane = threadIdx.x % 32;
  float* c = m + 2 * n;
  if (lane < n) {
    m[lane] = pre_coefficient(mixing, m, lane);
    m[n + lane] = 2 * sigmoid(m[n + lane] * mixing.scale[1] + mixing.base[n + lane]);
  }
  if (n == 4) {
    const int i = lane % 16;
    const float v = sinkhorn_lanes(c[i] * mixing.scale[2] + mixing.base[8 + i], mixing.iterations,
                                   mixing.mix_eps);
    __syncwarp();
    if (lane < 16) c[i] = v;
  } else if (lane == 0) {
    for (int i = 0; i < n * n; ++i) c[i] = c[i] * mixing.scale[2] + mixing.base[2 * n + i];
    sinkhorn(c, n, mixing.iterations, mixing.mix_eps);
  }
}

/// Both kernels of mix_in() and mix_head() (no coefficients) for many tokens: mix_many.cu.
bool mixes_many(const PlainMatrix& fn, const Mixing& mixing, int64_t d);
void mix_many(const Launch& at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d,
              const void* h, float* scratch, float* coefficients, void* x);

}  // namespace ds4::ops::cuda
