// Layout of an expanded tile. Four keys are interleaved so that a vector's 128-bit block j holds,
// of each of the four, one 32-bit word: two 16-bit integers of the scale block j (32 dims). Sixteen
// such vectors cover the row, hence one lane adds up one scale block of one key, and neither a
// transposed copy nor a sum over lanes is needed until the scales have been applied.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/key_scan.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "engine/ops/cpu/key_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/ops/cpu/simd-inl.h"
#include "engine/weights/codecs/e8m0.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {

// Groups of four keys under one vector of scores, and vectors that a packed row takes.
inline constexpr size_t kGroups = kLanes / 4;
inline constexpr size_t kChunks = static_cast<size_t>(kScanDim) / 2 / (4 * kLanes);
inline constexpr size_t kBlocks = static_cast<size_t>(kScanDim / kIndexBlock);
inline constexpr size_t kSteps = 16;         // vectors of integers per chunk: 4 words x 4 pairs
inline constexpr size_t kStep = 2 * kLanes;  // integers in one
inline constexpr size_t kGroupValues = 4 * static_cast<size_t>(kScanDim);
inline constexpr size_t kGroupScales = 4 * kBlocks;

// Eight codes of a word become four pairs of integers, 256 times their halves: no extension of
// signs is needed when the value sits in the upper byte. The order of the dims is to_integers()'s
// too.
HWY_INLINE void expand_words(hn::Vec<DU> words, int16_t* out) {
  const DU du;
  const hn::Repartition<uint8_t, DU> d8;
  const hn::Repartition<uint16_t, DU> d16;
  HWY_ALIGN static constexpr int8_t kHalves[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                   0, -1, -2, -3, -4, -6, -8, -12};
  const auto table = hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(kHalves));
  const auto low = hn::Set(du, 0x0F0F0F0Fu);
  const auto even = hn::TableLookupBytes(table, hn::BitCast(d8, hn::And(words, low)));
  const auto odd =
      hn::TableLookupBytes(table, hn::BitCast(d8, hn::And(hn::ShiftRight<4>(words), low)));
  const auto upper = hn::Set(d16, uint16_t{0xFF00});
  auto* to = reinterpret_cast<uint16_t*>(out);
  hn::Store(hn::ShiftLeft<8>(hn::BitCast(d16, even)), d16, to);             // dims 0, 4
  hn::Store(hn::And(hn::BitCast(d16, even), upper), d16, to + kStep);       // 2, 6
  hn::Store(hn::ShiftLeft<8>(hn::BitCast(d16, odd)), d16, to + 2 * kStep);  // 1, 5
  hn::Store(hn::And(hn::BitCast(d16, odd), upper), d16, to + 3 * kStep);    // 3, 7
}

// Lane (block j, key k) = scale of block chunk * blocks + j of key k.
HWY_INLINE VF scales_of(const uint32_t* codes, size_t chunk) {
  const DF d;
  const DU du;
  const auto block = hn::Add(hn::ShiftRight<2>(hn::Iota(du, 0)),
                             hn::Set(du, static_cast<uint32_t>(chunk * kGroups)));
  const auto words = hn::LoadDup128(du, codes);
  const auto bytes = hn::And(hn::Shr(words, hn::ShiftLeft<3>(block)), hn::Set(du, 255));
  // 2^-127, code 0, is the one that the exponent bits alone do not give.
  const auto bits = hn::Max(hn::ShiftLeft<23>(bytes), hn::Set(du, 0x00400000u));
  return hn::BitCast(d, bits);
}

