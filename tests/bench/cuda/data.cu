// Generation, repacking and the float64 reference; see data.hpp. Plain and slow on purpose: the
// reference decodes codes arithmetically and shares no conversion with the kernels under test.
#include "data.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace ds4::bench {
namespace {

constexpr int kThreads = 256;

int blocks_for(std::size_t count) {
  return static_cast<int>(std::min<std::size_t>((count + kThreads - 1) / kThreads, 1u << 16));
}

__device__ std::size_t first_index() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ std::size_t index_step() {
  return static_cast<std::size_t>(gridDim.x) * blockDim.x;
}

__device__ std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// Uniform in [-range, range), never exactly zero.
__device__ float uniform(std::uint64_t hash, float range) {
  return (static_cast<float>(hash >> 41) + 0.5f) * 0x1p-22f * range - range;
}

__device__ std::uint8_t finite_e4m3(std::uint64_t hash) {
  const std::uint8_t code = hash & 0xff;
  return (code & 0x7f) == 0x7f ? code ^ 0x08 : code;  // 0x7f is NaN
}

__device__ double e4m3_value(std::uint8_t code) {
  const int exponent = code >> 3 & 15;
  const int mantissa = code & 7;
  const double magnitude =
      exponent == 0 ? ldexp(mantissa / 8.0, -6) : ldexp(1.0 + mantissa / 8.0, exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
}

__device__ double e2m1_value(int code) {
  const int exponent = code >> 1 & 3;
  const int mantissa = code & 1;
  const double magnitude =
      exponent == 0 ? 0.5 * mantissa : ldexp(1.0 + 0.5 * mantissa, exponent - 1);
  return code & 8 ? -magnitude : magnitude;
}

__device__ double bf16_value(std::uint16_t bits) {
  return __uint_as_float(static_cast<std::uint32_t>(bits) << 16);
}

__global__ void fill_kernel(Format format, std::uint8_t* w, std::size_t bytes, std::uint64_t seed) {
  for (std::size_t i = first_index(); i < bytes / 2; i += index_step()) {
    const std::uint64_t h = mix(seed + i);
    std::uint16_t v = h & 0xffff;
    if (format == Format::kFp8) v = finite_e4m3(h) | finite_e4m3(h >> 8) << 8;
    if (format == Format::kBf16) v = __bfloat16_as_ushort(__float2bfloat16(uniform(h, 1.0f)));
    reinterpret_cast<std::uint16_t*>(w)[i] = v;
  }
}

__global__ void fill_scales_kernel(std::uint8_t* scale, std::size_t bytes, std::uint64_t seed) {
  for (std::size_t i = first_index(); i < bytes; i += index_step())
    scale[i] = 117 + mix(seed + i) % 7;
}

__global__ void fill_x_kernel(std::uint8_t* codes, float* scales, std::size_t count,
                              std::uint64_t seed) {
  for (std::size_t i = first_index(); i < count; i += index_step()) {
    codes[i] = finite_e4m3(mix(seed + i));
    if (i % kGroup == 0) {
      scales[i / kGroup] = ldexpf(1.0f, static_cast<int>(mix(~seed - i) % 6) - 9);
    }
  }
}

__global__ void fill_bf16_kernel(std::uint16_t* x, std::size_t count, std::uint64_t seed) {
  for (std::size_t i = first_index(); i < count; i += index_step()) {
    x[i] = __bfloat16_as_ushort(__float2bfloat16(uniform(mix(seed + i), 2.0f)));
  }
}

// Where element p (0..31) of lane t of a group comes from, per order; see mma_policies.cuh.
__device__ int source_k(XOrder::Order order, int t, int p) {
  using Order = XOrder::Order;
  const int even_odd[4] = {0, 2, 1, 3};
  const int in8 = p % 8;
  const int pair_k = in8 / 2 + 4 * (in8 % 2);
  const int odd_even = in8 < 4 ? 2 * in8 + 1 : 2 * (in8 - 4);
  switch (order) {
    case Order::kNatural:
      return t * 32 + p;
    case Order::kFp8:
      return p / 16 * 64 + t * 16 + p % 16;
    case Order::kFp8EvenOdd:
      return p / 16 * 64 + t * 16 + p % 16 / 4 * 4 + even_odd[p % 4];
    case Order::kFp4:
      return t * 32 + p / 8 * 8 + pair_k;
    case Order::kFp4Words:
      return p / 8 * 32 + t * 8 + pair_k;
    case Order::kFp4WordsE4m3:
      return p / 8 * 32 + t * 8 + odd_even;
    case Order::kBf16:
      return p / 8 * 32 + t * 8 + p % 8;
  }
  return 0;
}

__global__ void arrange_kernel(XOrder order, bool quantised, const void* x, const float* scales,
                               void* out, std::size_t count) {
  using Type = XOrder::Type;
  for (std::size_t i = first_index(); i < count; i += index_step()) {
    const std::size_t group = i / kGroup;
    const int in_group = i % kGroup;
    const std::size_t from = group * kGroup + source_k(order.order, in_group / 32, in_group % 32);
    if (order.type == Type::kE4m3) {
      static_cast<std::uint8_t*>(out)[i] = static_cast<const std::uint8_t*>(x)[from];
      continue;
    }
    double value = quantised ? e4m3_value(static_cast<const std::uint8_t*>(x)[from])
                             : bf16_value(static_cast<const std::uint16_t*>(x)[from]);
    if (order.type == Type::kF16) {
      static_cast<__half*>(out)[i] = __float2half_rn(static_cast<float>(value));
      continue;
    }
    if (quantised) value *= scales[group];
    if (order.type == Type::kBf16Biased) value *= 0x1p60;
    static_cast<__nv_bfloat16*>(out)[i] = __float2bfloat16(static_cast<float>(value));
  }
}

// Four MXFP4 codes of a 16-bit half into the kPlanes bit order (planes_bits_f16 reads it).
__device__ std::uint32_t half_planes(std::uint32_t codes) {
  const int magnitude_at[4] = {9, 6, 3, 0};
  const int sign_at[4] = {15, 12, 13, 14};
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t code = codes >> (4 * i) & 15;
    out |= (code & 7) << magnitude_at[i] | code >> 3 << sign_at[i];
  }
  return out;
}

// One thread per 4-byte word of the result.
__global__ void repack_kernel(Layout layout, int units, const std::uint32_t* native,
                              std::uint32_t* out, std::size_t words, int groups) {
  for (std::size_t i = first_index(); i < words; i += index_step()) {
    const int in_unit = i % 4;
    const int lane = i / 4 % 32;
    const int u = i / 128 % units;
    const std::size_t tile_group = i / 128 / units;
    const std::size_t row = tile_group / groups * 16 + lane / 4 + 8 * (u % 2);
    const std::size_t group = tile_group % groups;
    const int t = lane % 4;
    const std::size_t in_row =
        group * units * 8 +
        (layout != Layout::kUnits ? in_unit * 4 + t : u / 2 * 16 + t * 4 + in_unit);
    const std::uint32_t word = native[row * groups * units * 8 + in_row];
    out[i] = layout == Layout::kPlanes ? half_planes(word & 0xffff) | half_planes(word >> 16) << 16
                                       : word;
  }
}

__global__ void repack_scales_kernel(const std::uint32_t* native, std::uint32_t* out,
                                     std::size_t words, int groups) {
  for (std::size_t i = first_index(); i < words; i += index_step()) {
    const std::size_t tile_group = i / 16;
    const std::size_t row = tile_group / groups * 16 + i % 16;
    out[i] = native[row * groups + tile_group % groups];
  }
}

// A warp per output; grid (rows, jobs, cols).
__global__ void reference_kernel(Format format, bool quantised, Args a, const void* x,
                                 const float* x_scale, double* out) {
  const int row = blockIdx.x;
  const int job = blockIdx.y;
  const int col = blockIdx.z;
  const bool listed = a.jobs != nullptr;
  if (col >= (listed ? a.jobs[job].n_cols : a.n_cols)) return;
  const int matrix = listed ? a.jobs[job].matrix : a.first_matrix + job;
  const std::size_t x_row = listed ? a.jobs[job].x_row[col] : col * a.n_jobs + job;
  const std::size_t out_row = listed ? a.jobs[job].out_row[col] : col * a.n_jobs + job;
  const std::uint8_t* w = a.w + matrix * a.w_stride;
  const std::uint8_t* scale = a.scale + matrix * a.scale_stride;
  double sum = 0.0;
  for (int k = threadIdx.x; k < a.k; k += 32) {
    const std::size_t at = static_cast<std::size_t>(row) * a.k + k;
    double value;
    if (format == Format::kFp8) {
      value = ldexp(e4m3_value(w[at]), scale[row / kGroup * (a.k / kGroup) + k / kGroup] - 127);
    } else if (format == Format::kFp4) {
      value = ldexp(e2m1_value(w[at / 2] >> (k % 2 * 4) & 15), scale[at / 32] - 127);
    } else {
      value = bf16_value(reinterpret_cast<const std::uint16_t*>(w)[at]);
    }
    const std::size_t x_at = x_row * a.k + k;
    value *= quantised
                 ? e4m3_value(static_cast<const std::uint8_t*>(x)[x_at]) * x_scale[x_at / kGroup]
                 : bf16_value(static_cast<const std::uint16_t*>(x)[x_at]);
    sum += value;
  }
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
  if (threadIdx.x == 0) out[out_row * a.n + row] = sum;
}

__global__ void error_kernel(const float* out, const double* ref, std::size_t count, double* sums) {
  double diff = 0.0;
  double norm = 0.0;
  for (std::size_t i = first_index(); i < count; i += index_step()) {
    diff += (out[i] - ref[i]) * (out[i] - ref[i]);
    norm += ref[i] * ref[i];
  }
  atomicAdd(&sums[0], diff);
  atomicAdd(&sums[1], norm);
}

__global__ void differing_kernel(const std::uint32_t* a, const std::uint32_t* b, std::size_t count,
                                 unsigned long long* differing) {
  unsigned long long mine = 0;
  for (std::size_t i = first_index(); i < count; i += index_step()) mine += a[i] != b[i];
  if (mine != 0) atomicAdd(differing, mine);
}

// Each block reads a contiguous run of `per_thread` x 16 B x threads at a time.
template <int per_thread>
__global__ void read_kernel(const uint4* data, std::size_t count, std::uint32_t* sink) {
  std::uint32_t folded = 0;
  const std::size_t chunk = static_cast<std::size_t>(blockDim.x) * per_thread;
  for (std::size_t base = blockIdx.x * chunk; base + chunk <= count; base += gridDim.x * chunk) {
    uint4 v[per_thread];
#pragma unroll
    for (int i = 0; i < per_thread; ++i) v[i] = __ldcs(data + base + i * blockDim.x + threadIdx.x);
#pragma unroll
    for (int i = 0; i < per_thread; ++i) folded ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;
  }
  if (folded == 0x12345678u) *sink = folded;  // keeps the loads; the odds of a write do not matter
}

}  // namespace

