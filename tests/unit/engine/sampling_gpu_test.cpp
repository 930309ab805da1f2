// Draws on the GPU against the definition on the host (ops::draw_token, which sampling_test.cpp
// compares with a second implementation), bit for bit: whatever the logits, settings and history,
// alone and several in one call.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/base/error.h"
#include "engine/ops/sampling.h"
#include "tests/unit/engine/test_device.h"

namespace ds4 {
namespace {

using Rng = std::mt19937_64;

constexpr int64_t kMostVocabulary = 1 << 18;  // that the back end takes

template <class T>
T one_of(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng() % values.size()];
}

/// Smooth, full of ties, or nearly equal; with some or only values that no draw may choose.
std::vector<float> random_logits(Rng& rng, int64_t vocab) {
  std::vector<float> logits(static_cast<size_t>(vocab));
  std::normal_distribution<float> normal(0, one_of(rng, {1e-3F, 1.0F, 3.0F, 20.0F, 1e4F}));
  const float grid = one_of(rng, {0.0F, 0.0F, 0.25F, 4.0F});
  for (float& logit : logits) {
    logit = normal(rng);
    if (grid > 0) logit = std::round(logit / grid) * grid;
  }
  const auto sprinkle = [&](float value, uint64_t every) {
    for (size_t i = rng() % every; i < logits.size(); i += 1 + rng() % every) logits[i] = value;
  };
  const uint64_t kind = rng() % 12;
  if (kind == 0) logits.assign(logits.size(), 1.5F);
  if (kind == 1) sprinkle(INFINITY, 50);
  if (kind == 2) logits.assign(logits.size(), NAN);
  if (kind == 2 || kind > 7) sprinkle(-INFINITY, 20);
  if (kind > 9) sprinkle(NAN, 3);
  return logits;
}

struct Case {
  std::vector<float> logits;
  SamplingSettings settings;
  std::vector<TokenId> tokens, ahead;
  int64_t n_prompt = 0;
  int64_t position = 0;

