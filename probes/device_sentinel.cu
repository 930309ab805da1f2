// The sentinel's work on a GPU: nothing of the engine takes part.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/base/check.h"
#include "engine/device/error.h"
#include "engine/device/memory.h"
#include "engine/device/stamps.h"
#include "probes/sentinel.h"

namespace ds4::probes {
namespace {

constexpr int kPasses = 8;
constexpr int kWarp = 32;
constexpr int kThreads = 256;
constexpr int64_t kColumns = 8192;
constexpr int64_t kMostBytes = int64_t{256} << 20;  // of each of three buffers; beyond the caches

// Whole numbers of no pattern, since memory that is all alike may be read faster; sums of 8,192 of
// them are exact in any order.
__global__ void fill(float* values, int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    values[i] = static_cast<float>((static_cast<uint32_t>(i) * 2654435761u) >> 24);
  }
}

// y = A x, a row for each warp, sixteen bytes a lane and turn.
__global__ void multiply_rows(const float4* matrix, const float4* x, float* y, int64_t rows) {
  const int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (row >= rows) return;
  float sum = 0;
  for (int64_t i = threadIdx.x % kWarp; i < kColumns / 4; i += kWarp) {
    const float4 a = __ldcs(matrix + row * (kColumns / 4) + i), b = x[i];
    sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_down_sync(0xFFFFFFFFu, sum, offset);
  }
  if (threadIdx.x % kWarp == 0) y[row] = sum;
}

// The most bytes per second of several passes; the first one loads the kernel and warms up.
template <typename Launch>
double best_rate(const device::Stream& stream, double bytes, const Launch& launch) {
  device::Stamps stamps;
  launch();
  double best_s = 1e30;
  for (int pass = 0; pass < kPasses; ++pass) {
    stamps.add(stream);
    launch();
    DS4_CUDA(cudaGetLastError());
    stamps.add(stream);
    best_s = std::min(best_s, stamps.take()[1]);
  }
  return bytes / best_s;
}

// Whether the last row came through copy and product as it was filled.
void check(const device::Memory& copied, const device::Memory& y, int64_t rows) {
  std::vector<float> row(kColumns);
  float product = 0, expected = 0;
  DS4_CUDA(cudaMemcpy(row.data(),
                      reinterpret_cast<const float*>(copied.data()) + (rows - 1) * kColumns,
                      kColumns * sizeof(float), cudaMemcpyDeviceToHost));
  DS4_CUDA(cudaMemcpy(&product, reinterpret_cast<const float*>(y.data()) + rows - 1, sizeof product,
                      cudaMemcpyDeviceToHost));
  for (const float value : row) expected += value;
  DS4_CHECK(expected > 0 && product == expected);
}

}  // namespace

SentinelReading read_device_sentinel() {
  size_t free_bytes = 0, total_bytes = 0;
  DS4_CUDA(cudaMemGetInfo(&free_bytes, &total_bytes));
  const int64_t rows =
      std::min<int64_t>(kMostBytes, static_cast<int64_t>(free_bytes) / 8) / (4 * kColumns);
  const int64_t bytes = rows * kColumns * 4;
  const device::Stream stream;
  const device::Memory from(bytes), to(bytes), x(kColumns * 4), y(rows * 4);
  fill<<<1024, kThreads, 0, stream>>>(reinterpret_cast<float*>(from.data()), rows * kColumns);
  DS4_CUDA(cudaGetLastError());
  const std::vector<float> ones(kColumns, 1.0f);
  DS4_CUDA(cudaMemcpyAsync(x.data(), ones.data(), kColumns * sizeof(float), cudaMemcpyHostToDevice,
                           stream));
  SentinelReading reading;
  reading.copy_rate = best_rate(stream, 2.0 * static_cast<double>(bytes), [&] {
    DS4_CUDA(cudaMemcpyAsync(to.data(), from.data(), static_cast<size_t>(bytes),
                             cudaMemcpyDeviceToDevice, stream));
  });
  const auto blocks = static_cast<unsigned>((rows * kWarp + kThreads - 1) / kThreads);
  reading.gemv_rate = best_rate(stream, static_cast<double>(bytes), [&] {
    multiply_rows<<<blocks, kThreads, 0, stream>>>(reinterpret_cast<const float4*>(from.data()),
                                                   reinterpret_cast<const float4*>(x.data()),
                                                   reinterpret_cast<float*>(y.data()), rows);
  });
  check(to, y, rows);
  return reading;
}

}  // namespace ds4::probes