void ExpandKeys(const std::byte* const* rows, int64_t count, KeyTile& tile) {
  const DF d;
  const DU du;
  const hn::RepartitionToWide<DU> d64;
  for (int64_t group = 0; group < kScanTile / 4; ++group) {
    const uint8_t* row[4];
    HWY_ALIGN uint32_t scales[4];
    for (int64_t k = 0; k < 4; ++k) {
      row[k] = reinterpret_cast<const uint8_t*>(rows[std::min(group * 4 + k, count - 1)]);
      std::memcpy(&scales[k], row[k] + kScanDim / 2, 4);
    }
    const hn::Repartition<uint8_t, DU> d8;
    for (size_t chunk = 0; chunk < kChunks; ++chunk) {
      const auto at = [&](size_t k) HWY_ATTR {
        return hn::BitCast(du, hn::LoadU(d8, row[k] + chunk * 4 * kLanes));
      };
      const auto a = at(0);
      const auto b = at(1);
      const auto c = at(2);
      const auto e = at(3);
      const auto ab = hn::BitCast(d64, hn::InterleaveLower(du, a, b));  // a0 b0 a1 b1
      const auto ce = hn::BitCast(d64, hn::InterleaveLower(du, c, e));
      const auto ab_upper = hn::BitCast(d64, hn::InterleaveUpper(du, a, b));  // a2 b2 a3 b3
      const auto ce_upper = hn::BitCast(d64, hn::InterleaveUpper(du, c, e));
      int16_t* out =
          tile.values + static_cast<size_t>(group) * kGroupValues + chunk * kSteps * kStep;
      expand_words(hn::BitCast(du, hn::InterleaveLower(d64, ab, ce)), out);
      expand_words(hn::BitCast(du, hn::InterleaveUpper(d64, ab, ce)), out + 4 * kStep);
      expand_words(hn::BitCast(du, hn::InterleaveLower(d64, ab_upper, ce_upper)), out + 8 * kStep);
      expand_words(hn::BitCast(du, hn::InterleaveUpper(d64, ab_upper, ce_upper)), out + 12 * kStep);
      hn::Store(scales_of(scales, chunk), d,
                tile.scales + static_cast<size_t>(group) * kGroupScales + chunk * kLanes);
    }
  }
}

// The blocks of a group are summed, the groups' keys put in order: lane 4 g + k = key k of group g.
HWY_INLINE VF join_groups(const VF* group) {
  const DF d;
#if HWY_MAX_BYTES >= 64
  const VF x = hn::Add(hn::ConcatLowerLower(d, group[2], group[0]),
                       hn::ConcatUpperUpper(d, group[2], group[0]));
  const VF y = hn::Add(hn::ConcatLowerLower(d, group[3], group[1]),
                       hn::ConcatUpperUpper(d, group[3], group[1]));
  return hn::OddEvenBlocks(hn::Add(y, hn::SwapAdjacentBlocks(y)),
                           hn::Add(x, hn::SwapAdjacentBlocks(x)));
#elif HWY_MAX_BYTES >= 32
  return hn::Add(hn::ConcatLowerLower(d, group[1], group[0]),
                 hn::ConcatUpperUpper(d, group[1], group[0]));
#else
  (void)d;
  return group[0];
#endif
}

// Adds kHeads heads' part to the scores of kLanes keys.
template <int kHeads>
HWY_INLINE VF add_heads(const int16_t* values, const float* scales, const int16_t* q,
                        const float* q_scales, const float* weight, VF score) {
  const DF d;
  const DU du;
  const hn::RebindToSigned<DF> di;
  const hn::Repartition<int16_t, DF> d16;
  using VI = hn::Vec<decltype(di)>;
  VF dot[kHeads][kGroups];
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    const auto number =
        hn::BitCast(di, hn::Add(hn::ShiftRight<2>(hn::Iota(du, 0)),
                                hn::Set(du, static_cast<uint32_t>(chunk * kGroups))));
    const auto block = hn::IndicesFromVec(du, number);
    const auto float_block = hn::IndicesFromVec(d, number);
    VI sum[kHeads][kGroups];
    VI sum_odd[kHeads][kGroups];  // unused where one instruction adds neighbours
    for (int h = 0; h < kHeads; ++h) {
      for (size_t g = 0; g < kGroups; ++g) sum[h][g] = sum_odd[h][g] = hn::Zero(di);
    }
    for (size_t step = 0; step < kSteps; ++step) {
      hn::Vec<decltype(d16)> key[kGroups];
      for (size_t g = 0; g < kGroups; ++g) {
        key[g] = hn::Load(d16, values + g * kGroupValues + (chunk * kSteps + step) * kStep);
      }
      for (int h = 0; h < kHeads; ++h) {
        // Four words, one per scale block, each for the four keys of its block.
        const auto* words = reinterpret_cast<const uint8_t*>(q + h * kScanDim + step * 8);
        const hn::Repartition<uint8_t, DF> d8;
        const auto all = hn::BitCast(du, hn::LoadDup128(d8, words));
        const auto left = hn::BitCast(d16, hn::TableLookupLanes(all, block));
        for (size_t g = 0; g < kGroups; ++g) {
          sum[h][g] = hn::ReorderWidenMulAccumulate(di, left, key[g], sum[h][g], sum_odd[h][g]);
        }
      }
    }
    for (int h = 0; h < kHeads; ++h) {
      const VF by = hn::TableLookupLanes(
          hn::LoadDup128(d, q_scales + static_cast<size_t>(h) * kBlocks), float_block);
      for (size_t g = 0; g < kGroups; ++g) {
        const VF whole = hn::ConvertTo(d, hn::RearrangeToOddPlusEven(sum[h][g], sum_odd[h][g]));
        const VF scale = hn::Load(d, scales + g * kGroupScales + chunk * kLanes);
        const VF part = hn::Mul(hn::Mul(whole, scale), by);
        dot[h][g] = chunk == 0 ? part : hn::Add(dot[h][g], part);
      }
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    const VF positive = hn::Max(bf(join_groups(dot[h]), true), hn::Zero(d));
    score = hn::Add(score, bf(hn::Mul(positive, hn::Set(d, weight[h])), true));
  }
  return score;
}

