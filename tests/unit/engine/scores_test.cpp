// Log-probabilities against long-double sums, and scores of continuations against rows fetched by
// hand; whatever was computed before.
#include "engine/api/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "engine/base/error.h"
#include "tests/unit/engine/golden_file.h"

namespace ds4 {
namespace {

long double brute_logprob(std::span<const float> logits, size_t token) {
  long double sum = 0;
  for (const float x : logits) {
    if (!std::isnan(x)) sum += std::exp(static_cast<long double>(x) - logits[token]);
  }
  return -std::log(sum);
}

TEST(LogProbabilities, EqualLongDoubleSums) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 6);
  for (const size_t vocab : {1u, 2u, 77u, 5000u}) {
    std::vector<float> logits(vocab);
    for (float& x : logits) x = normal(random);
    if (vocab > 10) logits[3] = NAN, logits[5] = -INFINITY;
    const TokenId last = static_cast<TokenId>(vocab) - 1;
    const Logprobs got = log_probabilities(logits, {{0, last}}, static_cast<int64_t>(vocab));
    EXPECT_NEAR(got.of[0], static_cast<double>(brute_logprob(logits, 0)), 1e-12);
    EXPECT_NEAR(got.of[1], static_cast<double>(brute_logprob(logits, vocab - 1)), 1e-12);
    ASSERT_EQ(got.top.size(), vocab);
    double sum = 0;
    for (size_t i = 0; i < vocab; ++i) {
      sum += std::exp(got.top[i].logprob);
      EXPECT_LE(got.top[i].logprob, got.top[i > 0 ? i - 1 : 0].logprob);
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(LogProbabilities, Edges) {
  const std::vector<float> ties = {1, 2, 2, 0};
  const Logprobs top = log_probabilities(ties, {}, 2);
  EXPECT_EQ(top.top[0].token, 1);
  EXPECT_EQ(top.top[1].token, 2);
  EXPECT_TRUE(log_probabilities(ties, {}, 0).top.empty());
  EXPECT_EQ(log_probabilities(ties, {}, 99).top.size(), 4u);
  const std::vector<float> infinite = {INFINITY, 3, INFINITY};
  const Logprobs shared = log_probabilities(infinite, {{0, 1}}, 0);
  EXPECT_NEAR(shared.of[0], -std::log(2.0), 1e-15);
  EXPECT_EQ(shared.of[1], -INFINITY);
  const std::vector<float> nothing = {NAN, -INFINITY};
  EXPECT_THROW(log_probabilities(nothing, {}, 1), Error);
}

TEST(ScoreContinuation, EqualsRowsFetchedByHand) {
  const auto folder = golden::vectors_dir() / "models/odd";
  EngineSettings settings;
  settings.context_length = 300;
  settings.prefill_chunk = 64;
  settings.sequences = 2;
  const auto engine = Engine::load(folder, settings);
  std::vector<TokenId> tokens = golden::read_tokens(folder / "tokens.json");
  tokens.resize(200);
  // By hand: a step at a time, in a session of its own.
  const auto slow = engine->new_session();
  std::vector<double> expected;
  for (const TokenId token : tokens) {
    if (slow->length() > 0) {
      expected.push_back(
          static_cast<double>(brute_logprob(slow->logits(), static_cast<size_t>(token))));
    }
    slow->append(token);
  }
  const auto whole = std::span<const TokenId>(tokens);
  for (const size_t n_prompt : {1u, 63u, 64u, 65u, 199u}) {
    const auto session = n_prompt == 64 ? engine->new_session() : nullptr;
    Session& used = session ? *session : *slow;  // also one that holds everything already
    const auto got = score_continuation(used, whole.first(n_prompt), whole.subspan(n_prompt));
    ASSERT_EQ(got.size(), tokens.size() - n_prompt);
    EXPECT_EQ(used.length(), std::ssize(tokens));
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], expected[n_prompt - 1 + i], 1e-9) << n_prompt << " + " << i;
    }
  }
  EXPECT_TRUE(score_continuation(*slow, whole.first(9), {}).empty());
  const std::vector<TokenId> foreign = {1 << 30};
  EXPECT_THROW(score_continuation(*slow, whole.first(9), foreign), Error);
}

}  // namespace
}  // namespace ds4
