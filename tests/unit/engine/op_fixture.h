// A back end and memory for operation tests: inputs copied in, outputs poisoned, results read back.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "engine/ops/ops.h"

namespace ds4::golden {

class OpBench {
 public:
  explicit OpBench(Precision precision = Precision::kReference, int threads = 2)
      : backend_(ops::make_cpu_backend(threads, precision)) {}

  ops::Backend& operator*() { return *backend_; }
  ops::Backend* operator->() { return backend_.get(); }

  ops::Values values(std::span<const float> from, int64_t cols) { return {put(from), cols}; }
  ops::Floats floats(std::span<const float> from, int64_t cols) { return {put(from), cols}; }
  ops::Ids ids(std::span<const int64_t> from, int64_t cols) {
    std::vector<int32_t> narrow(from.begin(), from.end());
    std::byte* data = room(narrow.size() * 4);
    std::memcpy(data, narrow.data(), narrow.size() * 4);
    return {data, cols};
  }
  /// Outputs full of NaN (or -1 bits for integers): an element left unwritten shows.
  ops::Values poisoned_values(int64_t rows, int64_t cols) { return {poison(rows * cols), cols}; }
  ops::Floats poisoned_floats(int64_t rows, int64_t cols) { return {poison(rows * cols), cols}; }
  ops::Ids poisoned_ids(int64_t rows, int64_t cols) { return {poison(rows * cols), cols}; }
  ops::RowStore poisoned_rows(const ops::RowLayout& layout, int64_t slots) {
    const auto bytes = static_cast<size_t>(layout.bytes() * slots);
    std::byte* data = room(bytes);
    std::memset(data, 0xFF, bytes);
    return {layout, slots, data};
  }

  static std::vector<float> read(const std::byte* data, int64_t count) {
    std::vector<float> out(static_cast<size_t>(count));
    std::memcpy(out.data(), data, out.size() * 4);
    return out;
  }
  static std::vector<int64_t> read_ids(ops::Ids ids, int64_t count) {
    std::vector<int32_t> narrow(static_cast<size_t>(count));
    std::memcpy(narrow.data(), ids.data, narrow.size() * 4);
    return {narrow.begin(), narrow.end()};
  }

 private:
  std::byte* room(size_t bytes) {
    buffers_.push_back(backend_->allocate(static_cast<int64_t>(bytes)));
    return buffers_.back().data.get();
  }
  std::byte* put(std::span<const float> from) {
    std::byte* data = room(from.size() * 4);
    std::memcpy(data, from.data(), from.size() * 4);
    return data;
  }
  std::byte* poison(int64_t count) {
    std::byte* data = room(static_cast<size_t>(count) * 4);
    std::memset(data, 0xFF, static_cast<size_t>(count) * 4);
    return data;
  }

  std::unique_ptr<ops::Backend> backend_;
  std::vector<ops::Buffer> buffers_;
};

/// The precisions a case is run in and the output that belongs to each.
struct PrecisionCase {
  Precision precision;
  const char* role;
};
inline constexpr PrecisionCase kBothPrecisions[] = {{Precision::kReference, "y"},
                                                    {Precision::kF32, "y_true"}};

}  // namespace ds4::golden
