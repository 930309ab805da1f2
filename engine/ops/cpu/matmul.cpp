// Dot products of prepared rows with weight rows or cache rows. One accumulator per output runs
// over k in steps of a vector and is summed up at the end, in every variant, so an output's bits do
// not depend on how many rows or columns are computed beside it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/matmul.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>

#include "engine/ops/cpu/few_rows-inl.h"
#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {
using weights::Matrix;

// Tile of kTileRows x 4 outputs: its accumulators and operands fit the registers (32 with AVX-512
// and NEON, 16 else).
inline constexpr int kTileRows = (HWY_MAX_BYTES >= 64 || HWY_TARGET == HWY_NEON) ? 4 : 2;
inline constexpr size_t kTileFloats = size_t{kTileRows} * 4 * kLanes;

// The accumulators of one row of a tile. (Named, because compilers keep arrays of vectors in
// memory.)
struct RowSums {
  VF a, b, c, e;

  static HWY_INLINE RowSums zero() {
    const DF d;
    return {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  }
  static HWY_INLINE RowSums load(const float* from) {
    const DF d;
    return {hn::LoadU(d, from), hn::LoadU(d, from + kLanes), hn::LoadU(d, from + 2 * kLanes),
            hn::LoadU(d, from + 3 * kLanes)};
  }
  HWY_INLINE void store(float* to) const {
    const DF d;
    hn::StoreU(a, d, to);
    hn::StoreU(b, d, to + kLanes);
    hn::StoreU(c, d, to + 2 * kLanes);
    hn::StoreU(e, d, to + 3 * kLanes);
  }
  HWY_INLINE void add(VF x, VF w0, VF w1, VF w2, VF w3) {
    a = hn::MulAdd(x, w0, a);
    b = hn::MulAdd(x, w1, b);
    c = hn::MulAdd(x, w2, c);
    e = hn::MulAdd(x, w3, e);
  }
  HWY_INLINE VF sums() const { return sum_lanes(a, b, c, e); }
};

// k columns. kWhole: they are all, and the sums of row i go to y + i * kLanes;
// else the accumulators come from `memory` and go back there.
template <int kRows, bool kWhole>
HWY_INLINE void tile(const float* const* x, const float* const* w, size_t k, float* memory,
                     float* y) {
  const DF d;
  constexpr size_t kRow = 4 * kLanes;
  RowSums r0 = kWhole ? RowSums::zero() : RowSums::load(memory);
  RowSums r1 = kWhole || kRows < 2 ? RowSums::zero() : RowSums::load(memory + kRow);
  RowSums r2 = kWhole || kRows < 3 ? RowSums::zero() : RowSums::load(memory + 2 * kRow);
  RowSums r3 = kWhole || kRows < 4 ? RowSums::zero() : RowSums::load(memory + 3 * kRow);
  for (size_t c = 0; c < k; c += kLanes) {
    const VF w0 = hn::LoadU(d, w[0] + c);
    const VF w1 = hn::LoadU(d, w[1] + c);
    const VF w2 = hn::LoadU(d, w[2] + c);
    const VF w3 = hn::LoadU(d, w[3] + c);
    r0.add(hn::LoadU(d, x[0] + c), w0, w1, w2, w3);
    if constexpr (kRows > 1) r1.add(hn::LoadU(d, x[1] + c), w0, w1, w2, w3);
    if constexpr (kRows > 2) r2.add(hn::LoadU(d, x[2] + c), w0, w1, w2, w3);
    if constexpr (kRows > 3) r3.add(hn::LoadU(d, x[3] + c), w0, w1, w2, w3);
  }
  if constexpr (kWhole) {
    hn::StoreU(r0.sums(), d, y);
    if constexpr (kRows > 1) hn::StoreU(r1.sums(), d, y + kLanes);
    if constexpr (kRows > 2) hn::StoreU(r2.sums(), d, y + 2 * kLanes);
    if constexpr (kRows > 3) hn::StoreU(r3.sums(), d, y + 3 * kLanes);
  } else {
    r0.store(memory);
    if constexpr (kRows > 1) r1.store(memory + kRow);
    if constexpr (kRows > 2) r2.store(memory + 2 * kRow);
    if constexpr (kRows > 3) r3.store(memory + 3 * kRow);
  }
}

template <bool kWhole>
HWY_INLINE void tile_of(int64_t rows, const float* const* x, const float* const* w, size_t k,
                        float* memory, float* y) {
  if (rows == 1) return tile<1, kWhole>(x, w, k, memory, y);
  if (rows == 2) return tile<2, kWhole>(x, w, k, memory, y);
  if constexpr (kTileRows == 4) {
    if (rows == 3) return tile<3, kWhole>(x, w, k, memory, y);
    return tile<4, kWhole>(x, w, k, memory, y);
  }
}

// All tiles of m rows of x against n row pointers. body(i, rows, o, width, columns) gets the corner
// and size of each, and its four columns.
template <class Body>
HWY_INLINE void each_tile(int64_t m, const float* const* w, int64_t n, const Body& body) {
  for (int64_t o = 0; o < n; o += 4) {
    // A ragged end computes its last row again rather than reading beyond.
    const float* columns[4];
    for (int64_t j = 0; j < 4; ++j) columns[j] = w[std::min(o + j, n - 1)];
    const int64_t width = std::min<int64_t>(4, n - o);
    for (int64_t i = 0; i < m; i += kTileRows) {
      body(i, std::min<int64_t>(kTileRows, m - i), o, width, columns);
    }
  }
}

HWY_INLINE void round_rows(float* y, int64_t m, int64_t n, int64_t ldy) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t o = 0; o < n; o += static_cast<int64_t>(kLanes)) {
      float* at = y + i * ldy + o;
      store(bf(load(at, static_cast<size_t>(n - o)), true), at, static_cast<size_t>(n - o));
    }
  }
}

