// Hyper-connections between two sublayers for few tokens: one is left, the next entered, in one
// kernel. A token is the work of a cluster of blocks, each of which owns 256 dims of all streams, a
// warp per stream; what they must know of each other goes through their shared memory. Only the
// dots that make x are made here, four of 24: the others are beside the next product (sides.cuh).
// Sums come in the order of mixing.cu, so that results are the same bits.
#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mixing.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kStreams = kMixedStreams;
[[maybe_unused]] constexpr int kRows = kStreams * (kStreams + 2);
constexpr int kThreads = kStreams * 32;
constexpr int kDims = kSlice;                        // of a block
constexpr int kMostBlocks = kMostSlices / kStreams;  // of a cluster: as many as Hopper takes
[[maybe_unused]] constexpr int kQuads = kDims / 4;

// The address of a variable in the shared memory of a block of the cluster.
[[maybe_unused]] __device__ uint32_t shared_of(const void* at, int block) {
  const auto own = static_cast<uint32_t>(__cvta_generic_to_shared(at));
  uint32_t mapped = 0;
#if __CUDA_ARCH__ >= 900
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(own), "r"(block));
#endif
  return mapped;
}

// Messages to blocks of the cluster: a barrier of the receiver counts their bytes.
#if __CUDA_ARCH__ >= 900
__device__ void expect(uint64_t* barrier, int bytes) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(at) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes)
               : "memory");
}
__device__ void send(const void* to, float v, uint64_t* barrier, int block) {
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
          shared_of(to, block)),
      "r"(__float_as_uint(v)), "r"(shared_of(barrier, block))
      : "memory");
}
__device__ void send(const void* to, const float4& v, uint64_t* barrier, int block) {
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, "
      "[%5];" ::"r"(shared_of(to, block)),
      "r"(__float_as_uint(v.x)), "r"(__float_as_uint(v.y)), "r"(__float_as_uint(v.z)),
      "r"(__float_as_uint(v.w)), "r"(shared_of(barrier, block))
      : "memory");
}
__device__ void receive(uint64_t* barrier) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], 0;\n"
      "@!done bra again;\n}" ::"r"(at)
      : "memory");
}
#endif

// Four values of y of a token from its parts, or as they are.
[[maybe_unused]] __device__ void load_result(const Leaving& from, int64_t token, int64_t d,
                                             int64_t k, const int32_t* order, float (&v)[4]) {
  if (from.routed == nullptr) {
    return load_four(static_cast<const Bf16*>(from.y) + token * d + k, v);
  }
  float last[4];
  load_four(static_cast<const Bf16*>(from.shared) + token * d + k, last);
  float sum[4] = {};
  constexpr int kBatch = 8;  // loads that go together
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

__global__ void __launch_bounds__(kThreads)
    mix_few_kernel(const __grid_constant__ Leaving from, const float* fn,
                   const __grid_constant__ Mixing mixing, int64_t d, Bf16* h, float* mix, Bf16* x,
                   const __grid_constant__ ArrangedInputs arranged) {
#if __CUDA_ARCH__ >= 900  // never launched below
  __shared__ __align__(16) float streams[kStreams][kDims];
  __shared__ __align__(16) float4 dots[kStreams * kMostBlocks];  // of all blocks, by slice
  __shared__ float dot_squares[kStreams * kMostBlocks];
  __shared__ float squares[32];  // of 128 dims of x each
  __shared__ int32_t order[kStreams][kMostPerToken];
  __shared__ uint64_t dots_arrived, squares_arrived;
  constexpr int kMixWarps = kQuads / 32;  // that make x
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const auto blocks = static_cast<int>(gridDim.x);
  const auto block = static_cast<int>(blockIdx.x);
  const int64_t token = blockIdx.y;
  const int64_t cols = kStreams * d;
  if (threadIdx.x == 0) {
    expect(&dots_arrived, kStreams * blocks * 5 * static_cast<int>(sizeof(float)));
    expect(&squares_arrived, kMixWarps * blocks * static_cast<int>(sizeof(float)));
  }
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");

  // Weights do not change.
  const int64_t k = int64_t{block} * kDims + 4 * lane;  // and 128 more
  float w[kStreams][kPerLane];
#pragma unroll
  for (int row = 0; row < kStreams; ++row) {
    const auto* at = reinterpret_cast<const float4*>(fn + row * cols + warp * d + k);
    reinterpret_cast<float4&>(w[row][0]) = __ldg(at);
    reinterpret_cast<float4&>(w[row][4]) = __ldg(at + 32);
  }
  // Lanes 4j .. 4j + 3 make the coefficient of stream j.
  const float scale_in = mixing.scale[0];
  const float base_in = mixing.base[lane / 4 % kStreams];
  const int quad = threadIdx.x % kQuads;
  float gain[4];
  load_four(mixing.gain + block * kDims + 4 * quad, gain);
  if (threadIdx.x < 32 && lane >= kMixWarps * blocks) squares[lane] = 0;
  if (from.routed != nullptr) {
    // Routing is at least two kernels back, so its lists are there.
    const int own =
        lane < from.per_token ? __ldcg(from.place + token * from.per_token + lane) : INT32_MAX;
    int rank = 0;
    for (int j = 0; j < from.per_token; ++j) rank += __shfl_sync(0xffffffffu, own, j) < own;
    if (lane < from.per_token) order[warp][rank] = own;
    __syncwarp();
  }
  wait_for_inputs();

  Bf16* at = h + token * cols + k;
  float own[2][4];
  if (from.y == nullptr) {
    load_four(at + warp * d, own[0]);
    load_four(at + warp * d + 128, own[1]);
  } else {
    const float* post = from.mix + token * kRows + kStreams;
    const float* comb = post + kStreams;
    float old[2][kStreams][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < kStreams; ++j) load_four(at + j * d + 128 * i, old[i][j]);
    }
    const float share = post[warp];
    float shares[kStreams];
#pragma unroll
    for (int j = 0; j < kStreams; ++j) shares[j] = comb[j * kStreams + warp];
#pragma unroll
    for (int i = 0; i < 2; ++i) load_result(from, token, d, k + 128 * i, order[warp], own[i]);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float sum = share * own[i][e];
#pragma unroll
        for (int j = 0; j < kStreams; ++j) sum = fmaf(shares[j], old[i][j][e], sum);
        own[i][e] = rounded<Bf16>(sum);
      }
    }
  }
  float sums[kSums] = {};
