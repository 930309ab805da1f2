// Dot products of prepared rows with weight rows or cache rows. One accumulator per output runs
// over k in steps of a vector and is summed up at the end, in every variant, so an output's bits do
// not depend on how many rows or columns are computed beside it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/matmul.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <bit>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {
using weights::Matrix;

// Tile of kTileRows x 4 outputs: its accumulators and operands fit the registers (32 with AVX-512
// and NEON, 16 else).
inline constexpr int kTileRows = (HWY_MAX_BYTES >= 64 || HWY_TARGET == HWY_NEON) ? 4 : 2;

template <int kRows>
HWY_INLINE void tile(const float* const* x, const float* const* w, size_t k, float* y) {
  const DF d;
  VF acc[kRows][4];
  for (int i = 0; i < kRows; ++i) {
    for (int o = 0; o < 4; ++o) acc[i][o] = hn::Zero(d);
  }
  for (size_t c = 0; c < k; c += kLanes) {
    const VF w0 = hn::LoadU(d, w[0] + c);
    const VF w1 = hn::LoadU(d, w[1] + c);
    const VF w2 = hn::LoadU(d, w[2] + c);
    const VF w3 = hn::LoadU(d, w[3] + c);
    for (int i = 0; i < kRows; ++i) {
      const VF v = hn::LoadU(d, x[i] + c);
      acc[i][0] = hn::MulAdd(v, w0, acc[i][0]);
      acc[i][1] = hn::MulAdd(v, w1, acc[i][1]);
      acc[i][2] = hn::MulAdd(v, w2, acc[i][2]);
      acc[i][3] = hn::MulAdd(v, w3, acc[i][3]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int o = 0; o < 4; ++o) y[i * 4 + o] = sum_lanes(acc[i][o]);
  }
}

HWY_INLINE void tile_of(int64_t rows, const float* const* x, const float* const* w, size_t k,
                        float* y) {
  if (rows == 1) return tile<1>(x, w, k, y);
  if (rows == 2) return tile<2>(x, w, k, y);
  if constexpr (kTileRows == 4) {
    if (rows == 3) return tile<3>(x, w, k, y);
    return tile<4>(x, w, k, y);
  }
}

// All outputs of m rows against n <= any number of row pointers; `finish` sees 4 sums at a time.
template <class Finish>
HWY_INLINE void all_tiles(const float* const* x, int64_t m, const float* const* w, int64_t n,
                          size_t k, const Finish& finish) {
  HWY_ALIGN float sums[kTileRows * 4];
  for (int64_t o = 0; o < n; o += 4) {
    // A ragged end computes its last row again rather than reading beyond.
    const float* columns[4];
    for (int64_t j = 0; j < 4; ++j) columns[j] = w[std::min(o + j, n - 1)];
    const int64_t width = std::min<int64_t>(4, n - o);
    for (int64_t i = 0; i < m; i += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, m - i);
      tile_of(rows, x + i, columns, k, sums);
      for (int64_t r = 0; r < rows; ++r) finish(i + r, o, width, sums + r * 4);
    }
  }
}

// --- few rows: weights decoded in registers ----------------------------------------------------

// How each stored format yields kLanes values at column c of a row, up to a factor per block.
struct Fp4 {
  static constexpr int64_t kBlock = weights::kFp4Block;
  static constexpr float kFactor = kE2m1Factor;
  static HWY_INLINE VF at(const uint8_t* row, size_t c) { return decode_e2m1(row + c / 2); }
};
struct Fp8 {
  static constexpr int64_t kBlock = weights::kFp8Block;
  static constexpr float kFactor = kE4m3Factor;
  static HWY_INLINE VF at(const uint8_t* row, size_t c) { return decode_e4m3(row + c); }
};
struct Bf16 {
  static constexpr int64_t kBlock = 0;  // no scales
  static HWY_INLINE VF at(const uint8_t* row, size_t c) { return decode_bf16(row + 2 * c); }
};
struct F32 {
  static constexpr int64_t kBlock = 0;
  static HWY_INLINE VF at(const uint8_t* row, size_t c) {
    const DF d;
    const hn::Repartition<uint8_t, DF> d8;
    return hn::BitCast(d, hn::LoadU(d8, row + 4 * c));
  }
};

// E8M0 without branches: 2^-127, code 0, is the one that the exponent bits alone do not give.
HWY_INLINE float block_scale(uint8_t code) {
  return std::bit_cast<float>(std::max(static_cast<uint32_t>(code) << 23, 0x00400000u));
}

