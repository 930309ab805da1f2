#include "probes/device/gemv.h"

#include "engine/base/check.h"
#include "engine/device/error.h"
#include "probes/device/gemv_chunk.cuh"

namespace ds4::probes {
namespace {

using enum WeightFormat;
using namespace gemv;

constexpr int kWarps = 8;  // of a block

template <WeightFormat format, bool arithmetic>
__global__ void __launch_bounds__(kWarps* kWarp, 2) gemv_kernel(const Args a) {
  __shared__ float parts[kWarps][4 * kWarp];
  __shared__ Book book;
  if constexpr (format == kIq2Xxs && arithmetic) fill_book(book);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int tile = (blockIdx.x * kWarps + warp) / a.warps, share = warp % a.warps;
  const int column = lane / 4 < a.n_x ? lane / 4 : 0;  // idle columns read the first
  float sums[4] = {};
  if (tile * kTileRows < a.rows) {
    const uint4* x = a.x + column * 4 + lane % 4;
    const uint4* x_sums = format == kQ2K ? a.sums + column * 4 + lane % 4 : nullptr;
    // While one chunk is multiplied the next are on their way; BF16 has enough in flight.
    constexpr int kAhead = code_units(format) > 4 ? 0 : code_units(format) > 1 ? 1 : 3;
    Loaded<format> next[kAhead + 1];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (share + i * a.warps < a.chunks) load(a, tile, share + i * a.warps, lane, next[i]);
    }
    uint32_t folded = 0;
    for (int first = share; first < a.chunks; first += (kAhead + 1) * a.warps) {
#pragma unroll
      for (int i = 0; i <= kAhead; ++i) {
        const int chunk = first + i * a.warps, ahead = chunk + kAhead * a.warps;
        if (ahead < a.chunks) load(a, tile, ahead, lane, next[(i + kAhead) % (kAhead + 1)]);
        if (chunk >= a.chunks) break;
        const Input input{x + int64_t{chunk} * kPieces * kWarp};
        const uint4* chunk_sums = format == kQ2K ? x_sums + int64_t{chunk} * kWarp : nullptr;
        if constexpr (arithmetic) {
          take<format>(sums, next[i], input, chunk_sums, &book);
        } else {
          folded ^= fold<format>(next[i], input, chunk_sums);
        }
      }
    }
    if (!arithmetic && folded == 0x9E3779B9u) sums[0] = 1;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) parts[warp][i * kWarp + lane] = sums[i];
  __syncthreads();
  if (share != 0 || tile * kTileRows >= a.rows) return;
  for (int i = 0; i < 4; ++i) {
    float sum = 0;
    for (int w = 0; w < a.warps; ++w) sum += parts[warp + w][i * kWarp + lane];
    const int m = lane % 4 * 2 + i % 2, row = tile * kTileRows + lane / 4 + i / 2 * 8;
    if (m < a.n_x) a.y[int64_t{m} * a.rows + row] = sum;
  }
}

template <WeightFormat format>
void launch(const Args& a, bool arithmetic, cudaStream_t stream) {
  const int tiles = a.rows / kTileRows, per_block = kWarps / a.warps;
  const int blocks = (tiles + per_block - 1) / per_block;
  if (arithmetic) {
    gemv_kernel<format, true><<<blocks, kWarps * kWarp, 0, stream>>>(a);
  } else {
    gemv_kernel<format, false><<<blocks, kWarps * kWarp, 0, stream>>>(a);
  }
}

}  // namespace

GemvBytes gemv_bytes(WeightFormat format, GemvShape shape) {
  const int64_t places = int64_t{shape.rows} / kTileRows * (shape.columns / kChunk);
  const int64_t fp8_scales = int64_t{shape.rows} / 128 * (shape.columns / 128);
  return {places * code_bytes(format), format == kFp8 ? fp8_scales : places * scale_bytes(format),
          places * block_bytes(format)};
}

void launch_gemv(WeightFormat format, GemvShape shape, const GemvMatrix& matrix,
                 const GemvInput& input, int n_x, int warps, bool arithmetic, float* y,
                 cudaStream_t stream) {
  DS4_CHECK(shape.rows % (format == kFp8 ? 128 : kTileRows) == 0 && shape.columns % kChunk == 0);
  DS4_CHECK(n_x >= 1 && n_x <= kMostColumns && kWarps % warps == 0);
  const Args a{static_cast<const uint4*>(matrix.codes),
               static_cast<const uint8_t*>(matrix.scales),
               static_cast<const uint8_t*>(matrix.blocks),
               static_cast<const uint4*>(input.x),
               static_cast<const uint4*>(input.sums),
               y,
               shape.rows,
               shape.columns / kChunk,
               n_x,
               warps};
  switch (format) {
    case kBf16:
      launch<kBf16>(a, arithmetic, stream);
      break;
    case kFp8:
      launch<kFp8>(a, arithmetic, stream);
      break;
    case kQ8_0:
      launch<kQ8_0>(a, arithmetic, stream);
      break;
    case kMxfp4:
      launch<kMxfp4>(a, arithmetic, stream);
      break;
    case kNvfp4:
      launch<kNvfp4>(a, arithmetic, stream);
      break;
    case kNvfp4Plain:
      launch<kNvfp4Plain>(a, arithmetic, stream);
      break;
    case kInt4:
      launch<kInt4>(a, arithmetic, stream);
      break;
    case kQ2K:
      launch<kQ2K>(a, arithmetic, stream);
      break;
    case kIq2Xxs:
      launch<kIq2Xxs>(a, arithmetic, stream);
      break;
  }
  DS4_CUDA(cudaGetLastError());
}

}  // namespace ds4::probes
