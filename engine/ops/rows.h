// How one cache row is stored: the exact packed images of what the model's reference keeps, or
// plain BF16 / F32. Knows bytes and offsets only; encoding and decoding belong to the back ends.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ds4::ops {

enum class RowFormat : uint8_t {
  kFp8,   // KV: E4M3 values under one E8M0 scale per 64, rotated dims as BF16 (model.md 4.3)
  kFp4,   // indexer keys: E2M1 values under one E8M0 scale per 32
  kBf16,  // no quantisation
  kF32,   // Precision::kF32
};

inline constexpr int kKvBlock = 64;     // values under one scale of a kFp8 row
inline constexpr int kIndexBlock = 32;  // values under one scale of a kFp4 row

/// One row of `dim` values of which the last `rope_dim` carry the rotation.
///
/// kFp8: nope codes, (one byte when their number is odd,) rope values as BF16, scales, padding to a
/// multiple of 8: 448 + 128 + 7 + 1 = 584 bytes for the real model.
/// kFp4: ceil(dim/2) bytes, low nibble = even dim, then scales: 64 + 4 = 68 bytes.
struct RowLayout {
  RowFormat format = RowFormat::kF32;
  int dim = 0;
  int rope_dim = 0;

  int nope_dim() const { return dim - rope_dim; }
  int n_scales() const {
    if (format == RowFormat::kFp8) return (nope_dim() + kKvBlock - 1) / kKvBlock;
    if (format == RowFormat::kFp4) return (dim + kIndexBlock - 1) / kIndexBlock;
    return 0;
  }
  int64_t rope_offset() const { return (nope_dim() + 1) / 2 * 2; }  // kFp8
  int64_t scale_offset() const {                                    // kFp8, kFp4
    return format == RowFormat::kFp8 ? rope_offset() + 2 * rope_dim : (dim + 1) / 2;
  }
  int64_t bytes() const {
    switch (format) {
      case RowFormat::kFp8:
        return (scale_offset() + n_scales() + 7) / 8 * 8;
      case RowFormat::kFp4:
        return scale_offset() + n_scales();
      case RowFormat::kBf16:
        return int64_t{2} * dim;
      case RowFormat::kF32:
        return int64_t{4} * dim;
    }
    return 0;
  }
};

/// Rows in a back end's memory; row i lives in slot i % slots.
struct RowStore {
  RowLayout layout;
  int64_t slots = 0;
  std::byte* data = nullptr;

  std::byte* row(int64_t index) const { return data + (index % slots) * layout.bytes(); }
};

}  // namespace ds4::ops
