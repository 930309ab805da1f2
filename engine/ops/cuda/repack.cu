// Stored weights to tiles: within 16 rows, the 16-byte units of each group of 128 columns go into
// the order in which the lanes of a warp take them, so that each warp load is 512 contiguous bytes.
// A permutation, of bytes for FP8 and BF16 and down to bits for MXFP4; nothing is rounded.
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kGroup = 128;

unsigned grid_for(int64_t count) {
  const int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 65536 ? blocks : 65536);
}

// Four MXFP4 codes of a 16-bit half into the bit order that planes_bits_f16 reads.
__device__ uint32_t half_planes(uint32_t codes) {
  const int magnitude_at[4] = {9, 6, 3, 0};
  const int sign_at[4] = {15, 12, 13, 14};
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t code = codes >> (4 * i) & 15;
    out |= (code & 7) << magnitude_at[i] | code >> 3 << sign_at[i];
  }
  return out;
}

// One thread per 4-byte word of the result; `units` 16-byte units per lane and group.
__global__ void repack_kernel(Packing packing, int units, const uint32_t* native, uint32_t* out,
                              int64_t words, int64_t groups) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < words;
       i += int64_t{gridDim.x} * kThreads) {
    const int in_unit = static_cast<int>(i % 4);
    const int lane = static_cast<int>(i / 4 % 32);
    const int u = static_cast<int>(i / 128 % units);
    const int64_t tile_group = i / 128 / units;
    const int64_t row = tile_group / groups * 16 + lane / 4 + 8 * (u % 2);
    const int64_t group = tile_group % groups;
    const int t = lane % 4;
    // MXFP4: the four lanes of a fragment row share each scale block.
    const int64_t in_row =
        group * units * 8 +
        (packing == Packing::kPlanes ? in_unit * 4 + t : u / 2 * 16 + t * 4 + in_unit);
    const uint32_t word = native[row * groups * units * 8 + in_row];
    out[i] = packing == Packing::kPlanes
                 ? half_planes(word & 0xffff) | half_planes(word >> 16) << 16
                 : word;
  }
}

__global__ void repack_scales_kernel(const uint32_t* native, uint32_t* out, int64_t words,
                                     int64_t groups) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < words;
       i += int64_t{gridDim.x} * kThreads) {
    const int64_t tile_group = i / 16;
    const int64_t row = tile_group / groups * 16 + i % 16;
    out[i] = native[row * groups + tile_group % groups];
  }
}

}  // namespace

void repack_weights(cudaStream_t stream, Packing packing, const uint8_t* native, uint8_t* out,
                    int64_t rows, int64_t row_bytes, int64_t cols) {
  const int64_t words = rows * row_bytes / 4;
  const int64_t groups = cols / kGroup;
  const int units = static_cast<int>(row_bytes / groups / 32);
  repack_kernel<<<grid_for(words), kThreads, 0, stream>>>(
      packing, units, reinterpret_cast<const uint32_t*>(native), reinterpret_cast<uint32_t*>(out),
      words, groups);
}

void repack_fp4_scales(cudaStream_t stream, const uint8_t* native, uint8_t* out, int64_t rows,
                       int64_t cols) {
  const int64_t words = rows * (cols / kGroup);
  repack_scales_kernel<<<grid_for(words), kThreads, 0, stream>>>(
      reinterpret_cast<const uint32_t*>(native), reinterpret_cast<uint32_t*>(out), words,
      cols / kGroup);
}

}  // namespace ds4::ops::cuda