#pragma unroll
  for (int e = 0; e < kPerLane; ++e) {
    const float v = own[e / 4][e % 4];
#pragma unroll
    for (int row = 0; row < kStreams; ++row) sums[row] = fmaf(w[row][e], v, sums[row]);
    sums[kStreams] = fmaf(v, v, sums[kStreams]);
  }
  const float dot_sum = sums_of_eight(sums);
  const auto sum_of = [&](int i) { return __shfl_sync(0xffffffffu, dot_sum, 4 * i); };
  const float4 of_rows{sum_of(0), sum_of(1), sum_of(2), sum_of(3)};
  const float of_squares = sum_of(4);
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");  // all blocks are there
  const int slice = warp * blocks + block;
  if (lane < blocks) send(&dots[slice], of_rows, &dots_arrived, lane);
  if (lane >= 16 && lane - 16 < blocks) {
    send(&dot_squares[slice], of_squares, &dots_arrived, lane - 16);
  }
  store_four(own[0], &streams[warp][4 * lane]);
  store_four(own[1], &streams[warp][4 * lane + 128]);
  __syncthreads();
  if (from.y != nullptr) {  // the old ones are read
    store_four(own[0], at + warp * d);
    store_four(own[1], at + warp * d + 128);
  }
  if (warp >= kMixWarps) return;

  receive(&dots_arrived);
  float added[kSums] = {};
  for (int s = lane; s < kStreams * blocks; s += 32) {
    const float4 rows = dots[s];
    added[0] += rows.x;
    added[1] += rows.y;
    added[2] += rows.z;
    added[3] += rows.w;
    added[kStreams] += dot_squares[s];
  }
  const float sum = sums_of_eight(added);
  const float square_sum = __shfl_sync(0xffffffffu, sum, 4 * kStreams);
  const float r = inverse_root(square_sum / static_cast<float>(cols) + mixing.norm_eps);
  const float dot = sum * r;
  // What is left for the coefficients: these dots and r.
  if (block == 0 && warp == 0 && lane % 4 == 0 && lane <= 4 * kStreams) {
    mix[token * kRows + lane / 4] = lane == 4 * kStreams ? r : dot;
  }
  const float pre = sigmoid(dot * scale_in + base_in) + mixing.mix_eps;
  float mixed[4] = {};
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
    send(&squares[block * kMixWarps + warp], squared, &squares_arrived, lane);
  }
  receive(&squares_arrived);
  const float scale =
      inverse_root(warp_sum(squares[lane]) / static_cast<float>(d) + mixing.norm_eps);
#pragma unroll
  for (int e = 0; e < 4; ++e) mixed[e] = rounded<Bf16>(gain[e] * (mixed[e] * scale));
  const int64_t to = token * d + block * kDims + 4 * quad;
  store_four(mixed, x + to);
  if (arranged.ordered != nullptr) arrange_inputs(arranged, lane, mixed, to / 128);
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
