// Every code of every format against its definition, rounding against a search over all codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/weights/codecs/bf16.h"
#include "engine/weights/codecs/decode.h"
#include "engine/weights/codecs/e2m1.h"
#include "engine/weights/codecs/e4m3.h"
#include "engine/weights/codecs/e8m0.h"

namespace ds4::weights {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The nearest of the non-negative codes 0..n-1 to |x|, ties to the even code, in double precision.
template <typename Decode>
int nearest_code(double magnitude, int n, Decode decode) {
  int best = 0;
  for (int code = 1; code < n; ++code) {
    const double d = std::fabs(decode(code) - magnitude), b = std::fabs(decode(best) - magnitude);
    if (d < b || (d == b && code % 2 == 0)) best = code;
  }
  return best;
}

TEST(E4m3, EveryCodeHasItsDefinedValue) {
  for (int code = 0; code < 256; ++code) {
    const int exponent = (code >> 3) & 15, mantissa = code & 7;
    const float got = e4m3_decode(static_cast<uint8_t>(code));
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(got)) << code;
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1 + mantissa / 8.0, exponent - 7);
    EXPECT_EQ(got, static_cast<float>(code & 128 ? -magnitude : magnitude)) << code;
    EXPECT_EQ(std::signbit(got), (code & 128) != 0) << code;
  }
  EXPECT_EQ(e4m3_decode(0x7E), 448.0f);
  EXPECT_EQ(e4m3_decode(0x01), 0x1p-9f);
}

TEST(E4m3, EncodeInvertsDecode) {
  for (int code = 0; code < 256; ++code) {
    EXPECT_EQ(e4m3_encode(e4m3_decode(static_cast<uint8_t>(code))), code);
  }
}

TEST(E4m3, RoundsToNearestTiesToEvenAtEveryBoundary) {
  const auto value = [](int code) { return double{e4m3_decode(static_cast<uint8_t>(code))}; };
  for (int code = 0; code < 0x7E; ++code) {
    const float middle = static_cast<float>((value(code) + value(code + 1)) / 2);  // exact
    const int even = code % 2 == 0 ? code : code + 1;
    EXPECT_EQ(e4m3_encode(middle), even) << code;
    EXPECT_EQ(e4m3_encode(-middle), even | 128) << code;
    EXPECT_EQ(e4m3_encode(std::nextafter(middle, 0.0f)), code) << code;
    EXPECT_EQ(e4m3_encode(std::nextafter(middle, 1000.0f)), code + 1) << code;
  }
}

TEST(E4m3, AgreesWithASearchOverAllCodes) {
  const auto value = [](int code) { return double{e4m3_decode(static_cast<uint8_t>(code))}; };
  uint32_t bits = 0x3A000000;  // from below the smallest subnormal to above the largest value
  for (; bits < 0x44000000; bits += 9973) {
    float x;
    std::memcpy(&x, &bits, 4);
    ASSERT_EQ(e4m3_encode(x), nearest_code(x, 0x7F, value)) << x;
  }
}

TEST(E4m3, SaturatesAndKeepsNan) {
  EXPECT_EQ(e4m3_encode(449.0f), 0x7E);
  EXPECT_EQ(e4m3_encode(1e30f), 0x7E);
  EXPECT_EQ(e4m3_encode(-kInfinity), 0xFE);
  EXPECT_EQ(e4m3_encode(kNan), 0x7F);
  EXPECT_EQ(e4m3_encode(0x1p-10f), 0x00);  // tie with zero
  EXPECT_EQ(e4m3_encode(-0.0f), 0x80);
  EXPECT_EQ(e4m3_encode(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(E2m1, EveryCodeRoundTrips) {
  const float magnitudes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (int code = 0; code < 16; ++code) {
    const float got = e2m1_decode(static_cast<uint8_t>(code));
    EXPECT_EQ(std::fabs(got), magnitudes[code & 7]);
    EXPECT_EQ(std::signbit(got), code >= 8);
    EXPECT_EQ(e2m1_encode(got), code);
  }
}

TEST(E2m1, TiesGoToTheEvenCodeAndLargeValuesSaturate) {
  const float cases[][2] = {{0.25f, 0}, {0.75f, 1}, {1.25f, 1}, {1.75f, 2}, {2.5f, 2},
                            {3.5f, 4},  {5.0f, 4},  {6.1f, 6},  {1e9f, 6},  {kInfinity, 6}};
  for (const auto& [x, expected] : cases) {
    EXPECT_EQ(e2m1_decode(e2m1_encode(x)), expected) << x;
    EXPECT_EQ(e2m1_decode(e2m1_encode(-x)), -expected) << x;
  }
  const auto value = [](int code) { return double{e2m1_decode(static_cast<uint8_t>(code))}; };
  for (float x = 0; x < 7; x += 0x1p-10f) {
    ASSERT_EQ(e2m1_encode(x), nearest_code(x, 8, value)) << x;
  }
  EXPECT_EQ(e2m1_encode(kNan) & 7, 0);
}

TEST(E8m0, EveryCodeIsItsPowerOfTwo) {
  for (int code = 0; code < 255; ++code) {
    const float got = e8m0_decode(static_cast<uint8_t>(code));
    EXPECT_EQ(double{got}, std::ldexp(1.0, code - 127)) << code;
    EXPECT_EQ(e8m0_ceil_encode(got), std::max(code, 1));  // 2^-127 is subnormal: rounds up
  }
  EXPECT_TRUE(std::isnan(e8m0_decode(255)));
}

TEST(E8m0, CeilEncodeIsTheNextPowerOfTwo) {
  EXPECT_EQ(e8m0_ceil_encode(1.0f), 127);
  EXPECT_EQ(e8m0_ceil_encode(std::nextafter(1.0f, 2.0f)), 128);
  EXPECT_EQ(e8m0_ceil_encode(std::nextafter(1.0f, 0.0f)), 127);
  EXPECT_EQ(e8m0_ceil_encode(3.0f), 129);
  EXPECT_EQ(e8m0_ceil_encode(0x1p-126f), 1);
  EXPECT_EQ(e8m0_ceil_encode(std::numeric_limits<float>::max()), 255);
}

TEST(Bf16, EveryCodeRoundTrips) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = bf16_decode(static_cast<uint16_t>(code));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_round(value)));
    } else {
      ASSERT_EQ(bf16_encode(value), code);
    }
  }
}

