#include "probes/device/streaming.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/device/error.h"

namespace ds4::probes {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kPieceLoads = kPiece / 16 / kThreads;  // of each thread
constexpr int64_t kPage = 4096;
static_assert(kPieceLoads == 8);

__device__ float magnitude(uint32_t bits) {
  return fabsf(__uint_as_float(bits));
}

template <Reading reading>
__device__ void add(float (&sums)[4], const uint4& v) {
  const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (reading == Reading::kF32) {
      sums[i] += magnitude(words[i]);
    } else {
      sums[i] += magnitude(words[i] << 16) + magnitude(words[i] & 0xFFFF0000u);
    }
  }
}

__device__ void deliver(const float (&sums)[4], double* total) {
  double sum = double{sums[0]} + double{sums[1]} + double{sums[2]} + double{sums[3]};
  __shared__ double parts[kThreads / kWarp];
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_down_sync(0xFFFFFFFFu, sum, offset);
  }
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < kThreads / kWarp; ++i) sum += parts[i];
  atomicAdd(total, sum);
}

template <Reading reading, int loads>
__global__ void __launch_bounds__(kThreads)
    read_kernel(const uint4* data, int64_t pieces, double* total) {
  float sums[4] = {};
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const uint4* at = data + piece * (kPiece / 16) + threadIdx.x;
#pragma unroll
    for (int first = 0; first < kPieceLoads; first += loads) {
      uint4 part[loads];
#pragma unroll
      for (int k = 0; k < loads; ++k) part[k] = __ldcs(at + (first + k) * kThreads);
#pragma unroll
      for (int k = 0; k < loads; ++k) add<reading>(sums, part[k]);
    }
  }
  deliver(sums, total);
}

template <Reading reading>
__global__ void plain_kernel(const uint32_t* words, int64_t count, double* total) {
  double sum = 0;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    if (reading == Reading::kF32) {
      sum += double{magnitude(words[i])};
    } else {
      sum += double{magnitude(words[i] << 16)} + double{magnitude(words[i] & 0xFFFF0000u)};
    }
  }
  atomicAdd(total, sum);
}

__global__ void __launch_bounds__(kThreads)
    again_kernel(const uint4* data, int64_t pieces, int64_t visits, double* total) {
  float sums[4] = {};
  for (int64_t visit = blockIdx.x; visit < visits; visit += gridDim.x) {
    const uint4* at = data + visit % pieces * (kPiece / 16) + threadIdx.x;
    uint4 part[kPieceLoads];
#pragma unroll
    for (int k = 0; k < kPieceLoads; ++k) part[k] = __ldcg(at + k * kThreads);
#pragma unroll
    for (int k = 0; k < kPieceLoads; ++k) add<Reading::kF32>(sums, part[k]);
  }
  deliver(sums, total);
}

__device__ uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 33)) * 0xFF51AFD7ED558CCDull;
  z = (z ^ (z >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return z ^ (z >> 33);
}

__global__ void __launch_bounds__(kThreads)
    pages_kernel(const uint4* data, int64_t pages, int64_t count, uint64_t seed, double* total) {
  float sums[4] = {};
  const int64_t warps = int64_t{gridDim.x} * (kThreads / kWarp);
  int64_t read = int64_t{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp;
  for (; read < count; read += warps) {
    const int64_t page = static_cast<int64_t>(mix(seed + read + 1) % pages);
    const uint4* at = data + page * (kPage / 16) + threadIdx.x % kWarp;
    uint4 part[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) part[k] = __ldcs(at + k * kWarp);
#pragma unroll
    for (int k = 0; k < 8; ++k) add<Reading::kF32>(sums, part[k]);
  }
  deliver(sums, total);
}

__global__ void __launch_bounds__(kThreads)
    write_kernel(uint4* data, int64_t pieces, uint32_t seed) {
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    uint4* at = data + piece * (kPiece / 16) + threadIdx.x;
    const auto start = static_cast<uint32_t>(piece) * kThreads + threadIdx.x + seed;
#pragma unroll
    for (int k = 0; k < kPieceLoads; ++k) {
      const uint32_t a = (start + k) * 2654435761u;
      __stcs(at + k * kThreads, uint4{a, a * 0x9E3779B1u, ~a, a ^ 0x5BD1E995u});
    }
  }
}

template <int loads>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(const uint4* from, uint4* to, int64_t pieces) {
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const int64_t begin = piece * (kPiece / 16) + threadIdx.x;
#pragma unroll
    for (int first = 0; first < kPieceLoads; first += loads) {
      uint4 part[loads];
#pragma unroll
      for (int k = 0; k < loads; ++k) part[k] = __ldcs(from + begin + (first + k) * kThreads);
#pragma unroll
      for (int k = 0; k < loads; ++k) __stcs(to + begin + (first + k) * kThreads, part[k]);
    }
  }
}

