// Hyper-connections between two sublayers for few tokens: one is left, the next entered, in one
// kernel. A token is the work of a cluster of blocks, each of which owns 256 dims of all streams;
// what they must know of each other goes through their shared memory. Sums come in the order of
// mixing.cu, so that results are the same bits.
#include <cooperative_groups.h>

#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mixing.cuh"

namespace ds4::ops::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kStreams = 4;
constexpr int kRows = kStreams * (kStreams + 2);
constexpr int kDots = kRows + 1;  // the last one: the sum of squares
constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kDims = kSlice;  // of a block
[[maybe_unused]] constexpr int kQuads = kDims / 4;
constexpr int kMostBlocks = 16;  // of a cluster: as many as Hopper takes
[[maybe_unused]] constexpr int kOwnDots = (kStreams * kDots + kWarps - 1) / kWarps;

// y of a token from its parts, or as it is.
[[maybe_unused]] __device__ void load_result(const Leaving& from, int64_t token, int64_t d,
                                             int64_t k, const int32_t* order, float (&v)[4]) {
  if (from.routed == nullptr) {
    return load_four(static_cast<const Bf16*>(from.y) + token * d + k, v);
  }
  float sum[4] = {};
  float part[4];
  for (int j = 0; j < from.per_token; ++j) {
    load_four(static_cast<const Bf16*>(from.routed) + order[j] * d + k, part);
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[e] += part[e];
  }
  load_four(static_cast<const Bf16*>(from.shared) + token * d + k, part);
#pragma unroll
  for (int e = 0; e < 4; ++e) v[e] = rounded<Bf16>(sum[e] + part[e]);
}

__global__ void __launch_bounds__(kThreads, 1)
    mix_few_kernel(const __grid_constant__ Leaving from, const float* fn,
                   const __grid_constant__ Mixing mixing, int64_t d, Bf16* h, float* mix, Bf16* x,
                   const __grid_constant__ ArrangedInputs arranged) {
#if __CUDA_ARCH__ >= 900  // never launched below
  __shared__ __align__(16) float streams[kStreams][kDims];
  __shared__ float partial[kStreams * kMostBlocks][kDots];
  __shared__ float m[kDots];
  __shared__ float squares[32];  // of 128 dims each
  __shared__ int32_t order[kMostPerToken];
  const cg::cluster_group cluster = cg::this_cluster();
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const auto blocks = static_cast<int>(gridDim.x);
  const auto block = static_cast<int>(blockIdx.x);
  const int64_t token = blockIdx.y;
  const int64_t cols = kStreams * d;

  // Weights do not change.
  float w[kOwnDots][kPerLane];
#pragma unroll
  for (int i = 0; i < kOwnDots; ++i) {
    const int dot = warp + i * kWarps;
    const int row = min(dot % kDots, kRows - 1);
    const int stream = min(dot / kDots, kStreams - 1);
    const auto* at = reinterpret_cast<const float4*>(fn + row * cols + stream * d + block * kDims);
    reinterpret_cast<float4&>(w[i][0]) = __ldg(at + lane);
    reinterpret_cast<float4&>(w[i][4]) = __ldg(at + lane + 32);
  }
  const int quad = threadIdx.x % kQuads;
  const int64_t k = block * kDims + 4 * quad;
  float gain[4];
  load_four(mixing.gain + k, gain);
  if (threadIdx.x < 32) squares[threadIdx.x] = 0;
  if (from.routed != nullptr && threadIdx.x < 32) {
    // Routing is at least two kernels back, so its lists are there.
    const int own = lane < from.per_token ? from.place[token * from.per_token + lane] : INT32_MAX;
    int rank = 0;
    for (int j = 0; j < from.per_token; ++j) rank += __shfl_sync(0xffffffffu, own, j) < own;
    if (lane < from.per_token) order[rank] = own;
  }
  cluster.sync();  // all blocks are there
  wait_for_inputs();

  // A thread per stream and quad.
  if (threadIdx.x < kStreams * kQuads) {
    const int to = threadIdx.x / kQuads;
    Bf16* at = h + token * cols + k;
    float own[4];
    if (from.y == nullptr) {
      load_four(at + to * d, own);
    } else {
      const float* post = from.mix + token * kRows + kStreams;
      const float* comb = post + kStreams;
      float old[kStreams][4];
#pragma unroll
      for (int j = 0; j < kStreams; ++j) load_four(at + j * d, old[j]);
      float v[4];
      load_result(from, token, d, k, order, v);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        own[e] = post[to] * v[e];
#pragma unroll
        for (int j = 0; j < kStreams; ++j) {
          own[e] = fmaf(comb[j * kStreams + to], old[j][e], own[e]);
        }
        own[e] = rounded<Bf16>(own[e]);
      }
    }
    store_four(own, &streams[to][4 * quad]);
  }
  __syncthreads();
  if (from.y != nullptr && threadIdx.x < kStreams * kQuads) {  // the old ones are read
    const int to = threadIdx.x / kQuads;
    store_four(&streams[to][4 * quad], h + token * cols + to * d + k);
  }