template <class Format, int kRows>
HWY_INLINE void direct_tile(const Matrix& w, const int64_t* rows, const float* const* x, float* y) {
  const DF d;
  const auto cols = static_cast<size_t>(w.cols);
  VF acc[kRows][4];
  const uint8_t* bytes[4];
  const uint8_t* scales[4];
  for (int o = 0; o < 4; ++o) {
    bytes[o] = reinterpret_cast<const uint8_t*>(w.row_data(rows[o]));
    scales[o] = w.row_scales(rows[o]);
    for (int i = 0; i < kRows; ++i) acc[i][o] = hn::Zero(d);
  }
  constexpr bool kScaled = Format::kBlock != 0;
  const size_t block = kScaled ? static_cast<size_t>(Format::kBlock) : cols;
  VF scale[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (size_t begin = 0; begin < cols; begin += block) {
    if constexpr (kScaled) {
      for (int o = 0; o < 4; ++o) {
        scale[o] = hn::Set(d, block_scale(*scales[o]++) * Format::kFactor);
      }
    }
    const size_t end = std::min(begin + block, cols);
    for (size_t c = begin; c < end; c += kLanes) {
      VF v[4];
      for (int o = 0; o < 4; ++o) {
        v[o] = Format::at(bytes[o], c);
        if constexpr (kScaled) v[o] = hn::Mul(v[o], scale[o]);
      }
      for (int i = 0; i < kRows; ++i) {
        const VF left = hn::LoadU(d, x[i] + c);
        for (int o = 0; o < 4; ++o) acc[i][o] = hn::MulAdd(left, v[o], acc[i][o]);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int o = 0; o < 4; ++o) y[i * 4 + o] = sum_lanes(acc[i][o]);
  }
}

template <class Format, int kRows>
HWY_INLINE void direct(const Matrix& w, int64_t begin, int64_t end, const float* const* x, float* y,
                       int64_t ldy) {
  HWY_ALIGN float sums[kRows * 4];
  for (int64_t o = begin; o < end; o += 4) {
    const int64_t rows[4] = {o, std::min(o + 1, end - 1), std::min(o + 2, end - 1),
                             std::min(o + 3, end - 1)};
    direct_tile<Format, kRows>(w, rows, x, sums);
    for (int64_t i = 0; i < kRows; ++i) {
      std::copy_n(sums + i * 4, std::min<int64_t>(4, end - o), y + i * ldy + o - begin);
    }
  }
}

inline constexpr int64_t kDirectRows = 2;

template <class Format>
HWY_INLINE void direct_rows(const Matrix& w, int64_t begin, int64_t end, const float* const* x,
                            int64_t m, float* y, int64_t ldy) {
  if (m == 1) return direct<Format, 1>(w, begin, end, x, y, ldy);
  direct<Format, 2>(w, begin, end, x, y, ldy);
}

// The largest scale whose product with the decoding factors is finite.
inline constexpr uint8_t kLargestFoldedScale = 127 + 100;

// False when this matrix or number of rows needs the panels: columns that end inside a vector, or
// scales beyond anything a trained model holds.
HWY_INLINE bool multiply_directly(const Matrix& w, int64_t begin, int64_t end,
                                  const float* const* x, int64_t m, float* y, int64_t ldy) {
  if (m > kDirectRows || w.cols % static_cast<int64_t>(kLanes) != 0) return false;
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
      direct_rows<Fp4>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kFp8:
      direct_rows<Fp8>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kBf16:
      direct_rows<Bf16>(w, begin, end, x, m, y, ldy);
      return true;
    case Matrix::Format::kF32:
      direct_rows<F32>(w, begin, end, x, m, y, ldy);
      return true;
  }
  return false;
}

HWY_INLINE void round_rows(float* y, int64_t m, int64_t n, int64_t ldy) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t o = 0; o < n; o += static_cast<int64_t>(kLanes)) {
      float* at = y + i * ldy + o;
      store(bf(load(at, static_cast<size_t>(n - o)), true), at, static_cast<size_t>(n - o));
    }
  }
}

void Matmul(const Matrix& w, int64_t begin, int64_t end, const float* const* x, int64_t m,
            bool round, float* y, int64_t ldy, float* scratch) {
  if (multiply_directly(w, begin, end, x, m, y, ldy)) {
    if (round) round_rows(y, m, end - begin, ldy);
    return;
  }
  const int64_t k = padded(w.cols);
  const float* rows[kPanelRows];
  for (int64_t panel = begin; panel < end; panel += kPanelRows) {
    const int64_t n = std::min(kPanelRows, end - panel);
    for (int64_t o = 0; o < n; ++o) {
      decode_weights(w, panel + o, scratch + o * k);
      rows[o] = scratch + o * k;
    }
    float* out = y + (panel - begin);
    all_tiles(x, m, rows, n, static_cast<size_t>(k),
              [&](int64_t i, int64_t o, int64_t width, const float* sums) HWY_ATTR {
                for (int64_t j = 0; j < width; ++j) out[i * ldy + o + j] = sums[j];
              });
    if (round) round_rows(out, m, n, ldy);
  }
}

void DotRows(const float* const* x, int64_t m, const float* const* rows, int64_t n, int64_t k,
             float scale, float* y, int64_t ldy) {
  all_tiles(x, m, rows, n, static_cast<size_t>(k),
            [&](int64_t i, int64_t o, int64_t width, const float* sums) HWY_ATTR {
              for (int64_t j = 0; j < width; ++j) y[i * ldy + o + j] = sums[j] * scale;
            });
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(Matmul);
HWY_EXPORT(DotRows);

void matmul(const weights::Matrix& w, int64_t begin, int64_t end, const float* const* x, int64_t m,
            bool round, float* y, int64_t ldy, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Matmul)(w, begin, end, x, m, round, y, ldy, scratch);
}
void dot_rows(const float* const* x, int64_t m, const float* const* rows, int64_t n, int64_t k,
              float scale, float* y, int64_t ldy) {
  HWY_DYNAMIC_DISPATCH(DotRows)(x, m, rows, n, k, scale, y, ldy);
}
}  // namespace ds4::ops::cpu
#endif