void ScoreIntegerKeys(const IntegerQuery& query, const float* weight, int64_t heads,
                      const KeyTile& tile, float* score) {
  constexpr int kHeads = HWY_MAX_BYTES >= 64 ? 4 : 2;
  const DF d;
  for (size_t key = 0; key < static_cast<size_t>(kScanTile); key += kLanes) {
    const int16_t* values = tile.values + key / 4 * kGroupValues;
    const float* scales = tile.scales + key / 4 * kGroupScales;
    const int16_t* q = query.values.data();
    const float* q_scales = query.scales.data();
    VF sum = hn::Zero(d);
    int64_t h = 0;
    for (; h + kHeads <= heads; h += kHeads) {
      sum = add_heads<kHeads>(values, scales, q + h * kScanDim,
                              q_scales + h * static_cast<int64_t>(kBlocks), weight + h, sum);
    }
    for (; h < heads; ++h) {
      sum = add_heads<1>(values, scales, q + h * kScanDim,
                         q_scales + h * static_cast<int64_t>(kBlocks), weight + h, sum);
    }
    hn::StoreU(bf(sum, true), d, score + key);
  }
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(ExpandKeys);
HWY_EXPORT(ScoreIntegerKeys);

bool to_integers(const float* q, int64_t heads, IntegerQuery& out) {
  // Words of a block in the order of expand_words(): pairs of dims (0,4) (2,6) (1,5) (3,7) of
  // eight.
  static constexpr int64_t kFirst[4] = {0, 2, 1, 3};
  constexpr int64_t kBlockCount = kScanDim / kIndexBlock;
  out.values.resize(static_cast<size_t>(heads * kScanDim));
  out.scales.resize(static_cast<size_t>(heads * kBlockCount));
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t block = 0; block < kBlockCount; ++block) {
      const float* x = q + h * kScanDim + block * kIndexBlock;
      float largest = 0;
      for (int64_t i = 0; i < kIndexBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
      const float t = std::max(largest, 6 * 0x1p-120f) * (1.0f / 6.0f);
      const float scale = weights::e8m0_decode(weights::e8m0_ceil_encode(t));
      if (!(scale <= 0x1p100f)) return false;  // infinite or out of any range that occurs
      // Keys are 256 halves, queries halves: 1 / 1024 of the scale makes the product whole.
      out.scales[static_cast<size_t>(h * kBlockCount + block)] = scale * 0x1p-10f;
      for (int64_t step = 0; step < 16; ++step) {
        for (int64_t odd = 0; odd < 2; ++odd) {
          const float halves = x[step / 4 * 8 + kFirst[step % 4] + 4 * odd] / scale * 2;
          if (!(std::fabs(halves) <= 12)) return false;  // a NaN
          const auto whole = static_cast<int16_t>(halves);
          if (static_cast<float>(whole) != halves) return false;
          out.values[static_cast<size_t>(h * kScanDim + step * 8 + block * 2 + odd)] = whole;
        }
      }
    }
  }
  return true;
}

void expand_keys(const std::byte* const* rows, int64_t count, KeyTile& tile) {
  HWY_DYNAMIC_DISPATCH(ExpandKeys)(rows, count, tile);
}
void score_integer_keys(const IntegerQuery& query, const float* weight, int64_t heads,
                        const KeyTile& tile, float* score) {
  HWY_DYNAMIC_DISPATCH(ScoreIntegerKeys)(query, weight, heads, tile, score);
}
}  // namespace ds4::ops::cpu
#endif
