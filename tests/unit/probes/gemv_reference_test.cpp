// The host side of the products that are measured: number formats against the compiler's, and that
// each format's order of weights names every column once.
#include "probes/device/gemv_reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>

namespace ds4::probes {
namespace {

TEST(GemvReference, RoundsToF16AsTheCompilerDoes) {
  std::mt19937 random(3);
  for (int i = 0; i < 200000; ++i) {
    const float value = std::ldexp(static_cast<float>(random()) / 2147483648.0f - 1.0f,
                                   static_cast<int>(random() % 42) - 27);
    const auto expected = static_cast<_Float16>(value);
    uint16_t bits;
    std::memcpy(&bits, &expected, sizeof bits);
    ASSERT_EQ(to_f16(value), bits) << value;
    ASSERT_EQ(from_f16(bits), static_cast<float>(expected)) << value;
  }
}

TEST(GemvReference, EveryColumnIsTakenOnce) {
  for (const WeightFormat format : kWeightFormats) {
    std::set<int> columns;
    for (int t = 0; t < 4; ++t) {
      for (int pair = 0; pair < kLanePairs; ++pair) {
        for (const int half : {0, 1}) columns.insert(column_of(format, t, pair, half));
      }
    }
    EXPECT_EQ(columns.size(), static_cast<size_t>(kChunk)) << static_cast<int>(format);
    EXPECT_EQ(*columns.begin(), 0);
    EXPECT_EQ(*columns.rbegin(), kChunk - 1);
  }
}

TEST(GemvReference, FormatsHaveTheBitsOfTheirDefinition) {
  const auto bits = [](WeightFormat format) {
    return 8.0 * (code_bytes(format) + scale_bytes(format) + block_bytes(format)) /
           (kTileRows * kChunk);
  };
  EXPECT_EQ(bits(WeightFormat::kBf16), 16);
  EXPECT_EQ(bits(WeightFormat::kFp8), 8);  // its scales, one byte per 16,384, are apart
  EXPECT_EQ(bits(WeightFormat::kQ8_0), 8.5);
  EXPECT_EQ(bits(WeightFormat::kMxfp4), 4.25);
  EXPECT_EQ(bits(WeightFormat::kNvfp4), 4.5);
  EXPECT_EQ(bits(WeightFormat::kNvfp4Plain), 4);
  EXPECT_EQ(bits(WeightFormat::kInt4), 4.125);
  EXPECT_EQ(bits(WeightFormat::kQ2K), 2.625);
  EXPECT_EQ(bits(WeightFormat::kIq2Xxs), 2.0625);
}

// A tile whose only weight that is not zero is found where the format's definition puts it.
TEST(GemvReference, DecodesOneWeightByHand) {
  TileBytes tile;
  tile.codes.resize(static_cast<size_t>(code_bytes(WeightFormat::kQ8_0)));
  tile.scales.resize(static_cast<size_t>(scale_bytes(WeightFormat::kQ8_0)));
  // Row 9 is row 1 of the second half: lane 4 + t. Part 2, unit 3, byte 5.
  tile.codes[static_cast<size_t>(((4 + 3) * 32 + 4 + 2) * 16 + 5)] = std::byte{0xFD};  // -3
  const uint16_t half = to_f16(0.5f);
  std::memcpy(tile.scales.data() + (9 * 8 + 6) * 2, &half, 2);  // group 6 of row 9
  const std::vector<double> weights = decode_row(WeightFormat::kQ8_0, tile, 9, 1);
  for (int k = 0; k < kChunk; ++k) {
    EXPECT_EQ(weights[static_cast<size_t>(k)], k == 6 * 32 + 2 * 8 + 5 ? -1.5 : 0) << k;
  }
}

}  // namespace
}  // namespace ds4::probes
