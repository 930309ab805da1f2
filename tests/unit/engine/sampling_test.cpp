// The generator's published vectors and the exact definition of a draw.
#include "engine/ops/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/base/error.h"

namespace ds4::ops {
namespace {

using Words = std::array<uint32_t, 4>;

// Known-answer vectors published with the generator's original description.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformAt, EveryPartOfTheKeyCounts) {
  const double base = uniform_at(1, 2, 3);
  EXPECT_GE(base, 0);
  EXPECT_LT(base, 1);
  EXPECT_EQ(base, uniform_at(1, 2, 3));
  EXPECT_NE(base, uniform_at(2, 2, 3));
  EXPECT_NE(base, uniform_at(1, 3, 3));
  EXPECT_NE(base, uniform_at(1, 2, 4));
  EXPECT_NE(base, uniform_at(1 + (uint64_t{1} << 32), 2, 3));
  EXPECT_NE(base, uniform_at(1, 2 + (uint64_t{1} << 32), 3));
  EXPECT_NE(base, uniform_at(1, 2, 3 + (int64_t{1} << 32)));
}

TEST(SampleToken, GreedyTakesTheLowestIdOnTies) {
  const std::vector<float> logits = {1, 5, 5, -2};
  EXPECT_EQ(sample_token(logits, 0, {}), 1);
}

TEST(SampleToken, GreedyPassesOverNan) {
  const std::vector<float> logits = {NAN, -3, -2};
  EXPECT_EQ(sample_token(logits, 0, {}), 2);
}

TEST(SampleToken, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {0.0f, std::log(2.0f), std::log(5.0f)};
  constexpr int kDraws = 40000;
  std::vector<int> count(3);
  for (int i = 0; i < kDraws; ++i) {
    ++count[static_cast<size_t>(sample_token(logits, i, {.temperature = 1, .seed = 7}))];
  }
  // Five standard deviations of a binomial around each expectation.
  const double expected[] = {1.0 / 8, 2.0 / 8, 5.0 / 8};
  for (size_t i = 0; i < 3; ++i) {
    const double sigma = std::sqrt(kDraws * expected[i] * (1 - expected[i]));
    EXPECT_NEAR(count[i], kDraws * expected[i], 5 * sigma);
  }
}

TEST(SampleToken, TopPKeepsTheShortestPrefixThatReachesIt) {
  // Probabilities 0.5, 0.25, 0.125, 0.125: 0.75 is reached by the first two, anything above needs
  // a third, and of the two equal ones the lower id goes first.
  const float l = std::log(2.0f);
  const std::vector<float> logits = {0, 2 * l, 0, l};
  std::vector<int> at_075(4), at_080(4);
  for (int i = 0; i < 2000; ++i) {
    ++at_075[static_cast<size_t>(sample_token(logits, i, {.temperature = 1, .top_p = 0.74}))];
    ++at_080[static_cast<size_t>(sample_token(logits, i, {.temperature = 1, .top_p = 0.8}))];
  }
  EXPECT_EQ(at_075[0] + at_075[2], 0);
  EXPECT_GT(at_080[0], 0);
  EXPECT_EQ(at_080[2], 0);
}

TEST(SampleToken, LowTemperatureApproachesGreedy) {
  const std::vector<float> logits = {0, 1, 0.5f};
  for (int i = 0; i < 200; ++i) EXPECT_EQ(sample_token(logits, i, {.temperature = 0.01}), 1);
}

TEST(SampleToken, RefusesImpossibleSettings) {
  const std::vector<float> logits = {0, 1};
  EXPECT_THROW(sample_token(logits, 0, {.temperature = -1}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = NAN}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = 1, .top_p = 0}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = 1, .top_p = 1.5}), Error);
}

}  // namespace
}  // namespace ds4::ops
