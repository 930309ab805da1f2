// Dot products of a few activation rows with weight rows, the weights decoded in registers: what
// decoding a token lives on. Part of matmul.cpp, compiled once per instruction set.
#if defined(DS4_ENGINE_OPS_CPU_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DS4_ENGINE_OPS_CPU_FEW_ROWS_INL_H_
#undef DS4_ENGINE_OPS_CPU_FEW_ROWS_INL_H_
#else
#define DS4_ENGINE_OPS_CPU_FEW_ROWS_INL_H_
#endif

#include <algorithm>
#include <bit>

#include "engine/ops/cpu/simd-inl.h"
#include "engine/weights/matrix.h"
#include "hwy/cache_control.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {
using weights::Matrix;

// How each stored format yields kLanes values from column c of a row. With scales, `decode` does so
// for vector `i` of a block of kBlock columns that begins at c; `scale` is the block's scale times
// kFactor.
struct Fp4 {
  static constexpr size_t kBlock = weights::kFp4Block;
  static constexpr size_t kBlockBytes = kBlock / 2;
#if HWY_MAX_BYTES >= 64
  // Sixteen lanes hold the whole table, so one permutation decodes; it is the table that is scaled.
  static constexpr float kFactor = 1;
  static HWY_INLINE VF decode(const uint8_t* row, size_t c, size_t i, const float* scale) {
    HWY_ALIGN static constexpr float kTable[16] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                                   -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    // Of the block's four words vector i takes two, and of each its eight nibbles in turn.
    HWY_ALIGN static constexpr uint32_t kWords[2][16] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
        {2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3}};
    HWY_ALIGN static constexpr uint32_t kShifts[16] = {0, 4, 8, 12, 16, 20, 24, 28,
                                                       0, 4, 8, 12, 16, 20, 24, 28};
    const DF d;
    const DU du;
    const hn::RebindToSigned<DF> di;
    const hn::Repartition<uint8_t, DF> d8;
    const auto words = hn::BitCast(du, hn::LoadDup128(d8, row + c / 2));
    const auto pairs = hn::TableLookupLanes(words, hn::SetTableIndices(du, kWords[i]));
    const auto codes = hn::And(hn::Shr(pairs, hn::Load(du, kShifts)), hn::Set(du, 15));
    const VF table = hn::Mul(hn::Load(d, kTable), hn::Set(d, *scale));
    return hn::TableLookupLanes(table, hn::IndicesFromVec(d, hn::BitCast(di, codes)));
  }
#else
  static constexpr float kFactor = kE2m1Factor;
  static HWY_INLINE VF decode(const uint8_t* row, size_t c, size_t i, const float* scale) {
    const DF d;
    return hn::Mul(decode_e2m1(row + (c + i * kLanes) / 2), hn::Set(d, *scale));
  }
#endif
};
struct Fp8 {
  static constexpr size_t kBlock = weights::kFp8Block;
  static constexpr size_t kBlockBytes = kBlock;
  static constexpr float kFactor = kE4m3Factor;
  static HWY_INLINE VF decode(const uint8_t* row, size_t c, size_t i, const float* scale) {
    const DF d;
    return hn::Mul(decode_e4m3(row + c + i * kLanes), hn::Set(d, *scale));
  }
};
struct Bf16 {
  static constexpr size_t kBlock = 0;  // no scales
  static HWY_INLINE VF decode(const uint8_t* row, size_t c) { return decode_bf16(row + 2 * c); }
};
struct F32 {
  static constexpr size_t kBlock = 0;
  static HWY_INLINE VF decode(const uint8_t* row, size_t c) {
    const DF d;
    const hn::Repartition<uint8_t, DF> d8;
    return hn::BitCast(d, hn::LoadU(d8, row + 4 * c));
  }
};

// Scales are turned into floats this many blocks ahead.
inline constexpr size_t kScalesAhead = 64;

// E8M0 without branches: 2^-127, code 0, is the one that the exponent bits alone do not give.
HWY_INLINE void expand_scales(const uint8_t* codes, size_t n, float factor, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = std::max(static_cast<uint32_t>(codes[i]) << 23, 0x00400000u);
    out[i] = std::bit_cast<float>(bits) * factor;
  }
}

