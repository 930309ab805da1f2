// The indexer's scores of packed FP4 keys as integer dot products: E2M1 values are whole numbers of
// halves under power-of-two scales, so that the sum over a block is exact in any order. Queries on
// the same grid only; others take the float kernels of kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/rows.h"

namespace ds4::ops::cpu {

inline constexpr int64_t kScanTile = kKeyTile;  // keys expanded at once
inline constexpr int64_t kScanDim = 128;        // the one row width these kernels are made for
inline constexpr int kKeyBias = 12;             // the largest E2M1 value, 6, in halves

inline bool fits_key_scan(const RowLayout& layout) {
  return layout.format == RowFormat::kFp4 && layout.dim == kScanDim;
}

/// The heads of one query: halves as integers in the order the keys are expanded in, the scales of
/// their blocks, and what undoes the keys' bias: -kKeyBias times the sum of each block's integers.
struct IntegerQuery {
  std::vector<int8_t> values;   // [heads, kScanDim]
  std::vector<float> scales;    // [heads, kScanDim / kIndexBlock]
  std::vector<int32_t> unbias;  // [heads, kScanDim / kIndexBlock]
};

/// Fills `out` from q [heads, kScanDim]; false when a value is not on the FP4 grid.
bool to_integers(const float* q, int64_t heads, IntegerQuery& out);

/// One tile of keys: kScanTile * kScanDim halves plus kKeyBias, and their scales. Unsigned, because
/// the dot-product instructions of x86 take one operand of each kind.
struct alignas(64) KeyTile {
  uint8_t values[kScanTile * kScanDim];
  float scales[kScanTile * kScanDim / kIndexBlock];
};

/// Expands rows [0, count) of 0 < count <= kScanTile; the rest of the tile repeats the last.
void expand_keys(const std::byte* const* rows, int64_t count, KeyTile& tile);

/// score[n] = bf(sum_h bf(relu(bf(q_h . key_n)) * weight_h)) for all keys of the tile.
void score_integer_keys(const IntegerQuery& query, const float* weight, int64_t heads,
                        const KeyTile& tile, float* score);

}  // namespace ds4::ops::cpu