TEST(Bf16, RoundsTiesToEvenAndOverflowsToInfinity) {
  EXPECT_EQ(bf16_round(1.0f + 0x1p-8f), 1.0f);
  EXPECT_EQ(bf16_round(1.0f + 0x3p-8f), 1.0f + 0x1p-6f);
  EXPECT_EQ(bf16_round(std::nextafter(1.0f + 0x1p-8f, 2.0f)), 1.0f + 0x1p-7f);
  EXPECT_EQ(bf16_round(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_EQ(bf16_round(-kInfinity), -kInfinity);
  // A NaN whose payload lies in the dropped half must not become infinity.
  EXPECT_TRUE(std::isnan(bf16_round(std::bit_cast<float>(0x7F800001u))));
}

TEST(DecodeRow, Fp4NibblesAndScalesFollowTheLayout) {
  // 35 columns: an odd last byte and a short second scale block.
  std::vector<uint8_t> data(2 * 18), scales = {127, 128, 126, 120};
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 37 + 11);
  const Matrix matrix{.format = Matrix::Format::kFp4,
                      .rows = 2,
                      .cols = 35,
                      .data = reinterpret_cast<const std::byte*>(data.data()),
                      .scales = scales.data()};
  EXPECT_EQ(matrix.stored_bytes(), 36 + 4);
  for (int row = 0; row < 2; ++row) {
    std::vector<float> all(35);
    decode_row(matrix, row, 0, 35, all.data());
    for (int c = 0; c < 35; ++c) {
      const uint8_t byte = data[row * 18 + c / 2];
      const int code = c % 2 == 0 ? byte & 15 : byte >> 4;
      EXPECT_EQ(all[c], std::ldexp(e2m1_decode(code), scales[row * 2 + c / 32] - 127));
    }
    std::vector<float> part(9);
    decode_row(matrix, row, 26, 9, part.data());
    EXPECT_EQ(part, std::vector<float>(all.begin() + 26, all.end()));
  }
}

TEST(DecodeRow, Fp8ScalesCoverBlocksOf128) {
  std::vector<uint8_t> data(130 * 131), scales = {127, 130, 120, 0};
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7 % 0x7F);
  const Matrix matrix{.format = Matrix::Format::kFp8,
                      .rows = 130,
                      .cols = 131,
                      .data = reinterpret_cast<const std::byte*>(data.data()),
                      .scales = scales.data()};
  for (const int row : {0, 127, 128, 129}) {
    std::vector<float> got(131);
    decode_row(matrix, row, 0, 131, got.data());
    for (int c = 0; c < 131; ++c) {
      const double scale = std::ldexp(1.0, scales[row / 128 * 2 + c / 128] - 127);
      EXPECT_EQ(got[c], static_cast<float>(e4m3_decode(data[row * 131 + c]) * scale));
    }
  }
}

TEST(DecodeRow, SmallestProductsAreExact) {
  const uint8_t smallest = 0x01, scale = 0;
  const Matrix matrix{.format = Matrix::Format::kFp8,
                      .rows = 1,
                      .cols = 1,
                      .data = reinterpret_cast<const std::byte*>(&smallest),
                      .scales = &scale};
  float got = 0;
  decode_row(matrix, 0, 0, 1, &got);
  EXPECT_EQ(got, 0x1p-136f);
}

}  // namespace
}  // namespace ds4::weights
