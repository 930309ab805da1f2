// The indexer's integer scores against float64 sums of decoded keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/ops/cpu/key_scan.h"
#include "engine/weights/codecs/bf16.h"
#include "hwy/highway.h"

namespace ds4::ops::cpu {
namespace {

constexpr RowLayout kKeys{RowFormat::kFp4, kScanDim, 64};

struct Case {
  std::mt19937 random{5};
  std::vector<float> queries, weights, decoded;
  std::vector<std::vector<std::byte>> rows;
  std::vector<const std::byte*> pointers;

  // Blocks of keys and queries differ in scale by up to 2^spread.
  Case(int64_t heads, int64_t count, int spread) {
    std::normal_distribution<float> normal;
    const auto numbers = [&](int64_t n) {
      std::vector<float> out(static_cast<size_t>(n));
      float scale = 1;
      for (size_t i = 0; i < out.size(); ++i) {
        if (i % kIndexBlock == 0)
          scale =
              std::ldexp(1.0f, static_cast<int>(random() % (static_cast<unsigned>(spread) + 1)));
        out[i] = normal(random) * scale;
      }
      return out;
    };
    queries = numbers(heads * kScanDim);
    for (int64_t h = 0; h < heads; ++h) simulate_fp4(queries.data() + h * kScanDim, kScanDim);
    weights = numbers(heads);
    for (int64_t i = 0; i < count; ++i) {
      // Each row in memory of its own size: a read beyond it is seen by a sanitizer.
      rows.emplace_back(static_cast<size_t>(kKeys.bytes()));
      encode_row(kKeys, numbers(kScanDim).data(), rows.back().data());
      decoded.resize(decoded.size() + kScanDim);
      decode_row(kKeys, rows.back().data(), decoded.data() + i * kScanDim);
    }
    for (const auto& row : rows) pointers.push_back(row.data());
  }

  float score(int64_t heads, int64_t key) const {
    float sum = 0;
    for (int64_t h = 0; h < heads; ++h) {
      double dot = 0;
      for (int64_t i = 0; i < kScanDim; ++i) {
        dot += static_cast<double>(queries[static_cast<size_t>(h * kScanDim + i)]) *
               decoded[static_cast<size_t>(key * kScanDim + i)];
      }
      const float positive = std::max(weights::bf16_round(static_cast<float>(dot)), 0.0f);
      sum += weights::bf16_round(positive * weights[static_cast<size_t>(h)]);
    }
    return weights::bf16_round(sum);
  }
};

void expect_exact_sums() {
  for (const int64_t heads : {1, 3, 4, 7, 64}) {
    for (const int64_t count : {int64_t{1}, int64_t{5}, int64_t{63}, kScanTile}) {
      const Case c(heads, count, 3);
      IntegerQuery query;
      ASSERT_TRUE(to_integers(c.queries.data(), heads, query));
      KeyTile tile;
      std::fill(std::begin(tile.scales), std::end(tile.scales),
                std::numeric_limits<float>::quiet_NaN());
      expand_keys(c.pointers.data(), count, tile);
      std::vector<float> score(static_cast<size_t>(kScanTile), NAN);
      score_integer_keys(query, c.weights.data(), heads, tile, score.data());
      for (int64_t key = 0; key < count; ++key) {
        EXPECT_EQ(score[static_cast<size_t>(key)], c.score(heads, key))
            << heads << " heads, key " << key << " of " << count;
      }
    }
  }
}

TEST(KeyScan, EqualsExactSumsWhereFloatsHoldThemOnEveryInstructionSet) {
  for (const int64_t target : {HWY_AVX3_DL, HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON}) {
    if (!(hwy::SupportedTargets() & target)) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    expect_exact_sums();
    hwy::SetSupportedTargetsForTest(0);
  }
}

TEST(KeyScan, StaysWithinARoundingWhereFloatsDoNot) {
  const Case c(1, kScanTile, 40);
  IntegerQuery query;
  ASSERT_TRUE(to_integers(c.queries.data(), 1, query));
  KeyTile tile;
  expand_keys(c.pointers.data(), kScanTile, tile);
  float score[kScanTile];
  score_integer_keys(query, c.weights.data(), 1, tile, score);
  for (int64_t key = 0; key < kScanTile; ++key) {
    const float expected = c.score(1, key);
    EXPECT_NEAR(score[key], expected, std::fabs(expected) * 0x1p-6f) << key;
  }
}

TEST(KeyScan, RefusesQueriesOffTheGrid) {
  Case c(2, 1, 0);
  IntegerQuery query;
  ASSERT_TRUE(to_integers(c.queries.data(), 2, query));
  c.queries[200] = 0.37f;
  EXPECT_FALSE(to_integers(c.queries.data(), 2, query));
  c.queries[200] = NAN;
  EXPECT_FALSE(to_integers(c.queries.data(), 2, query));
  std::vector<float> zeros(static_cast<size_t>(kScanDim), 0.0f);
  EXPECT_TRUE(to_integers(zeros.data(), 1, query));
}

}  // namespace
}  // namespace ds4::ops::cpu
