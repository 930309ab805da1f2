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

constexpr int kBatch = 8;  // sums that a warp makes together

// What every block of a cluster is told by each: of each stream the dots that make x, then the sums
// of squares. The first block gets the other rows as well, four at a time.
constexpr int kPieces = kStreams + 1;
struct Part {
  float4 piece[kPieces];
};
[[maybe_unused]] constexpr int kRestPieces = kRows - kStreams;
[[maybe_unused]] constexpr int kDotStride = 28;  // whole fours

// The sums over a warp of eight values of a lane, in the order of warp_sum(): lane 4i and the three
// behind it get that of v[i]. With a quarter of its shuffles, because each step halves the values.
[[maybe_unused]] __device__ float sums_of_eight(float (&v)[kBatch]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int step = 16, count = kBatch / 2; count > 0; step /= 2, count /= 2) {
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

// y of a token from its parts, or as it is; loads of kBatch parts go together.
[[maybe_unused]] __device__ void load_result(const Leaving& from, int64_t token, int64_t d,
                                             int64_t k, const int32_t* order, float (&v)[4]) {
  if (from.routed == nullptr) {
    return load_four(static_cast<const Bf16*>(from.y) + token * d + k, v);
  }
  float last[4];
  load_four(static_cast<const Bf16*>(from.shared) + token * d + k, last);
  float sum[4] = {};
  for (int begin = 0; begin < from.per_token; begin += kBatch) {
    float part[kBatch][4];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (begin + i < from.per_token) {
        load_four(static_cast<const Bf16*>(from.routed) + order[begin + i] * d + k, part[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (begin + i >= from.per_token) break;
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[e] += part[i][e];
    }
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) v[e] = rounded<Bf16>(sum[e] + last[e]);
}

__global__ void __launch_bounds__(kThreads, 1)
    mix_few_kernel(const __grid_constant__ Leaving from, const float* fn,
                   const __grid_constant__ Mixing mixing, int64_t d, Bf16* h, float* mix, Bf16* x,
                   const __grid_constant__ ArrangedInputs arranged) {
#if __CUDA_ARCH__ >= 900  // never launched below
  __shared__ __align__(16) float streams[kStreams][kDims];
  __shared__ __align__(16) float own_dots[kStreams][kDotStride];
  __shared__ Part parts[kMostBlocks];                                  // of all blocks
  __shared__ __align__(16) float4 rest[kMostBlocks][kRestPieces + 1];  // the first block's
  __shared__ float squares[32];                                        // of 128 dims each
  __shared__ int32_t order[kMostPerToken];
  const cg::cluster_group cluster = cg::this_cluster();
  cluster.barrier_arrive();
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
  // Lanes 4j .. 4j + 3 of the first warps make the coefficient of stream j.
  const int own_stream = lane / 4 % kStreams;
  const float scale_in = mixing.scale[0];
  const float base_in = mixing.base[own_stream];
  if (threadIdx.x < 32) squares[threadIdx.x] = 0;
  if (from.routed != nullptr && threadIdx.x < 32) {
    // Routing is at least two kernels back, so its lists are there.
    const int own =
        lane < from.per_token ? __ldcg(from.place + token * from.per_token + lane) : INT32_MAX;
    int rank = 0;
    for (int j = 0; j < from.per_token; ++j) rank += __shfl_sync(0xffffffffu, own, j) < own;
    if (lane < from.per_token) order[rank] = own;
  }
  __syncthreads();
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
      const float share = post[to];
      float shares[kStreams];
#pragma unroll
      for (int j = 0; j < kStreams; ++j) shares[j] = comb[j * kStreams + to];
      float v[4];
      load_result(from, token, d, k, order, v);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        own[e] = share * v[e];
#pragma unroll
        for (int j = 0; j < kStreams; ++j) own[e] = fmaf(shares[j], old[j][e], own[e]);
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

  static_assert(kOwnDots < kBatch);
  float sums[kBatch] = {};
#pragma unroll
  for (int i = 0; i < kOwnDots; ++i) {
    const int dot = min(warp + i * kWarps, kStreams * kDots - 1);
    const int row = dot % kDots;
    const int stream = dot / kDots;
    float v[kPerLane];
    load_four(&streams[stream][4 * lane], v);
    load_four(&streams[stream][4 * lane + 128], v + 4);
#pragma unroll
    for (int e = 0; e < kPerLane; ++e) {
      sums[i] = fmaf(row < kRows ? w[i][e] : v[e], v[e], sums[i]);
    }
  }
  const float dot_sum = sums_of_eight(sums);
  if (const int dot = warp + lane / 4 * kWarps; lane % 4 == 0 && dot < kStreams * kDots) {
    own_dots[dot / kDots][dot % kDots] = dot_sum;
  }
  cluster.barrier_wait();  // all blocks are there
  __syncthreads();
  // Stores to other blocks cost by their number: a few wide ones.
  const auto four = [&](int stream, int row) {
    return *reinterpret_cast<const float4*>(&own_dots[stream][row]);
  };
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread < kPieces * blocks) {
    const int piece = thread % kPieces;
    *cluster.map_shared_rank(&parts[block].piece[piece], thread / kPieces) =
        piece < kStreams ? four(piece, 0)
                         : float4{own_dots[0][kRows], own_dots[1][kRows], own_dots[2][kRows],
                                  own_dots[3][kRows]};
  } else if (const int i = kThreads - 1 - thread; i < kRestPieces) {
    *cluster.map_shared_rank(&rest[block][i], 0) =
        four(i % kStreams, kStreams + i / kStreams * kStreams);
  }
  cluster.sync();

  // By two warps for what comes next; by others of the first block for whoever makes coefficients.
  constexpr int kMixWarps = kQuads / 32;
  const bool mixes = warp < kMixWarps;
  const int first_row = mixes ? 0 : (warp - kMixWarps + 1) * kStreams;
  float mixed[4] = {};
  if (mixes || (block == 0 && first_row < kRows)) {
    float added[kBatch] = {};
    for (int s = lane; s < kStreams * blocks; s += 32) {
      const int stream = s / blocks;
      const Part& of_block = parts[s % blocks];
      const float4 rows =
          mixes ? of_block.piece[stream] : rest[s % blocks][first_row - kStreams + stream];
      added[0] += rows.x;
      added[1] += rows.y;
      added[2] += rows.z;
      added[3] += rows.w;
      added[kStreams] += reinterpret_cast<const float*>(&of_block.piece[kStreams])[stream];
    }
    const float sum = sums_of_eight(added);
    const float square_sum = __shfl_sync(0xffffffffu, sum, 4 * kStreams);
    const float r = inverse_root(square_sum / static_cast<float>(cols) + mixing.norm_eps);
    const float own = sum * r;
    if (block == 0 && warp != 1 && lane % 4 == 0 && lane < 4 * kStreams) {
      mix[token * kRows + first_row + lane / 4] = own;
    }
    if (mixes) {
      const float pre = sigmoid(own * scale_in + base_in) + mixing.mix_eps;
#pragma unroll
      for (int j = 0; j < kStreams; ++j) {
        const float of_stream = __shfl_sync(0xffffffffu, pre, 4 * j);
        float v[4];
        load_four(&streams[j][4 * quad], v);
#pragma unroll
        for (int e = 0; e < 4; ++e) mixed[e] = fmaf(of_stream, v[e], mixed[e]);
      }
      float squared = 0;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        mixed[e] = rounded<Bf16>(mixed[e]);
        squared = fmaf(mixed[e], mixed[e], squared);
      }
      squared = warp_sum(squared);
      if (lane < blocks) {
        *cluster.map_shared_rank(&squares[block * kMixWarps + warp], lane) = squared;
      }
    }
  }
  cluster.sync();
  if (!mixes) return;
  const float scale =
      inverse_root(warp_sum(squares[lane]) / static_cast<float>(d) + mixing.norm_eps);
#pragma unroll
  for (int e = 0; e < 4; ++e) mixed[e] = rounded<Bf16>(gain[e] * (mixed[e] * scale));
  store_four(mixed, x + token * d + k);
  if (arranged.codes != nullptr) arrange_inputs(arranged, lane, mixed, (token * d + k) / 128);
#endif
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
  const cudaLaunchConfig_t config =
      cluster_config(at, static_cast<unsigned>(d / kDims), kThreads, attributes);
  int clusters = 0;
  const cudaError_t status = cudaOccupancyMaxActiveClusters(&clusters, mix_few_kernel, &config);
  if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
  return status == cudaSuccess && clusters > 0;
}

void mix_few(Launch at, const Leaving& from, const PlainMatrix& fn, const Mixing& mixing, int n,
             int64_t d, void* h, float* mix, void* x, const ArrangedInputs& arranged) {
  const dim3 grid(static_cast<unsigned>(d / kDims), static_cast<unsigned>(n));
  start_clusters(at, mix_few_kernel, grid, kThreads, from, reinterpret_cast<const float*>(fn.data),
                 mixing, d, static_cast<Bf16*>(h), mix, static_cast<Bf16*>(x), arranged);
}

}  // namespace ds4::ops::cuda
