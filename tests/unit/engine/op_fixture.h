// A back end and memory for operation tests: inputs copied in, outputs poisoned, results read back.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/ops.h"
#include "engine/weights/codecs/bf16.h"
#include "tests/unit/engine/test_device.h"

namespace ds4::golden {

class OpBench {
 public:
  explicit OpBench(Precision precision = Precision::kReference, int threads = 2)
      : precision_(precision), backend_(make_test_backend(precision, threads)) {}
  explicit OpBench(std::unique_ptr<ops::Backend> backend) : backend_(std::move(backend)) {}

  Precision precision() const { return precision_; }
  ops::Backend& operator*() { return *backend_; }
  ops::Backend* operator->() { return backend_.get(); }

  ops::Values values(std::span<const float> from, int64_t cols) {
    if (backend_->value_bytes() == 4) return {put(from), cols};
    std::vector<uint16_t> narrow(from.size());
    std::transform(from.begin(), from.end(), narrow.begin(), weights::bf16_encode);
    return {put(std::span<const uint16_t>(narrow)), cols};
  }
  ops::Floats floats(std::span<const float> from, int64_t cols) { return {put(from), cols}; }
  ops::Ids ids(std::span<const int64_t> from, int64_t cols) {
    const std::vector<int32_t> narrow(from.begin(), from.end());
    return {put(std::span<const int32_t>(narrow)), cols};
  }
  /// Outputs full of NaN (or -1 bits for integers): an element left unwritten shows.
  ops::Values poisoned_values(int64_t rows, int64_t cols) {
    return {poison(rows * cols * backend_->value_bytes()), cols};
  }
  ops::Floats poisoned_floats(int64_t rows, int64_t cols) {
    return {poison(rows * cols * 4), cols};
  }
  ops::Ids poisoned_ids(int64_t rows, int64_t cols) { return {poison(rows * cols * 4), cols}; }
  ops::RowStore poisoned_rows(const ops::RowLayout& layout, int64_t slots) {
    return {layout, slots, poison(layout.bytes() * slots)};
  }
  /// Encodes x [dim] as row `index`.
  void write_row(const ops::RowStore& rows, int64_t index, const float* x) {
    std::vector<std::byte> bytes(static_cast<size_t>(rows.layout.bytes()));
    ops::cpu::encode_row(rows.layout, x, bytes.data());
    backend_->write(bytes, rows.row(index));
  }

  std::vector<float> read(ops::Values from, int64_t count) {
    if (backend_->value_bytes() == 4) return get<float>(from.data, count);
    const std::vector<uint16_t> narrow = get<uint16_t>(from.data, count);
    std::vector<float> out(narrow.size());
    std::transform(narrow.begin(), narrow.end(), out.begin(), weights::bf16_decode);
    return out;
  }
  std::vector<float> read(ops::Floats from, int64_t count) { return get<float>(from.data, count); }
  std::vector<int64_t> read_ids(ops::Ids ids, int64_t count) {
    const std::vector<int32_t> narrow = get<int32_t>(ids.data, count);
    return {narrow.begin(), narrow.end()};
  }
  /// Row `index` decoded, [dim].
  std::vector<float> read_row(const ops::RowStore& rows, int64_t index) {
    const std::vector<std::byte> bytes = get<std::byte>(rows.row(index), rows.layout.bytes());
    std::vector<float> row(static_cast<size_t>(ops::cpu::padded(rows.layout.dim)), NAN);
    ops::cpu::decode_row(rows.layout, bytes.data(), row.data());
    row.resize(static_cast<size_t>(rows.layout.dim));
    return row;
  }

 private:
  std::byte* room(size_t bytes) {
    buffers_.push_back(backend_->allocate(static_cast<int64_t>(bytes)));
    return buffers_.back().data.get();
  }
  template <class T>
  std::byte* put(std::span<const T> from) {
    std::byte* data = room(from.size_bytes());
    backend_->write(std::as_bytes(from), data);
    return data;
  }
  std::byte* poison(int64_t bytes) {
    return put(std::span<const std::byte>(
        std::vector<std::byte>(static_cast<size_t>(bytes), std::byte{0xFF})));
  }
  template <class T>
  std::vector<T> get(const std::byte* data, int64_t count) {
    std::vector<T> out(static_cast<size_t>(count));
    backend_->read(data, std::as_writable_bytes(std::span(out)));
    return out;
  }

  Precision precision_ = Precision::kReference;
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
