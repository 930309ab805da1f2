// Takes tensors out of a checkpoint as matrices and vectors, checking dtype and shape on the way.
// It knows the legal storage of each kind, not which tensors a model has (model_builder.h).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "engine/weights/byte_feed.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/matrix.h"

namespace ds4::weights {

/// What is read of the data: with kHeaders nothing, vectors come back empty; with kShapes nothing
/// either, vectors are zeros; with kVectors what vectors hold; with kData everything, so that codes
/// that do not belong into matrices are found.
enum class ReadMode { kHeaders, kShapes, kVectors, kData };

/// All members throw Error(kCheckpoint) naming file and tensor.
class TensorReader {
 public:
  /// `feed`: where vectors come from instead of the mapping.
  TensorReader(const Checkpoint& checkpoint, ReadMode mode, const ByteFeed* feed = nullptr)
      : checkpoint_(checkpoint), mode_(mode), feed_(feed) {}

  const Checkpoint& checkpoint() const { return checkpoint_; }

  /// NAME.weight (and NAME.scale) of logical shape [rows, cols], by its stored dtype: I8 with E8M0
  /// scales is FP4, F8_E4M3 with E8M0 scales is FP8, BF16 and F32 are themselves.
  Matrix matrix(const std::string& name, int64_t rows, int64_t cols);
  /// A matrix that the model never quantises: BF16 or F32, under its full name.
  Matrix plain_matrix(const std::string& name, int64_t rows, int64_t cols);
  /// A BF16 or F32 tensor of exactly `shape`, widened to float.
  std::vector<float> floats(const std::string& name, std::initializer_list<int64_t> shape);
  /// An I64 or I32 table [rows, cols] with every entry in 0 .. limit-1.
  std::vector<int32_t> id_table(const std::string& name, int64_t rows, int64_t cols, int limit);
  /// Rows of the rank-2 tensor `name`, at least 1.
  int64_t rows_of(const std::string& name);
  /// Refuses a tensor that contradicts config.json.
  void expect_absent(const std::string& name, const std::string& why);
  [[noreturn]] void fail(const TensorRef& tensor, const std::string& what) const;

  /// Aligned copies of tensors whose place in the file the matrices could not use.
  std::vector<std::shared_ptr<const void>> take_copies() { return std::move(copies_); }

 private:
  const TensorRef& require(const std::string& name) const;
  void check_shape(const TensorRef& tensor, std::initializer_list<int64_t> shape) const;
  const uint8_t* scales(const std::string& name, int64_t rows, int64_t cols);
  const std::byte* aligned(const TensorRef& tensor);
  // The bytes of a vector; `room` keeps them where they come through the feed.
  const std::byte* small(const TensorRef& tensor, std::vector<std::byte>& room);

  const Checkpoint& checkpoint_;
  ReadMode mode_;
  const ByteFeed* feed_;
  std::vector<std::shared_ptr<const void>> copies_;
};

}  // namespace ds4::weights
