// Layout of an expanded tile. Four keys are interleaved so that a vector's 128-bit block j holds,
// of each of the four, one 32-bit word: four 8-bit integers of the scale block j (32 dims). Eight
// such vectors cover the row, hence one lane adds up one scale block of one key, and neither a
// transposed copy nor a sum over lanes is needed until the scales have been applied.

// The one kernel that gains from the AVX-512 variant with 8-bit dot products (VNNI).
#define HWY_WANT_AVX3_DL
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
inline constexpr size_t kSteps = 8;          // vectors of integers per chunk: 4 words x 2
inline constexpr size_t kStep = 4 * kLanes;  // integers in one
inline constexpr size_t kGroupValues = 4 * static_cast<size_t>(kScanDim);
inline constexpr size_t kGroupScales = 4 * kBlocks;

// Eight codes of a word become two words of four integers: dims 0, 2, 4, 6 and 1, 3, 5, 7. The
// order of the dims is to_integers()'s too.
HWY_INLINE void expand_words(hn::Vec<DU> words, uint8_t* out) {
  const DU du;
  const hn::Repartition<uint8_t, DU> d8;
  HWY_ALIGN static constexpr uint8_t kBiased[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                                    12, 11, 10, 9,  8,  6,  4,  0};
  const auto table = hn::LoadDup128(d8, kBiased);
  const auto low = hn::Set(du, 0x0F0F0F0Fu);
  const auto odd = hn::And(hn::ShiftRight<4>(words), low);
  hn::Store(hn::TableLookupBytes(table, hn::BitCast(d8, hn::And(words, low))), d8, out);
  hn::Store(hn::TableLookupBytes(table, hn::BitCast(d8, odd)), d8, out + kStep);
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
      uint8_t* out =
          tile.values + static_cast<size_t>(group) * kGroupValues + chunk * kSteps * kStep;
      expand_words(hn::BitCast(du, hn::InterleaveLower(d64, ab, ce)), out);
      expand_words(hn::BitCast(du, hn::InterleaveUpper(d64, ab, ce)), out + 2 * kStep);
      expand_words(hn::BitCast(du, hn::InterleaveLower(d64, ab_upper, ce_upper)), out + 4 * kStep);
      expand_words(hn::BitCast(du, hn::InterleaveUpper(d64, ab_upper, ce_upper)), out + 6 * kStep);
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

using VI = hn::Vec<hn::RebindToSigned<DF>>;
using V8 = hn::Vec<hn::Repartition<uint8_t, DF>>;

// sum (+ odd) += the dot product of each lane's four unsigned and four signed bytes.
HWY_INLINE void add_dots(V8 keys, V8 query, VI& sum, VI& odd) {
#if HWY_TARGET == HWY_AVX3_DL
  // As assembly: Highway 1.0.3 names this target's instruction set to the compiler without it.
  (void)odd;
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(keys.raw), "v"(query.raw));
#else
  const hn::RebindToSigned<DF> d32;
  const hn::Repartition<int16_t, DF> d16;
  const hn::Repartition<uint16_t, DF> du16;
  const auto k = hn::BitCast(du16, keys);
  const auto q = hn::BitCast(d16, query);
  const auto k_even = hn::BitCast(d16, hn::And(k, hn::Set(du16, 255)));
  const auto k_odd = hn::BitCast(d16, hn::ShiftRight<8>(k));
  sum =
      hn::ReorderWidenMulAccumulate(d32, k_even, hn::ShiftRight<8>(hn::ShiftLeft<8>(q)), sum, odd);
  sum = hn::ReorderWidenMulAccumulate(d32, k_odd, hn::ShiftRight<8>(q), sum, odd);
#endif
}

// The numbers of some heads of a query, from the first of them on.
struct Heads {
  const int8_t* values;
  const float* scales;
  const int32_t* unbias;
  const float* weight;

  static Heads of(const IntegerQuery& query, const float* weight, int64_t first) {
    const int64_t blocks = first * static_cast<int64_t>(kBlocks);
    return {query.values.data() + first * kScanDim, query.scales.data() + blocks,
            query.unbias.data() + blocks, weight + first};
  }
};

