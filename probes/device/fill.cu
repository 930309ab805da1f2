#include "probes/device/fill.h"

#include "engine/device/error.h"

namespace ds4::probes {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 2048;

__device__ uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// The NaN codes of E4M3 are those whose lower seven bits are all set; one bit less in each of them.
__device__ uint32_t finite_e4m3(uint32_t codes) {
  uint32_t nan = codes & 0x7F7F7F7Fu;
  nan = __vcmpeq4(nan, 0x7F7F7F7Fu);
  return codes ^ (nan & 0x08080808u);
}

__device__ uint32_t word_of(Fill fill, uint32_t bits) {
  switch (fill) {
    case Fill::kBits:
      return bits;
    case Fill::kBf16:
      return (bits & 0x80FF80FFu) | 0x3F003F00u;
    case Fill::kE4m3:
      return finite_e4m3(bits);
    case Fill::kE4m3Scale:
      return finite_e4m3(bits & 0x7F7F7F7Fu);
    case Fill::kE8m0:
      return (bits & 0x03030303u) + ((bits >> 8) & 0x03030303u) + 0x75757575u;
    case Fill::kF16Scale:
      return (bits & 0x07FF07FFu) | 0x20002000u;
  }
  return 0;
}

__global__ void fill_kernel(uint4* data, int64_t count, Fill fill, uint64_t seed) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const uint64_t low = mix(seed + 2 * i), high = mix(seed + 2 * i + 1);
    data[i] = {word_of(fill, static_cast<uint32_t>(low)),
               word_of(fill, static_cast<uint32_t>(low >> 32)),
               word_of(fill, static_cast<uint32_t>(high)),
               word_of(fill, static_cast<uint32_t>(high >> 32))};
  }
}

}  // namespace

void fill_random(void* data, int64_t bytes, Fill fill, uint64_t seed, cudaStream_t stream) {
  fill_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<uint4*>(data), bytes / 16, fill, seed);
  DS4_CUDA(cudaGetLastError());
}

void poison(void* data, int64_t bytes, cudaStream_t stream) {
  DS4_CUDA(cudaMemsetAsync(data, 0xFF, static_cast<size_t>(bytes), stream));
}

}  // namespace ds4::probes
