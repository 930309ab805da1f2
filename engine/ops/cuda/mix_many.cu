// Hyper-connections of many tokens (prefill): the dots with a thread's tokens and rows in registers
// instead of a sum over lanes for each, and a block per token that mixes. All sums have the order
// of mixing.cu.
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mixing.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kOwnRows = 4;       // rows that a warp has at a time
constexpr int kStreams = 4;       // of the models there are
constexpr int kMostWidth = 4096;  // values of a stream
constexpr int kQuads = kMostWidth / 4 / kThreads;

// Dots of kRows rows with the tokens lane, lane + 32, ... of a tile, each summed up as dots_kernel
// does: what one of its lanes has, in chains of kPerLane, and then over lanes as warp_sum() does.
template <int kTokens, int kRows>
struct Dots {
  float v[kTokens][kRows];
};
template <class V>
using TokenTile = V (*)[kSlice + 4];  // neighbours begin on other banks

template <int kDistance, bool squares, int kTokens, int kRows, class V>
__device__ __forceinline__ Dots<kTokens, kRows> lane_dots(TokenTile<V> tile,
                                                          const float (*fn)[kSlice], int lane) {
  Dots<kTokens, kRows> dots;
  if constexpr (kDistance < 32) {
    dots = lane_dots<2 * kDistance, squares, kTokens, kRows, V>(tile, fn, lane);
    const auto other =
        lane_dots<2 * kDistance, squares, kTokens, kRows, V>(tile, fn, lane + kDistance);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) dots.v[t][r] += other.v[t][r];
    }
  } else {
    float x[kTokens][kPerLane];
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const V* from = tile[threadIdx.x % 32 + 32 * t] + 4 * lane;
      load_four(from, x[t]);
      load_four(from + 128, x[t] + 4);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float w[kPerLane] = {};
      if constexpr (!squares) {
        load_four(fn[r] + 4 * lane, w);
        load_four(fn[r] + 4 * lane + 128, w + 4);
      }
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
        float sum = 0;
#pragma unroll
        for (int k = 0; k < kPerLane; ++k) sum = fmaf(squares ? x[t][k] : w[k], x[t][k], sum);
        dots.v[t][r] = sum;
      }
    }
  }
  return dots;
}

// The same for many tokens, which wait in shared memory: a warp has four rows of fn, or the
// squares.
template <class V>
struct ManyDots {
  static constexpr int kOwn = sizeof(V) == 2 ? 4 : 2;  // tokens of a lane
  static constexpr int kTokens = 32 * kOwn;
  V tile[kTokens][kSlice + 4];
  float fn[kWarps][kOwnRows][kSlice];
};

template <class V>
__global__ void __launch_bounds__(kThreads, 2)
    many_dots_kernel(PlainMatrix fn, int n, const V* h, float* partial) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  using Room = ManyDots<V>;
  auto& room = *reinterpret_cast<Room*>(memory);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int rows = static_cast<int>(fn.rows);
  const int first = blockIdx.y * Room::kTokens;
  const int tokens = min(Room::kTokens, n - first);
  const int64_t begin = int64_t{blockIdx.x} * kSlice;
  constexpr int kQuads = kSlice / 4;
#pragma unroll 8
  for (int i = threadIdx.x; i < Room::kTokens * kQuads; i += kThreads) {
    const int token = min(i / kQuads, tokens - 1);
    float v[4];
    load_four(h + (first + token) * fn.cols + begin + i % kQuads * 4, v);
    store_four(v, &room.tile[i / kQuads][i % kQuads * 4]);
  }
  __syncthreads();
  const auto run = [&]<bool squares, int kRows>(int base) {
    // The last two steps of the tree in a loop: the caches would not hold its instructions.
    Dots<Room::kOwn, kRows> dots{}, even{};
#pragma unroll 1
    for (int i = 0; i < 4; ++i) {
      const auto part =
          lane_dots<4, squares, Room::kOwn, kRows, V>(room.tile, room.fn[warp], i % 2 * 2 + i / 2);
#pragma unroll
      for (int t = 0; t < Room::kOwn; ++t) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const float v = even.v[t][r] + part.v[t][r];
          if (i == 1) dots.v[t][r] = v;
          if (i == 3) dots.v[t][r] += v;
          even.v[t][r] = part.v[t][r];
        }
      }
    }
#pragma unroll
    for (int t = 0; t < Room::kOwn; ++t) {
      const int token = lane + 32 * t;
      float* to = partial + (int64_t{first + token} * gridDim.x + blockIdx.x) * (rows + 1) + base;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (token < tokens && base + r < rows + squares) to[r] = dots.v[t][r];
      }
    }
  };
  const int parts = (rows + kOwnRows - 1) / kOwnRows;
  for (int part = warp; part <= parts; part += kWarps) {
    if (part == parts) {
      run.template operator()<true, 1>(rows);
      break;
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < kOwnRows; ++r) {
      const int row = min(part * kOwnRows + r, rows - 1);
      const auto* from = reinterpret_cast<const float*>(fn.data + row * fn.row_bytes) + begin;
      for (int k = 4 * lane; k < kSlice; k += 128) {
        float v[4];
        load_four(from + k, v);
        store_four(v, &room.fn[warp][r][k]);
      }
    }
    __syncwarp();
    run.template operator()<false, kOwnRows>(part * kOwnRows);
  }
}