// Adds kHeads heads' part to the scores of kLanes keys.
template <int kHeads>
HWY_INLINE VF add_heads(const uint8_t* values, const float* scales, const Heads& heads, VF score) {
  const DF d;
  const DU du;
  const hn::RebindToSigned<DF> di;
  const hn::Repartition<uint8_t, DF> d8;
  VF dot[kHeads][kGroups];
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    const auto number =
        hn::BitCast(di, hn::Add(hn::ShiftRight<2>(hn::Iota(du, 0)),
                                hn::Set(du, static_cast<uint32_t>(chunk * kGroups))));
    const auto block = hn::IndicesFromVec(di, number);
    VI sum[kHeads][kGroups];
    VI odd[kHeads][kGroups];  // unused where one instruction adds neighbours
    for (size_t h = 0; h < kHeads; ++h) {
      const VI start = hn::TableLookupLanes(hn::LoadDup128(di, heads.unbias + h * kBlocks), block);
      for (size_t g = 0; g < kGroups; ++g) {
        sum[h][g] = start;
        odd[h][g] = hn::Zero(di);
      }
    }
    for (size_t step = 0; step < kSteps; ++step) {
      V8 key[kGroups];
      for (size_t g = 0; g < kGroups; ++g) {
        key[g] = hn::Load(d8, values + g * kGroupValues + (chunk * kSteps + step) * kStep);
      }
      for (size_t h = 0; h < kHeads; ++h) {
        // Four words, one per scale block, each for the four keys of its block.
        const auto* words =
            reinterpret_cast<const uint8_t*>(heads.values) + h * kScanDim + step * 16;
        const auto all = hn::BitCast(di, hn::LoadDup128(d8, words));
        const auto query = hn::BitCast(d8, hn::TableLookupLanes(all, block));
        for (size_t g = 0; g < kGroups; ++g) add_dots(key[g], query, sum[h][g], odd[h][g]);
      }
    }
    const auto float_block = hn::IndicesFromVec(d, number);
    for (size_t h = 0; h < kHeads; ++h) {
      const VF by =
          hn::TableLookupLanes(hn::LoadDup128(d, heads.scales + h * kBlocks), float_block);
      for (size_t g = 0; g < kGroups; ++g) {
        const VF whole = hn::ConvertTo(d, hn::RearrangeToOddPlusEven(sum[h][g], odd[h][g]));
        const VF scale = hn::Load(d, scales + g * kGroupScales + chunk * kLanes);
        const VF part = hn::Mul(hn::Mul(whole, scale), by);
        dot[h][g] = chunk == 0 ? part : hn::Add(dot[h][g], part);
      }
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    const VF positive = hn::Max(bf(join_groups(dot[h]), true), hn::Zero(d));
    score = hn::Add(score, bf(hn::Mul(positive, hn::Set(d, heads.weight[h])), true));
  }
  return score;
}

void ScoreIntegerKeys(const IntegerQuery& query, const float* weight, int64_t heads,
                      const KeyTile& tile, float* score) {
  constexpr int kHeads = HWY_MAX_BYTES >= 64 ? 4 : 2;
  const DF d;
  for (size_t key = 0; key < static_cast<size_t>(kScanTile); key += kLanes) {
    const uint8_t* values = tile.values + key / 4 * kGroupValues;
    const float* scales = tile.scales + key / 4 * kGroupScales;
    VF sum = hn::Zero(d);
    int64_t h = 0;
    for (; h + kHeads <= heads; h += kHeads) {
      sum = add_heads<kHeads>(values, scales, Heads::of(query, weight, h), sum);
    }
    for (; h < heads; ++h) {
      sum = add_heads<1>(values, scales, Heads::of(query, weight, h), sum);
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
  constexpr int64_t kBlockCount = kScanDim / kIndexBlock;
  out.values.resize(static_cast<size_t>(heads * kScanDim));
  out.scales.resize(static_cast<size_t>(heads * kBlockCount));
  out.unbias.resize(out.scales.size());
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t block = 0; block < kBlockCount; ++block) {
      const float* x = q + h * kScanDim + block * kIndexBlock;
      float largest = 0;
      for (int64_t i = 0; i < kIndexBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
      const float t = std::max(largest, 6 * 0x1p-120f) * (1.0f / 6.0f);
      const float scale = weights::e8m0_decode(weights::e8m0_ceil_encode(t));
      if (!(scale <= 0x1p100f)) return false;  // infinite or out of any range that occurs
      const auto at = static_cast<size_t>(h * kBlockCount + block);
      // Keys and queries are halves: a quarter of the scale makes the product whole.
      out.scales[at] = scale * 0.25f;
      int32_t sum = 0;
      for (int64_t i = 0; i < kIndexBlock; ++i) {
        const float halves = x[i] / scale * 2;
        if (!(std::fabs(halves) <= kKeyBias)) return false;  // a NaN
        const auto whole = static_cast<int8_t>(halves);
        if (static_cast<float>(whole) != halves) return false;
        sum += whole;
        // Vector 2 * word + odd of a row holds the even or odd dims of its words of eight.
        const int64_t step = i / 8 * 2 + i % 2;
        out.values[static_cast<size_t>(h * kScanDim + step * 16 + block * 4 + i % 8 / 2)] = whole;
      }
      out.unbias[at] = -kKeyBias * sum;
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