  TokenHistory history() const { return {tokens, n_prompt, ahead}; }
};

Case random_case(Rng& rng, int64_t vocab) {
  Case c;
  c.logits = random_logits(rng, vocab);
  SamplingSettings& s = c.settings;
  s.temperature = one_of(rng, {0.0, 1e-300, 1e-3, 0.1, 0.7, 1.0, 1.0, 2.0, 30.0, 1e6, 1e300});
  if (rng() % 2) s.top_k = one_of<int64_t>(rng, {1, 2, 5, 40, 1000, vocab - 1, vocab, vocab + 5});
  if (s.top_k < 0) s.top_k = 0;
  if (rng() % 2) {
    s.top_p = one_of(rng, {1e-300, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, std::nextafter(1.0, 0.0)});
  }
  if (rng() % 3 == 0) s.min_p = one_of(rng, {1e-12, 1e-3, 0.05, 0.3, 1.0});
  s.seed = rng();
  s.sequence = rng() % 4;
  c.position = static_cast<int64_t>(rng() >> (1 + rng() % 62));
  const auto token = [&] { return static_cast<TokenId>(rng() % static_cast<uint64_t>(vocab)); };
  if (rng() % 3 == 0) {
    for (uint64_t i = rng() % 40; i > 0; --i) {
      s.logit_bias.push_back({token(), one_of(rng, {-1000.0F, -0.3F, 0.7F, 5.0F, 1000.0F})});
    }
    if (!s.logit_bias.empty()) s.logit_bias.push_back(s.logit_bias.front());
  }
  if (rng() % 3 == 0) s.repetition_penalty = one_of(rng, {0.5, 1.1, 1.7});
  if (rng() % 3 == 0) s.presence_penalty = one_of(rng, {-2.0, 0.4});
  if (rng() % 3 == 0) s.frequency_penalty = one_of(rng, {-0.1, 0.3, 1e308});
  for (uint64_t i = rng() % 3000; i > 0; --i) c.tokens.push_back(token());
  c.n_prompt = static_cast<int64_t>(rng() % (c.tokens.size() + 1));
  for (uint64_t i = rng() % 4; i > 0; --i) c.ahead.push_back(token());
  return c;
}

struct Tally {
  int cases = 0;
  int none = 0;
  int sampled = 0;
  int sensitive = 0;  // another random number would have been noticed
};

/// Random draws in `calls` calls each; stops at the first difference.
void compare(std::initializer_list<std::pair<int64_t, int>> calls_of, Tally& tally) {
  const auto backend = ops::make_cuda_backend(Precision::kReference);
  Rng rng(3);
  for (const auto& [vocab, calls] : calls_of) {
    for (int call = 0; call < calls; ++call) {
      std::vector<Case> made;
      std::vector<ops::Buffer> memory;
      std::vector<ops::Draw> draws;
      for (uint64_t i = 1 + rng() % 10; i > 0; --i) made.push_back(random_case(rng, vocab));
      for (const Case& c : made) {
        memory.push_back(backend->allocate(vocab * 4));
        backend->write(std::as_bytes(std::span(c.logits)), memory.back().data.get());
        draws.push_back({{memory.back().data.get(), vocab}, c.position, &c.settings, c.history()});
      }
      std::vector<TokenId> tokens(draws.size(), -7);
      backend->sample(draws, tokens);
      for (size_t i = 0; i < made.size(); ++i) {
        const Case& c = made[i];
        const TokenId want = ops::draw_token(c.logits, c.position, c.settings, c.history());
        ASSERT_EQ(tokens[i], want)
            << "vocabulary " << vocab << ", call " << call << ", draw " << i << ": temperature "
            << c.settings.temperature << ", top_k " << c.settings.top_k << ", top_p "
            << c.settings.top_p << ", min_p " << c.settings.min_p;
        ++tally.cases;
        tally.none += want == ops::kNoToken;
        if (want == ops::kNoToken || c.settings.temperature == 0) continue;
        ++tally.sampled;
        tally.sensitive +=
            ops::draw_token(c.logits, c.position ^ 1, c.settings, c.history()) != want;
      }
    }
  }
}

TEST(SampleOnTheGpu, EqualsTheDefinition) {
  Tally tally;
  compare({{1, 10},
           {2, 20},
           {5, 40},
           {97, 200},
           {1023, 200},
           {1025, 100},
           {4099, 100},
           {129280, 40},
           {kMostVocabulary, 6}},
          tally);
  std::printf("[  draws   ] %d equal; %d without a token, %d sampled, %d of them by chance\n",
              tally.cases, tally.none, tally.sampled, tally.sensitive);
  EXPECT_GT(tally.cases, 3000);
  EXPECT_GT(tally.none, 50);
  EXPECT_GT(tally.sensitive, tally.sampled / 4);
}

// Every kernel, small enough for tools that slow it down a hundredfold.
TEST(SampleOnTheGpu, AFewEqualTheDefinition) {
  Tally tally;
  compare({{97, 5}, {2049, 5}}, tally);
  EXPECT_GT(tally.sensitive, 5);
}

TEST(SampleOnTheGpu, RefusesAsTheHostDoes) {
  const auto backend = ops::make_cuda_backend(Precision::kReference);
  const auto refused = [&](int64_t vocab, const SamplingSettings& settings) {
    const ops::Buffer memory = backend->allocate(vocab * 4);
    const ops::Draw draw{{memory.data.get(), vocab}, 0, &settings, {}};
    TokenId token = 0;
    EXPECT_THROW(backend->sample({&draw, 1}, {&token, 1}), Error);
  };
  refused(10, {.temperature = -1});
  refused(10, {.logit_bias = {{10, 1}}});
  refused(kMostVocabulary + 1, {});
}

}  // namespace
}  // namespace ds4