// The warps that mix, behind the first one.
__device__ __forceinline__ void mixers_meet() {
  asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
}

// A block per token. One warp makes the coefficients for mix_out while the others mix: x =
// rms(bf(sum_j pre_j h_j)). The head has no coefficients.
template <class V, bool head>
__global__ void __launch_bounds__(kThreads + 32)
    mix_many_kernel(Mixing mixing, int rows, int64_t slices, int64_t d, const V* h,
                    const float* partial, float* mix, V* x) {
  wait_for_inputs();
  __shared__ float m[kMaxRows + 1];
  __shared__ float pre[kStreams];
  __shared__ float parts[32];
  const int64_t token = blockIdx.x;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int own = static_cast<int>(threadIdx.x) - 32;
  float v[kQuads][kStreams][4];
  if (warp > 0) {
#pragma unroll
    for (int i = 0; i < kQuads; ++i) {
      const int64_t k = 4 * (i * kThreads + own);
      if (k >= d) break;
#pragma unroll
      for (int j = 0; j < kStreams; ++j) load_four(h + (token * kStreams + j) * d + k, v[i][j]);
    }
  }
  const float* from = partial + token * slices * (rows + 1);
  for (int row = warp; row <= rows; row += kWarps + 1) {
    float sum = 0;
#pragma unroll 2
    for (int64_t s = lane; s < slices; s += 32) sum += from[s * (rows + 1) + row];
    sum = warp_sum(sum);
    if (lane == 0) m[row] = sum;
  }
  __syncthreads();
  if (warp == 0) {
    const float r = inverse_root(m[rows] / static_cast<float>(kStreams * d) + mixing.norm_eps);
    for (int row = lane; row < rows; row += 32) m[row] *= r;
    __syncwarp();
    if (lane < kStreams) pre[lane] = pre_coefficient(mixing, m, lane);
  }
  __syncthreads();
  if (warp == 0) {
    if (head) return;
    mix_coefficients(mixing, m);
    __syncwarp();
    for (int row = lane; row < rows; row += 32) mix[token * rows + row] = m[row];
    return;
  }
  // Four values a thread of 1,024, and their squares over its warps, as mix_kernel has them.
  float mixed[kQuads][4];
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    float squares = 0;
    if (4 * (i * kThreads + own) < d) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float sum = 0;
#pragma unroll
        for (int j = 0; j < kStreams; ++j) sum = fmaf(pre[j], v[i][j][e], sum);
        mixed[i][e] = rounded<V>(sum);
        squares = fmaf(mixed[i][e], mixed[i][e], squares);
      }
    }
    squares = warp_sum(squares);
    if (lane == 0) parts[i * kWarps + warp - 1] = squares;
  }
  mixers_meet();
  const float squares = warp_sum(parts[lane]);
  const float scale = inverse_root(squares / static_cast<float>(d) + mixing.norm_eps);
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int64_t k = 4 * (i * kThreads + own);
    if (k >= d) break;
    float gain[4];
    load_four(mixing.gain + k, gain);
#pragma unroll
    for (int e = 0; e < 4; ++e) mixed[i][e] = gain[e] * (mixed[i][e] * scale);
    store_four(mixed[i], x + token * d + k);
  }
}

}  // namespace

bool mixes_many(const PlainMatrix& fn, const Mixing& mixing, int64_t d) {
  return fn.format == PlainMatrix::kF32 && fn.cols % kSlice == 0 && mixing.streams == kStreams &&
         d % 4 == 0 && d <= kMostWidth;
}

void mix_many(const Launch& at, const PlainMatrix& fn, const Mixing& mixing, int n, int64_t d,
              const void* h, float* scratch, float* coefficients, void* x) {
  const auto slices = static_cast<unsigned>(fn.cols / kSlice);
  const int rows = static_cast<int>(fn.rows);
  with_values(at, [&](auto v) {
    using V = decltype(v);
    using Room = ManyDots<V>;
    const auto* from = static_cast<const V*>(h);
    allow_shared(many_dots_kernel<V>, sizeof(Room));
    start(at, many_dots_kernel<V>, dim3(slices, blocks_for(n, Room::kTokens)), kThreads,
          sizeof(Room), fn, n, from, scratch);
    const auto kernel =
        coefficients != nullptr ? mix_many_kernel<V, false> : mix_many_kernel<V, true>;
    start(at, kernel, static_cast<unsigned>(n), kThreads + 32, 0, mixing, rows, int64_t{slices}, d,
          from, scratch, coefficients, static_cast<V*>(x));
  });
}

}  // namespace ds4::ops::cuda