template <int loads>
__global__ void __launch_bounds__(kThreads)
    triad_kernel(const float4* a, const float4* b, float4* to, int64_t pieces) {
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const int64_t begin = piece * (kPiece / 16) + threadIdx.x;
#pragma unroll
    for (int first = 0; first < kPieceLoads; first += loads) {
      float4 x[loads], y[loads];
#pragma unroll
      for (int k = 0; k < loads; ++k) {
        x[k] = __ldcs(a + begin + (first + k) * kThreads);
        y[k] = __ldcs(b + begin + (first + k) * kThreads);
      }
#pragma unroll
      for (int k = 0; k < loads; ++k) {
        __stcs(to + begin + (first + k) * kThreads,
               float4{x[k].x + 3 * y[k].x, x[k].y + 3 * y[k].y, x[k].z + 3 * y[k].z,
                      x[k].w + 3 * y[k].w});
      }
    }
  }
}

unsigned staying_blocks() {
  int processors = 0, device = 0;
  DS4_CUDA(cudaGetDevice(&device));
  DS4_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  return static_cast<unsigned>(processors) * 8;
}

unsigned blocks_of(Shape shape, int64_t pieces) {
  const auto all = static_cast<unsigned>(pieces);
  return shape.stay ? std::min(all, staying_blocks()) : all;
}

// Calls run.operator()<loads>() for the loads of the shape.
template <class Run>
void with_loads(Shape shape, const Run& run) {
  switch (shape.loads) {
    case 2:
      run.template operator()<2>();
      break;
    case 4:
      run.template operator()<4>();
      break;
    default:
      run.template operator()<8>();
  }
  DS4_CUDA(cudaGetLastError());
}

int64_t pieces_of(int64_t bytes) {
  DS4_CHECK(bytes > 0 && bytes % kPiece == 0);
  return bytes / kPiece;
}

}  // namespace

void read_all(const void* data, int64_t bytes, Reading reading, Shape shape, double* total,
              cudaStream_t stream) {
  const int64_t pieces = pieces_of(bytes);
  const auto* at = static_cast<const uint4*>(data);
  with_loads(shape, [&]<int loads>() {
    const unsigned blocks = blocks_of(shape, pieces);
    if (reading == Reading::kF32) {
      read_kernel<Reading::kF32, loads><<<blocks, kThreads, 0, stream>>>(at, pieces, total);
    } else {
      read_kernel<Reading::kBf16, loads><<<blocks, kThreads, 0, stream>>>(at, pieces, total);
    }
  });
}

void read_plainly(const void* data, int64_t bytes, Reading reading, double* total,
                  cudaStream_t stream) {
  const auto* words = static_cast<const uint32_t*>(data);
  if (reading == Reading::kF32) {
    plain_kernel<Reading::kF32><<<1024, kThreads, 0, stream>>>(words, bytes / 4, total);
  } else {
    plain_kernel<Reading::kBf16><<<1024, kThreads, 0, stream>>>(words, bytes / 4, total);
  }
  DS4_CUDA(cudaGetLastError());
}

void read_again(const void* data, int64_t bytes, int rounds, double* total, cudaStream_t stream) {
  const int64_t pieces = pieces_of(bytes);
  again_kernel<<<staying_blocks(), kThreads, 0, stream>>>(static_cast<const uint4*>(data), pieces,
                                                          pieces * rounds, total);
  DS4_CUDA(cudaGetLastError());
}

void read_pages(const void* data, int64_t bytes, int64_t count, uint64_t seed, double* total,
                cudaStream_t stream) {
  pages_kernel<<<staying_blocks(), kThreads, 0, stream>>>(static_cast<const uint4*>(data),
                                                          bytes / kPage, count, seed, total);
  DS4_CUDA(cudaGetLastError());
}

void write_all(void* data, int64_t bytes, uint32_t seed, Shape shape, cudaStream_t stream) {
  const int64_t pieces = pieces_of(bytes);
  write_kernel<<<blocks_of(shape, pieces), kThreads, 0, stream>>>(static_cast<uint4*>(data), pieces,
                                                                  seed);
  DS4_CUDA(cudaGetLastError());
}

void copy_all(const void* from, void* to, int64_t bytes, Shape shape, cudaStream_t stream) {
  const int64_t pieces = pieces_of(bytes);
  with_loads(shape, [&]<int loads>() {
    copy_kernel<loads><<<blocks_of(shape, pieces), kThreads, 0, stream>>>(
        static_cast<const uint4*>(from), static_cast<uint4*>(to), pieces);
  });
}

void triad(const void* a, const void* b, void* to, int64_t bytes, Shape shape,
           cudaStream_t stream) {
  const int64_t pieces = pieces_of(bytes);
  with_loads(shape, [&]<int loads>() {
    triad_kernel<loads><<<blocks_of(shape, pieces), kThreads, 0, stream>>>(
        static_cast<const float4*>(a), static_cast<const float4*>(b), static_cast<float4*>(to),
        pieces);
  });
}

}  // namespace ds4::probes
