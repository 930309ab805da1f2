#include "engine/weights/tensor_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "engine/base/error.h"
#include "engine/weights/codecs/f32.h"
#include "engine/weights/nan_codes.h"

namespace ds4::weights {
namespace {

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

void TensorReader::fail(const TensorRef& tensor, const std::string& what) const {
  fail_tensor(checkpoint_.directory(), tensor, what);
}

const TensorRef& TensorReader::require(const std::string& name) const {
  if (const TensorRef* tensor = checkpoint_.find(name)) return *tensor;
  throw Error(ErrorCode::kCheckpoint,
              checkpoint_.directory().string() + ": tensor " + quoted_name(name) +
                  " is in none of the files",
              "The checkpoint is incomplete or config.json belongs to another one.");
}

void TensorReader::check_shape(const TensorRef& tensor,
                               std::initializer_list<int64_t> shape) const {
  if (std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) return;
  fail(tensor, "has shape " + shape_text(tensor.shape) + "; config.json asks for " +
                   shape_text({shape.begin(), shape.size()}));
}

const std::byte* TensorReader::aligned(const TensorRef& tensor) {
  const size_t unit = static_cast<size_t>(dtype_bytes(tensor.dtype));
  const auto address = reinterpret_cast<uintptr_t>(tensor.data.data());
  if (mode_ != ReadMode::kData || address % unit == 0) return tensor.data.data();
  const auto copy =
      std::make_shared<std::vector<std::byte>>(tensor.data.begin(), tensor.data.end());
  copies_.push_back(copy);
  return copy->data();
}

const std::byte* TensorReader::small(const TensorRef& tensor, std::vector<std::byte>& room) {
  if (!feed_) return tensor.data.data();
  room.resize(tensor.data.size());
  feed_->read(tensor.data.data(), room);
  return room.data();
}

const uint8_t* TensorReader::scales(const std::string& name, int64_t rows, int64_t cols) {
  const TensorRef& tensor = require(name);
  if (tensor.dtype != Dtype::kF8E8M0) {
    fail(tensor, "has dtype " + std::string(dtype_name(tensor.dtype)) + "; scales must be F8_E8M0");
  }
  check_shape(tensor, {rows, cols});
  if (mode_ == ReadMode::kData) refuse_nan(checkpoint_.directory(), tensor, 0, tensor.data);
  return reinterpret_cast<const uint8_t*>(tensor.data.data());
}

Matrix TensorReader::matrix(const std::string& name, int64_t rows, int64_t cols) {
  const TensorRef& tensor = require(name + ".weight");
  Matrix matrix{.rows = rows, .cols = cols};
  switch (tensor.dtype) {
    case Dtype::kI8:
      if (tensor.shape == std::vector<int64_t>{rows, cols} && cols > 1) {
        fail(tensor, "has shape " + shape_text(tensor.shape) +
                         "; I8 packs two FP4 numbers a byte, so " +
                         shape_text(std::array{rows, ceil_div(cols, 2)}) + " belongs here");
      }
      check_shape(tensor, {rows, ceil_div(cols, 2)});
      matrix.format = Matrix::Format::kFp4;
      matrix.scales = scales(name + ".scale", rows, ceil_div(cols, kFp4Block));
      break;
    case Dtype::kF8E4M3:
      check_shape(tensor, {rows, cols});
      matrix.format = Matrix::Format::kFp8;
      matrix.scales = scales(name + ".scale", ceil_div(rows, kFp8Block), ceil_div(cols, kFp8Block));
      // Decoders turn a NaN code into a number. Every token reads these matrices whole, so that
      // searching them here costs one pass over bytes that the first token needs anyway.
      if (mode_ == ReadMode::kData) refuse_nan(checkpoint_.directory(), tensor, 0, tensor.data);
      break;
    case Dtype::kBF16:
    case Dtype::kF32:
      expect_absent(name + ".scale", "its weight is stored unquantised");
      return plain_matrix(name + ".weight", rows, cols);
    default:
      fail(tensor, "has dtype " + std::string(dtype_name(tensor.dtype)) +
                       "; a matrix is I8 (packed FP4), F8_E4M3, BF16 or F32");
  }
  matrix.data = tensor.data.data();
  return matrix;
}

Matrix TensorReader::plain_matrix(const std::string& name, int64_t rows, int64_t cols) {
  const TensorRef& tensor = require(name);
  if (tensor.dtype != Dtype::kBF16 && tensor.dtype != Dtype::kF32) {
    fail(tensor, "has dtype " + std::string(dtype_name(tensor.dtype)) +
                     "; the model uses this one unquantised: BF16 or F32");
  }
  check_shape(tensor, {rows, cols});
  return {.format = tensor.dtype == Dtype::kBF16 ? Matrix::Format::kBf16 : Matrix::Format::kF32,
          .rows = rows,
          .cols = cols,
          .data = aligned(tensor)};
}

std::vector<float> TensorReader::floats(const std::string& name,
                                        std::initializer_list<int64_t> shape) {
  const TensorRef& tensor = require(name);
  if (tensor.dtype != Dtype::kBF16 && tensor.dtype != Dtype::kF32) {
    fail(tensor,
         "has dtype " + std::string(dtype_name(tensor.dtype)) + "; BF16 or F32 belongs here");
  }
  check_shape(tensor, shape);
  if (mode_ == ReadMode::kHeaders) return {};
  const size_t unit = static_cast<size_t>(dtype_bytes(tensor.dtype));
  std::vector<float> values(tensor.data.size() / unit);
  if (mode_ == ReadMode::kShapes) return values;
  std::vector<std::byte> room;
  const std::byte* bytes = small(tensor, room);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::byte* at = bytes + i * unit;
    values[i] = tensor.dtype == Dtype::kBF16 ? load_bf16(at) : load_f32(at);
  }
  return values;
}

std::vector<int32_t> TensorReader::id_table(const std::string& name, int64_t rows, int64_t cols,
                                            int limit) {
  const TensorRef& tensor = require(name);
  if (tensor.dtype != Dtype::kI64 && tensor.dtype != Dtype::kI32) {
    fail(tensor, "has dtype " + std::string(dtype_name(tensor.dtype)) + "; I64 belongs here");
  }
  check_shape(tensor, {rows, cols});
  if (mode_ == ReadMode::kHeaders) return {};
  std::vector<int32_t> ids(static_cast<size_t>(rows * cols));
  if (mode_ == ReadMode::kShapes) return ids;
  std::vector<std::byte> room;
  const std::byte* bytes = small(tensor, room);
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t id =
        tensor.dtype == Dtype::kI64 ? load_i64(bytes + 8 * i) : load_i32(bytes + 4 * i);
    if (id < 0 || id >= limit) {
      fail(tensor, "names expert " + std::to_string(id) + " for token " +
                       std::to_string(static_cast<int64_t>(i) / cols) + "; the layer has " +
                       std::to_string(limit));
    }
    ids[i] = static_cast<int32_t>(id);
  }
  return ids;
}

int64_t TensorReader::rows_of(const std::string& name) {
  const TensorRef& tensor = require(name);
  if (tensor.shape.size() != 2 || tensor.shape[0] < 1) {
    fail(tensor, "has shape " + shape_text(tensor.shape) + "; a matrix belongs here");
  }
  return tensor.shape[0];
}

void TensorReader::expect_absent(const std::string& name, const std::string& why) {
  if (const TensorRef* tensor = checkpoint_.find(name)) fail(*tensor, "should not exist: " + why);
}

}  // namespace ds4::weights