#pragma unroll
  for (int i = 0; i < kOwnDots; ++i) {
    const int dot = warp + i * kWarps;
    if (dot >= kStreams * kDots) break;
    const int row = dot % kDots;
    const int stream = dot / kDots;
    float v[kPerLane];
    load_four(&streams[stream][4 * lane], v);
    load_four(&streams[stream][4 * lane + 128], v + 4);
    float sum = 0;
#pragma unroll
    for (int e = 0; e < kPerLane; ++e) sum = fmaf(row < kRows ? w[i][e] : v[e], v[e], sum);
    sum = warp_sum(sum);
    if (lane < blocks) {
      *cluster.map_shared_rank(&partial[stream * blocks + block][row], lane) = sum;
    }
  }
  cluster.sync();

  for (int row = warp; row < kDots; row += kWarps) {
    float sum = 0;
    for (int s = lane; s < kStreams * blocks; s += 32) sum += partial[s][row];
    sum = warp_sum(sum);
    if (lane == 0) m[row] = sum;
  }
  __syncthreads();
  const float r = inverse_root(m[kRows] / static_cast<float>(cols) + mixing.norm_eps);
  __syncthreads();
  if (threadIdx.x < kRows) {
    m[threadIdx.x] *= r;
    if (block == 0) mix[token * kRows + threadIdx.x] = m[threadIdx.x];
  }
  __syncthreads();
  float mixed[4] = {};
  if (threadIdx.x < kQuads) {
#pragma unroll
    for (int j = 0; j < kStreams; ++j) {
      const float pre = pre_coefficient(mixing, m, j);
      float v[4];
      load_four(&streams[j][4 * quad], v);
#pragma unroll
      for (int e = 0; e < 4; ++e) mixed[e] = fmaf(pre, v[e], mixed[e]);
    }
    float sum = 0;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      mixed[e] = rounded<Bf16>(mixed[e]);
      sum = fmaf(mixed[e], mixed[e], sum);
    }
    sum = warp_sum(sum);
    if (lane < blocks) {
      *cluster.map_shared_rank(&squares[block * (kQuads / 32) + warp], lane) = sum;
    }
  }
  cluster.sync();
  if (threadIdx.x >= kQuads) return;
  const float scale =
      inverse_root(warp_sum(squares[lane]) / static_cast<float>(d) + mixing.norm_eps);
#pragma unroll
  for (int e = 0; e < 4; ++e) mixed[e] = rounded<Bf16>(gain[e] * (mixed[e] * scale));
  store_four(mixed, x + token * d + k);
  if (arranged.codes != nullptr) arrange_inputs(arranged, lane, mixed, (token * d + k) / 128);
#endif
}

// A cluster of all blocks of a token.
cudaLaunchConfig_t config_of(const Launch& at, int64_t d, int n, LaunchAttributes& attributes) {
  cudaLaunchAttribute& cluster = attributes.all[attributes.count++];
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(d / kDims), static_cast<unsigned>(n));
  config.blockDim = kThreads;
  config.stream = at.stream;
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = config.gridDim.x;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  config.attrs = attributes.all;
  config.numAttrs = attributes.count;
  return config;
}

}  // namespace

bool can_mix_few(Launch at, int streams, int64_t d) {
  if (!at.strict || !at.early || streams != kStreams || d % kDims || d / kDims > kMostBlocks) {
    return false;
  }
  // More than 8 blocks in a cluster are not for every GPU.
  static_cast<void>(
      cudaFuncSetAttribute(mix_few_kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  at.early = false;  // nothing but the size of the cluster matters
  LaunchAttributes attributes(at);
  const cudaLaunchConfig_t config = config_of(at, d, 1, attributes);
  int clusters = 0;
  const cudaError_t status = cudaOccupancyMaxActiveClusters(&clusters, mix_few_kernel, &config);
  if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
  return status == cudaSuccess && clusters > 0;
}

void mix_few(Launch at, const Leaving& from, const PlainMatrix& fn, const Mixing& mixing, int n,
             int64_t d, void* h, float* mix, void* x, const ArrangedInputs& arranged) {
  LaunchAttributes attributes(at);
  const cudaLaunchConfig_t config = config_of(at, d, n, attributes);
  kernel_launches.fetch_add(1, std::memory_order_relaxed);
  static_cast<void>(
      cudaLaunchKernelEx(&config, mix_few_kernel, from, reinterpret_cast<const float*>(fn.data),
                         mixing, d, static_cast<Bf16*>(h), mix, static_cast<Bf16*>(x), arranged));
}

}  // namespace ds4::ops::cuda
