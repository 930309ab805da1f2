// Synthetic weights and activations on the device, the layouts the designs read, and the float64
// reference they are held to. All random data is a hash of seed and position; nothing is ever zero.
#pragma once

#include "gemv.hpp"

namespace ds4::bench {

/// One weight matrix set on the device; frees itself. Rows of all matrices follow each other.
class DeviceBytes {
 public:
  DeviceBytes() = default;
  explicit DeviceBytes(std::size_t bytes);
  ~DeviceBytes();
  DeviceBytes(DeviceBytes&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  DeviceBytes& operator=(DeviceBytes&& other) noexcept;
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  template <class T = std::uint8_t>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Exits with file, line and CUDA's words when `status` is an error.
void check(cudaError_t status, const char* file, int line);
#define DS4_BENCH_CUDA(call) ::ds4::bench::check((call), __FILE__, __LINE__)

std::size_t row_bytes(Format format, int k);
std::size_t scale_bytes(Format format, int n, int k);  // per matrix; 0 for BF16

void fill_weights(Format format, std::uint8_t* w, std::size_t bytes, std::uint64_t seed);
void fill_scales(std::uint8_t* scale, std::size_t bytes, std::uint64_t seed);
void repack_weights(Format format, Layout layout, const std::uint8_t* native, std::uint8_t* out,
                    std::size_t rows, int k);
void repack_fp4_scales(const std::uint8_t* native, std::uint8_t* out, std::size_t rows, int k);

/// E4M3 codes [rows, k] with power-of-two scales [rows, k/128], or BF16 values [rows, k].
void fill_x_quantised(std::uint8_t* codes, float* scales, std::size_t rows, int k,
                      std::uint64_t seed);
void fill_x_bf16(std::uint16_t* x, std::size_t rows, int k, std::uint64_t seed);
/// x as a design reads it. Types kF16 and kE4m3 leave the scale out; kBf16 puts it in.
void arrange_x(XOrder order, bool quantised, const void* x, const float* scales, void* out,
               std::size_t rows, int k);

/// Float64 products of native weights; same jobs and rows as `args` (args.x is not used).
void reference(Format format, bool quantised, const Args& args, const void* x, const float* x_scale,
               int max_cols, double* out);
/// ||out - ref|| / ||ref||; NaN when any output is.
double relative_error(const float* out, const double* ref, std::size_t count);
/// Floats whose bits differ.
std::size_t count_differing(const float* a, const float* b, std::size_t count);
/// GB/s of the best of a few plain streaming kernels over `bytes` (several GiB).
double read_ceiling(const std::uint8_t* data, std::size_t bytes);

}  // namespace ds4::bench
