// A weight matrix as it is stored: shape, format and pointers into a mapped checkpoint. Does not
// own its bytes and never decodes by itself; see codecs/decode.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ds4::weights {

/// Rows and columns that share one scale of an FP8 matrix; columns that share one of an FP4 row.
inline constexpr int64_t kFp8Block = 128;
inline constexpr int64_t kFp4Block = 32;

/// The logical matrix W[rows, cols] of y = W x in its stored format (model.md 2.2).
///
/// kFp4: data [rows, ceil(cols/2)] bytes, low nibble = even column; scales [rows, ceil(cols/32)].
/// kFp8: data [rows, cols] E4M3; scales [ceil(rows/128), ceil(cols/128)].
/// kBf16, kF32: data [rows, cols]; scales null. `data` is aligned to the element size (1, 1, 2, 4
/// bytes) and to nothing more. Scales are E8M0 bytes, never 255 in a loaded model.
struct Matrix {
  enum class Format : uint8_t { kFp4, kFp8, kBf16, kF32 };

  Format format = Format::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  const std::byte* data = nullptr;
  const uint8_t* scales = nullptr;

  /// Quantised matrices are multiplied after activation quantisation, the others without.
  bool quantised() const { return format == Format::kFp4 || format == Format::kFp8; }
  /// Bytes that `n` columns of a row take.
  int64_t row_bytes(int64_t n) const {
    switch (format) {
      case Format::kFp4:
        return (n + 1) / 2;
      case Format::kFp8:
        return n;
      case Format::kBf16:
        return n * 2;
      case Format::kF32:
        return n * 4;
    }
    return 0;
  }
  /// Bytes of one row of `data`.
  int64_t row_bytes() const { return row_bytes(cols); }
  /// Columns of `scales`; 0 without scales.
  int64_t scale_cols() const {
    if (format == Format::kFp4) return (cols + kFp4Block - 1) / kFp4Block;
    if (format == Format::kFp8) return (cols + kFp8Block - 1) / kFp8Block;
    return 0;
  }
  /// The scales that apply to `row`: scale_cols() bytes; null without scales.
  const uint8_t* row_scales(int64_t row) const {
    if (!scales) return nullptr;
    return scales + (format == Format::kFp8 ? row / kFp8Block : row) * scale_cols();
  }
  const std::byte* row_data(int64_t row) const { return data + row * row_bytes(); }
  /// Stored bytes of data and scales.
  int64_t stored_bytes() const {
    const int64_t scale_rows = format == Format::kFp8 ? (rows + kFp8Block - 1) / kFp8Block : rows;
    return rows * row_bytes() + scale_rows * scale_cols();
  }
};

}  // namespace ds4::weights
