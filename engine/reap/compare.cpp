#include "engine/reap/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/base/check.h"
#include "engine/base/files.h"
#include "engine/weights/codecs/decode.h"

namespace ds4::reap {
namespace {

using weights::Dtype;
using weights::Matrix;

constexpr int64_t kReleaseBytes = 4 << 20;

int64_t rows_of(const TensorView& view) {
  if (view.rows) return std::ssize(*view.rows);
  return view.tensor->shape.empty() ? 1 : view.tensor->shape[0];
}

std::span<const std::byte> row_of(const TensorView& view, int64_t row) {
  const auto& shape = view.tensor->shape;
  const int64_t all = shape.empty() ? 1 : shape[0];
  const auto bytes = static_cast<size_t>(all ? view.tensor->bytes() / all : 0);
  const auto at = static_cast<size_t>(view.rows ? (*view.rows)[static_cast<size_t>(row)] : row);
  return view.tensor->data.subspan(at * bytes, bytes);
}

// The tensor as a matrix [rows, cols]; vectors are one row each. Nothing for scales, tables and
// matrices whose scales are missing or misshapen.
std::optional<Matrix> matrix_of(const TensorView& view) {
  const weights::TensorRef& tensor = *view.tensor;
  if (tensor.shape.empty() || tensor.shape.size() > 2) return std::nullopt;
  Matrix matrix{.rows = tensor.shape[0],
                .cols = tensor.shape.size() == 2 ? tensor.shape[1] : 1,
                .data = tensor.data.data(),
                .scales = nullptr};
  switch (tensor.dtype) {
    case Dtype::kBF16:
      matrix.format = Matrix::Format::kBf16;
      return matrix;
    case Dtype::kF32:
      matrix.format = Matrix::Format::kF32;
      return matrix;
    case Dtype::kF8E4M3:
      matrix.format = Matrix::Format::kFp8;
      break;
    case Dtype::kI8:
      matrix.format = Matrix::Format::kFp4;
      matrix.cols *= 2;
      break;
    default:
      return std::nullopt;
  }
  constexpr std::string_view kWeight = ".weight";
  if (!tensor.name.ends_with(kWeight)) return std::nullopt;
  const std::string scale_name =
      tensor.name.substr(0, tensor.name.size() - kWeight.size()) + ".scale";
  const weights::TensorRef* scales = view.checkpoint->find(scale_name);
  if (!scales || scales->dtype != Dtype::kF8E8M0 ||
      scales->bytes() + tensor.bytes() != matrix.stored_bytes()) {
    return std::nullopt;
  }
  matrix.scales = reinterpret_cast<const uint8_t*>(scales->data.data());
  return matrix;
}

struct Pair {
  Matrix a, b;
  int64_t cols = 0;
};

// An FP4 row of odd width ends in a padding nibble, so its partner says how wide it is.
std::optional<Pair> pair_of(const TensorView& a, const TensorView& b) {
  const auto ma = matrix_of(a);
  const auto mb = matrix_of(b);
  if (!ma || !mb || rows_of(a) != rows_of(b)) return std::nullopt;
  const bool packed_a = ma->format == Matrix::Format::kFp4;
  const bool packed_b = mb->format == Matrix::Format::kFp4;
  const int64_t cols = std::min(ma->cols, mb->cols);
  if (ma->cols - cols > (packed_a ? 1 : 0) || mb->cols - cols > (packed_b ? 1 : 0)) {
    return std::nullopt;
  }
  return Pair{*ma, *mb, cols};
}

}  // namespace

bool identical(const TensorView& a, const TensorView& b) {
  if (a.tensor->dtype != b.tensor->dtype || rows_of(a) != rows_of(b)) return false;
  const auto& shape_a = a.tensor->shape;
  const auto& shape_b = b.tensor->shape;
  const auto inner = [](const auto& s) { return std::span(s).subspan(s.empty() ? 0 : 1); };
  if (!std::ranges::equal(inner(shape_a), inner(shape_b))) return false;
  int64_t unreleased = 0;
  bool same = true;
  for (int64_t row = 0; same && row < rows_of(a); ++row) {
    const auto row_a = row_of(a, row);
    const auto row_b = row_of(b, row);
    same = std::memcmp(row_a.data(), row_b.data(), row_a.size()) == 0;
    unreleased += static_cast<int64_t>(row_a.size());
    if (unreleased >= kReleaseBytes || row + 1 == rows_of(a)) {
      release_pages(a.tensor->data);
      release_pages(b.tensor->data);
      unreleased = 0;
    }
  }
  return same;
}

bool comparable(const TensorView& a, const TensorView& b) {
  return pair_of(a, b).has_value();
}

Distance distance(const TensorView& a, const TensorView& b) {
  const auto pair = pair_of(a, b);
  DS4_CHECK(pair.has_value());
  std::vector<float> row_a(static_cast<size_t>(pair->cols));
  std::vector<float> row_b(row_a.size());
  double dot = 0, squares_a = 0, squares_b = 0, difference = 0, size = 0;
  int64_t unreleased = 0;
  for (int64_t row = 0; row < rows_of(a); ++row) {
    const auto at = [&](const TensorView& view) {
      return view.rows ? (*view.rows)[static_cast<size_t>(row)] : row;
    };
    weights::decode_row(pair->a, at(a), 0, pair->cols, row_a.data());
    weights::decode_row(pair->b, at(b), 0, pair->cols, row_b.data());
    for (size_t c = 0; c < row_a.size(); ++c) {
      const double x = row_a[c];
      const double y = row_b[c];
      dot += x * y;
      squares_a += x * x;
      squares_b += y * y;
      difference += std::abs(x - y);
      size += std::abs(y);
    }
    unreleased += pair->cols * 4;
    if (unreleased >= kReleaseBytes) {
      release_pages(a.tensor->data);
      release_pages(b.tensor->data);
      unreleased = 0;
    }
  }
  const bool both_zero = squares_a == 0 && squares_b == 0;
  return {.cosine = both_zero ? 1 : dot / std::sqrt(squares_a) / std::sqrt(squares_b),
          .relative_mae = both_zero ? 0 : difference / size};
}

}  // namespace ds4::reap