// A piece of k for m rows of x and n rows of decoded weights: with kWhole y[i * ldy + o], else the
// accumulators in `memory`.
template <bool kWhole>
HWY_INLINE void add_piece(const float* const* x, int64_t m, const float* const* rows, int64_t n,
                          int64_t depth, float* memory, float* y, int64_t ldy) {
  each_tile(m, rows, n,
            [&](int64_t i, int64_t count, int64_t o, int64_t width,
                const float* const* columns) HWY_ATTR {
              HWY_ALIGN float sums[kTileRows * kLanes];
              tile_of<kWhole>(count, x + i, columns, static_cast<size_t>(depth), memory, sums);
              memory += kTileFloats;
              if constexpr (!kWhole) return;
              for (int64_t r = 0; r < count; ++r) {
                std::copy_n(sums + r * static_cast<int64_t>(kLanes), width, y + (i + r) * ldy + o);
              }
            });
}

// The sums of all accumulators of m x n outputs, as add_piece() left them.
HWY_INLINE void sum_pieces(int64_t m, const float* const* rows, int64_t n, const float* memory,
                           float* y, int64_t ldy) {
  const DF d;
  each_tile(m, rows, n,
            [&](int64_t i, int64_t count, int64_t o, int64_t width, const float* const*) HWY_ATTR {
              HWY_ALIGN float sums[kLanes];
              for (int64_t r = 0; r < count; ++r) {
                const float* at = memory + static_cast<size_t>(r) * 4 * kLanes;
                hn::Store(RowSums::load(at).sums(), d, sums);
                std::copy_n(sums, width, y + (i + r) * ldy + o);
              }
              memory += kTileFloats;
            });
}

// Rows [begin, begin + n) of w, n <= kPanelRows, with m <= kRowBlock rows of x.
HWY_INLINE void multiply_panel(const Matrix& w, int64_t begin, int64_t n, const float* const* x,
                               int64_t m, float* y, int64_t ldy, float* scratch) {
  constexpr auto kBlockFloats = static_cast<int64_t>(kCachedRows * kPanelRows * kLanes);
  float* panel = scratch;
  float* packed = panel + kPanelRows * kPanelDepth;
  float* memory = packed + kCachedRows * kPanelDepth;
  const float* rows[kPanelRows];
  const bool whole = w.cols <= kPanelDepth;
  if (!whole) std::fill_n(memory, (m + kCachedRows - 1) / kCachedRows * kBlockFloats, 0.0f);
  for (int64_t at = 0; at < w.cols; at += kPanelDepth) {
    const int64_t end = std::min(at + kPanelDepth, w.cols);
    const int64_t depth = padded(end - at);
    for (int64_t o = 0; o < n; ++o) {
      rows[o] = panel + o * depth;
      decode_weights(w, begin + o, at, end, panel + o * depth);
    }
    for (int64_t i = 0; i < m; i += kCachedRows) {
      const int64_t count = std::min(kCachedRows, m - i);
      float* block = memory + i / kCachedRows * kBlockFloats;
      // Side by side, because rows a power of two apart would push each other out of the cache.
      const float* left[kCachedRows];
      for (int64_t r = 0; r < count; ++r) {
        std::copy_n(x[i + r] + at, depth, packed + r * depth);
        left[r] = packed + r * depth;
      }
      if (whole) {
        add_piece<true>(left, count, rows, n, depth, block, y + i * ldy, ldy);
      } else {
        add_piece<false>(left, count, rows, n, depth, block, y + i * ldy, ldy);
        if (end == w.cols) sum_pieces(count, rows, n, block, y + i * ldy, ldy);
      }
    }
  }
}

void Matmul(const Matrix& w, int64_t begin, int64_t end, const float* const* x, int64_t m,
            bool round, float* y, int64_t ldy, float* scratch) {
  if (!multiply_few_rows(w, begin, end, x, m, y, ldy)) {
    for (int64_t i = 0; i < m; i += kRowBlock) {
      const int64_t rows = std::min(kRowBlock, m - i);
      for (int64_t o = begin; o < end; o += kPanelRows) {
        multiply_panel(w, o, std::min(kPanelRows, end - o), x + i, rows, y + i * ldy + (o - begin),
                       ldy, scratch);
      }
    }
  }
  if (round) round_rows(y, m, end - begin, ldy);
}

void DotRows(const float* const* x, int64_t m, const float* const* rows, int64_t n, int64_t k,
             float scale, float* y, int64_t ldy) {
  each_tile(m, rows, n,
            [&](int64_t i, int64_t count, int64_t o, int64_t width, const float* const* columns)
                HWY_ATTR {
                  HWY_ALIGN float sums[kTileRows * kLanes];
                  tile_of<true>(count, x + i, columns, static_cast<size_t>(k), nullptr, sums);
                  for (int64_t r = 0; r < count; ++r) {
                    const float* from = sums + r * static_cast<int64_t>(kLanes);
                    float* to = y + (i + r) * ldy + o;
                    for (int64_t j = 0; j < width; ++j) to[j] = from[j] * scale;
                  }
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
