// The generator's published vectors, the chain against a second implementation of its definition
// (tests/golden/make_sampling.py), and its edges.
#include "engine/ops/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/unit/engine/golden_file.h"

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

TEST(RandomAt, EveryPartOfTheKeyCounts) {
  const uint64_t base = random_at(1, 2, 3);
  EXPECT_LT(base, uint64_t{1} << 53);
  EXPECT_EQ(base, random_at(1, 2, 3));
  EXPECT_NE(base, random_at(2, 2, 3));
  EXPECT_NE(base, random_at(1, 3, 3));
  EXPECT_NE(base, random_at(1, 2, 4));
  EXPECT_NE(base, random_at(1 + (uint64_t{1} << 32), 2, 3));
  EXPECT_NE(base, random_at(1, 2 + (uint64_t{1} << 32), 3));
  EXPECT_NE(base, random_at(1, 2, 3 + (int64_t{1} << 32)));
}

TEST(HighProduct, EqualsWideArithmetic) {
  uint64_t a = 1, b = 3;
  __extension__ using Wide = unsigned __int128;
  for (int i = 0; i < 10000; ++i) {
    a = a * 6364136223846793005 + 1442695040888963407;
    b = b * 2862933555777941757 + 3037000493;
    const uint64_t x = a >> (i % 64), y = b >> (i / 64 % 64);
    ASSERT_EQ(high_product(x, y), static_cast<uint64_t>(Wide{x} * y >> 64)) << x << " " << y;
  }
  EXPECT_EQ(high_product(~0ull, ~0ull), ~0ull - 1);
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

// Multiples of 1/256 with many ties, some NaN, some -inf: the formula of make_sampling.py.
std::vector<float> golden_logits(uint32_t vocab, uint32_t salt, uint32_t spread) {
  std::vector<float> logits(vocab);
  for (uint32_t i = 0; i < vocab; ++i) {
    uint32_t h = i * 2654435761u + salt * 40503u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    logits[i] =
        (static_cast<float>(h % (512 * spread)) - 256.0F * static_cast<float>(spread)) / 256;
    if (i % 97 == 96) logits[i] = (i / 97) % 2 ? NAN : -INFINITY;
  }
  return logits;
}

SamplingSettings settings_of(const nlohmann::json& j) {
  SamplingSettings s;
  s.temperature = j.value("temperature", s.temperature);
  s.top_p = j.value("top_p", s.top_p);
  s.top_k = j.value("top_k", s.top_k);
  s.min_p = j.value("min_p", s.min_p);
  s.repetition_penalty = j.value("repetition_penalty", s.repetition_penalty);
  s.presence_penalty = j.value("presence_penalty", s.presence_penalty);
  s.frequency_penalty = j.value("frequency_penalty", s.frequency_penalty);
  s.seed = j.value("seed", s.seed);
  s.sequence = j.value("sequence", s.sequence);
  for (const auto& bias : j.value("logit_bias", nlohmann::json::array())) {
    s.logit_bias.push_back({bias[0].get<TokenId>(), bias[1].get<float>()});
  }
  return s;
}

TEST(SampleToken, EqualsASecondImplementation) {
  const auto golden = nlohmann::json::parse(read_file(golden::vectors_dir() / "sampling.json"));
  int draws = 0;
  for (const auto& c : golden.at("cases")) {
    const auto logits = golden_logits(c["vocab"], c["salt"], c["spread"]);
    const auto history = c["history"].get<std::vector<TokenId>>();
    for (size_t i = 0; i < c["positions"].size(); ++i, ++draws) {
      const TokenId token =
          sample_token(logits, c["positions"][i].get<int64_t>(), settings_of(c["settings"]),
                       {history, c["n_prompt"].get<int64_t>()});
      EXPECT_EQ(token, c["tokens"][i].get<TokenId>()) << c["settings"] << " draw " << i;
    }
  }
  EXPECT_EQ(draws, 180);
}

TEST(ExpOfNegative, IsCloseToTheLibrarysAndExactAtTheEnds) {
  for (int i = 0; i < 200000; ++i) {
    const double x = -i * 0.0035;
    EXPECT_NEAR(exp_of_negative(x) / std::exp(x), 1, 5e-16) << x;
  }
  EXPECT_EQ(exp_of_negative(0), 1);
  EXPECT_EQ(exp_of_negative(-709), 0);
  EXPECT_EQ(exp_of_negative(-std::numeric_limits<double>::infinity()), 0);
}

TEST(PickWeighted, EdgesOfTheUnitInterval) {
  std::vector<uint64_t> w(3000);
  w[5] = w[2500] = kFullWeight;
  const uint64_t half = uint64_t{1} << 52;
  EXPECT_EQ(pick_weighted(w, 0), 5u);
  EXPECT_EQ(pick_weighted(w, half - 1), 5u);
  EXPECT_EQ(pick_weighted(w, half), 2500u);
  EXPECT_EQ(pick_weighted(w, 2 * half - 1), 2500u);
  w[5] = 1;  // of 2^40 + 1: chosen by floor(random * sum / 2^53) = 0 alone
  EXPECT_EQ(pick_weighted(w, (uint64_t{1} << 13) - 1), 5u);
  EXPECT_EQ(pick_weighted(w, uint64_t{1} << 13), 2500u);
}

TEST(WeightOf, AreWholeSharesOfTheLargest) {
  EXPECT_EQ(weight_of(3, 3, 0.1), kFullWeight);
  EXPECT_EQ(weight_of(0, 1, 1), static_cast<uint64_t>(std::exp(-1.0) * 0x1p40));
  EXPECT_EQ(weight_of(-INFINITY, 1, 1), 0u);
  EXPECT_EQ(weight_of(0, INFINITY, 1), 0u);
  EXPECT_EQ(weight_of(INFINITY, INFINITY, 1), kFullWeight);
  EXPECT_EQ(weight_of(0, 27.8, 1), 0u);  // e^-27.8 < 2^-40 < e^-27.7
  EXPECT_EQ(weight_of(0, 27.7, 1), 1u);
}

TEST(ShareOf, NeverExceedsTheWhole) {
  EXPECT_EQ(share_of(10, 0.5), 5u);
  EXPECT_EQ(share_of(10, 0.51), 6u);
  EXPECT_EQ(share_of(10, 1e-300), 1u);
  EXPECT_EQ(share_of((uint64_t{1} << 53) + 1, std::nextafter(1.0, 0.0)), (uint64_t{1} << 53) - 1);
  EXPECT_EQ(share_of(~0ull, std::nextafter(1.0, 0.0)), ~0ull - 2047);
}

TEST(SampleToken, InfiniteLogitsShareEverything) {
  const std::vector<float> logits = {3, INFINITY, 9, INFINITY, NAN};
  EXPECT_EQ(sample_token(logits, 0, {}), 1);
  std::vector<int> count(5);
  for (int i = 0; i < 200; ++i) {
    ++count[static_cast<size_t>(sample_token(logits, i, {.temperature = 1}))];
  }
  EXPECT_EQ(count[1] + count[3], 200);
  EXPECT_GT(count[1], 50);
  EXPECT_GT(count[3], 50);
}

TEST(SampleToken, NothingToDrawFromIsAnError) {
  const std::vector<float> logits = {NAN, -INFINITY, NAN};
  EXPECT_THROW(sample_token(logits, 3, {}), Error);
  EXPECT_THROW(sample_token(logits, 3, {.temperature = 1}), Error);
}

TEST(SampleToken, TheLikeliestTokenSurvivesEveryCut) {
  const std::vector<float> logits = {0, 4, 4, 1};
  const SamplingSettings harsh{.temperature = 1e-300, .top_p = 1e-300, .top_k = 1, .min_p = 1};
  for (int i = 0; i < 50; ++i) EXPECT_EQ(sample_token(logits, i, harsh), 1);
}

// CTRL's rule by hand: logits 2 and -2 of seen tokens become 2/1.5 and -3.
TEST(SampleToken, RepetitionPenaltyCountsThePromptAndDividesOnce) {
  const std::vector<float> logits = {2, -2, 1.4f, -2.5f};
  const std::vector<TokenId> history = {0, 0, 0, 1};
  const TokenHistory all_prompt{history, 4};
  EXPECT_EQ(sample_token(logits, 4, {.repetition_penalty = 1.4}, all_prompt), 0);
  EXPECT_EQ(sample_token(logits, 4, {.repetition_penalty = 1.5}, all_prompt), 2);
  // Of the OpenAI controls the prompt is no part; behind it, three times 0.2 bring 2 to 1.4.
  EXPECT_EQ(sample_token(logits, 4, {.presence_penalty = 5}, all_prompt), 0);
  EXPECT_EQ(sample_token(logits, 4, {.presence_penalty = 5}, {history, 0}), 2);
  EXPECT_EQ(sample_token(logits, 4, {.frequency_penalty = 0.19}, {history, 0}), 0);
  EXPECT_EQ(sample_token(logits, 4, {.frequency_penalty = 0.21}, {history, 0}), 2);
  EXPECT_EQ(sample_token(logits, 4, {.frequency_penalty = 0.21}, {history, 1}), 0);
}

TEST(SampleToken, RefusesImpossibleSettings) {
  const std::vector<float> logits = {0, 1};
  EXPECT_THROW(sample_token(logits, 0, {.temperature = -1}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = NAN}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = 1, .top_p = 0}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.temperature = 1, .top_p = 1.5}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.top_k = -1}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.min_p = -0.1}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.min_p = NAN}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.repetition_penalty = 0}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.presence_penalty = INFINITY}), Error);
  EXPECT_THROW(sample_token(logits, 0, {.logit_bias = {{0, NAN}}}), Error);
  try {
    sample_token(logits, 0, {.logit_bias = {{2, 1}}});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "logit_bias names token 2; the vocabulary has the ids 0 to 1");
  }
}

}  // namespace
}  // namespace ds4::ops