void check(cudaError_t status, const char* file, int line) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s:%d: CUDA: %s\n", file, line, cudaGetErrorString(status));
  std::exit(1);
}

DeviceBytes::DeviceBytes(std::size_t bytes) : size_(bytes) {
  DS4_BENCH_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), std::max<std::size_t>(bytes, 16)));
}
DeviceBytes::~DeviceBytes() {
  if (data_ != nullptr) cudaFree(data_);  // at exit there is nobody left to tell
}
DeviceBytes& DeviceBytes::operator=(DeviceBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::size_t row_bytes(Format format, int k) {
  const std::size_t n = k;
  return format == Format::kFp8 ? n : format == Format::kFp4 ? n / 2 : 2 * n;
}

std::size_t scale_bytes(Format format, int n, int k) {
  if (format == Format::kBf16) return 0;
  if (format == Format::kFp4) return static_cast<std::size_t>(n) * k / 32;
  return static_cast<std::size_t>(n / kGroup) * (k / kGroup);
}

void fill_weights(Format format, std::uint8_t* w, std::size_t bytes, std::uint64_t seed) {
  fill_kernel<<<blocks_for(bytes / 2), kThreads>>>(format, w, bytes, seed);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void fill_scales(std::uint8_t* scale, std::size_t bytes, std::uint64_t seed) {
  if (bytes == 0) return;
  fill_scales_kernel<<<blocks_for(bytes), kThreads>>>(scale, bytes, seed);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void repack_weights(Format format, Layout layout, const std::uint8_t* native, std::uint8_t* out,
                    std::size_t rows, int k) {
  const std::size_t words = rows * row_bytes(format, k) / 4;
  const int units = static_cast<int>(row_bytes(format, kGroup) / 32);
  repack_kernel<<<blocks_for(words), kThreads>>>(
      layout, units, reinterpret_cast<const std::uint32_t*>(native),
      reinterpret_cast<std::uint32_t*>(out), words, k / kGroup);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void repack_fp4_scales(const std::uint8_t* native, std::uint8_t* out, std::size_t rows, int k) {
  const std::size_t words = rows * (k / kGroup);
  repack_scales_kernel<<<blocks_for(words), kThreads>>>(
      reinterpret_cast<const std::uint32_t*>(native), reinterpret_cast<std::uint32_t*>(out), words,
      k / kGroup);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void fill_x_quantised(std::uint8_t* codes, float* scales, std::size_t rows, int k,
                      std::uint64_t seed) {
  fill_x_kernel<<<blocks_for(rows * k), kThreads>>>(codes, scales, rows * k, seed);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void fill_x_bf16(std::uint16_t* x, std::size_t rows, int k, std::uint64_t seed) {
  fill_bf16_kernel<<<blocks_for(rows * k), kThreads>>>(x, rows * k, seed);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void arrange_x(XOrder order, bool quantised, const void* x, const float* scales, void* out,
               std::size_t rows, int k) {
  arrange_kernel<<<blocks_for(rows * k), kThreads>>>(order, quantised, x, scales, out, rows * k);
  DS4_BENCH_CUDA(cudaGetLastError());
}

void reference(Format format, bool quantised, const Args& args, const void* x, const float* x_scale,
               int max_cols, double* out) {
  reference_kernel<<<dim3(args.n, args.n_jobs, max_cols), 32>>>(format, quantised, args, x, x_scale,
                                                                out);
  DS4_BENCH_CUDA(cudaGetLastError());
}

double relative_error(const float* out, const double* ref, std::size_t count) {
  DeviceBytes sums(2 * sizeof(double));
  DS4_BENCH_CUDA(cudaMemset(sums.as(), 0, sums.size()));
  error_kernel<<<std::min(blocks_for(count), 512), kThreads>>>(out, ref, count, sums.as<double>());
  DS4_BENCH_CUDA(cudaGetLastError());
  double host[2];
  DS4_BENCH_CUDA(cudaMemcpy(host, sums.as(), sizeof host, cudaMemcpyDeviceToHost));
  return sqrt(host[0] / host[1]);
}

std::size_t count_differing(const float* a, const float* b, std::size_t count) {
  DeviceBytes differing(sizeof(unsigned long long));
  DS4_BENCH_CUDA(cudaMemset(differing.as(), 0, differing.size()));
  differing_kernel<<<std::min(blocks_for(count), 512), kThreads>>>(
      reinterpret_cast<const std::uint32_t*>(a), reinterpret_cast<const std::uint32_t*>(b), count,
      differing.as<unsigned long long>());
  DS4_BENCH_CUDA(cudaGetLastError());
  unsigned long long host = 0;
  DS4_BENCH_CUDA(cudaMemcpy(&host, differing.as(), sizeof host, cudaMemcpyDeviceToHost));
  return host;
}

double read_ceiling(const std::uint8_t* data, std::size_t bytes) {
  DeviceBytes sink(4);
  cudaEvent_t begin, end;
  DS4_BENCH_CUDA(cudaEventCreate(&begin));
  DS4_BENCH_CUDA(cudaEventCreate(&end));
  const uint4* v = reinterpret_cast<const uint4*>(data);
  const std::size_t count = bytes / 16;
  double best = 0.0;
  for (const int blocks : {132 * 4, 132 * 8, 132 * 32, 132 * 256}) {
    for (const int per_thread : {4, 8}) {
      std::vector<float> times;
      for (int repeat = 0; repeat < 7; ++repeat) {
        DS4_BENCH_CUDA(cudaEventRecord(begin));
        if (per_thread == 4)
          read_kernel<4><<<blocks, kThreads>>>(v, count, sink.as<std::uint32_t>());
        if (per_thread == 8)
          read_kernel<8><<<blocks, kThreads>>>(v, count, sink.as<std::uint32_t>());
        DS4_BENCH_CUDA(cudaGetLastError());
        DS4_BENCH_CUDA(cudaEventRecord(end));
        DS4_BENCH_CUDA(cudaEventSynchronize(end));
        float ms = 0.0f;
        DS4_BENCH_CUDA(cudaEventElapsedTime(&ms, begin, end));
        if (repeat >= 2) times.push_back(ms);
      }
      std::sort(times.begin(), times.end());
      best = std::max(best, bytes / (times[times.size() / 2] * 1e6));
    }
  }
  DS4_BENCH_CUDA(cudaEventDestroy(begin));
  DS4_BENCH_CUDA(cudaEventDestroy(end));
  return best;
}

}  // namespace ds4::bench