// Four weight rows x kRows activation rows: y[i * 4 + o].
template <class Format, int kRows>
HWY_INLINE void few_rows_tile(const Matrix& w, const int64_t* rows, const float* const* x,
                              float* y) {
  const DF d;
  const auto cols = static_cast<size_t>(w.cols);
  VF acc[kRows][4];
  const uint8_t* bytes[4];
  for (int o = 0; o < 4; ++o) {
    bytes[o] = reinterpret_cast<const uint8_t*>(w.row_data(rows[o]));
    for (int i = 0; i < kRows; ++i) acc[i][o] = hn::Zero(d);
  }
  if constexpr (Format::kBlock == 0) {
    for (size_t c = 0; c < cols; c += kLanes) {
      const VF v[4] = {Format::decode(bytes[0], c), Format::decode(bytes[1], c),
                       Format::decode(bytes[2], c), Format::decode(bytes[3], c)};
      for (int i = 0; i < kRows; ++i) {
        const VF left = hn::LoadU(d, x[i] + c);
        for (int o = 0; o < 4; ++o) acc[i][o] = hn::MulAdd(left, v[o], acc[i][o]);
      }
    }
  } else {
    HWY_ALIGN float scale[4][kScalesAhead];
    const size_t blocks = cols / Format::kBlock;
    const auto next_tile = static_cast<size_t>(4 * w.row_bytes());
    for (size_t first = 0; first < blocks; first += kScalesAhead) {
      const size_t count = std::min(kScalesAhead, blocks - first);
      for (int o = 0; o < 4; ++o) {
        expand_scales(w.row_scales(rows[o]) + first, count, Format::kFactor, scale[o]);
      }
      for (size_t b = 0; b < count; ++b) {
        const size_t c = (first + b) * Format::kBlock;
        // The rows of the next tile: each begins on a page that no hardware prefetcher enters.
        for (int o = 0; o < 4; ++o) {
          for (size_t line = 0; line < Format::kBlockBytes; line += 64) {
            hwy::Prefetch(bytes[o] + next_tile + (first + b) * Format::kBlockBytes + line);
          }
        }
        for (size_t i = 0; i < Format::kBlock / kLanes; ++i) {
          const size_t at = c + i * kLanes;
          VF v[4];
          for (int o = 0; o < 4; ++o) v[o] = Format::decode(bytes[o], c, i, &scale[o][b]);
          for (int r = 0; r < kRows; ++r) {
            const VF left = hn::LoadU(d, x[r] + at);
            for (int o = 0; o < 4; ++o) acc[r][o] = hn::MulAdd(left, v[o], acc[r][o]);
          }
        }
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    hn::StoreU(sum_lanes(acc[i][0], acc[i][1], acc[i][2], acc[i][3]), d, y + i * kLanes);
  }
}

template <class Format, int kRows>
HWY_INLINE void few_rows(const Matrix& w, int64_t begin, int64_t end, const float* const* x,
                         float* y, int64_t ldy) {
  HWY_ALIGN float sums[kRows * kLanes];
  for (int64_t o = begin; o < end; o += 4) {
    // A ragged end computes its last row again rather than reading beyond.
    const int64_t rows[4] = {o, std::min(o + 1, end - 1), std::min(o + 2, end - 1),
                             std::min(o + 3, end - 1)};
    few_rows_tile<Format, kRows>(w, rows, x, sums);
    for (size_t i = 0; i < kRows; ++i) {
      std::copy_n(sums + i * kLanes, std::min<int64_t>(4, end - o),
                  y + static_cast<int64_t>(i) * ldy + o - begin);
    }
  }
}

// As many rows of x as the registers hold accumulators for.
inline constexpr int64_t kFewRows = (HWY_MAX_BYTES >= 64 || HWY_TARGET == HWY_NEON) ? 4 : 2;

template <class Format>
HWY_INLINE void few_rows_of(const Matrix& w, int64_t begin, int64_t end, const float* const* x,
                            int64_t m, float* y, int64_t ldy) {
  if (m == 1) return few_rows<Format, 1>(w, begin, end, x, y, ldy);
  if (m == 2) return few_rows<Format, 2>(w, begin, end, x, y, ldy);
  if constexpr (kFewRows == 4) {
    if (m == 3) return few_rows<Format, 3>(w, begin, end, x, y, ldy);
    few_rows<Format, 4>(w, begin, end, x, y, ldy);
  }
}

// The largest scale whose product with every decoding factor is finite.
inline constexpr uint8_t kLargestFoldedScale = 254 - 120;

// False when this matrix or number of rows needs the panels: columns that end inside a vector or a
// block, or scales beyond anything a trained model holds.
HWY_INLINE bool multiply_few_rows(const Matrix& w, int64_t begin, int64_t end,
                                  const float* const* x, int64_t m, float* y, int64_t ldy) {
  const int64_t whole = w.format == Matrix::Format::kFp4   ? weights::kFp4Block
                        : w.format == Matrix::Format::kFp8 ? weights::kFp8Block
                                                           : static_cast<int64_t>(kLanes);
  if (m > kFewRows || w.cols % whole != 0) return false;
  if (w.scales) {
    const uint8_t* last = w.row_scales(end - 1) + w.scale_cols();
    uint8_t largest = 0;
    for (const uint8_t* at = w.row_scales(begin); at != last; ++at) {
      largest = std::max(largest, *at);
    }
    if (largest > kLargestFoldedScale) return false;
  }
  switch (w.format) {
    case Matrix::Format::kFp4:
      few_rows_of<Fp4>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kFp8:
      few_rows_of<Fp8>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kBf16:
      few_rows_of<Bf16>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kF32:
      few_rows_of<F32>(w, begin, end, x, m, y, ldy);
      return true;
  }
  return false;
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR
#endif  // include guard
