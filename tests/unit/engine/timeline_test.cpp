// Going back: whatever way a timeline came about (rings, marks, partings, several sessions in one
// pass), its logits are a fresh session's, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/engine/session_support.h"

namespace ds4 {
namespace {

using namespace session_test;

// Depths around every boundary: blocks of 4 and 128, draft slack, windows, chunks.
constexpr int64_t kDepths[] = {1,   2,   3,   4,   5,   7,   8,   9,   10,  11,  12,
                               13,  16,  17,  24,  63,  64,  100, 126, 127, 128, 129,
                               130, 136, 137, 256, 257, 384, 511, 512, 513, 640, 1000};

struct Setup {
  const char* model;
  int64_t context;
  int chunk;
};
std::ostream& operator<<(std::ostream& out, const Setup& setup) {
  return out << setup.model << " context " << setup.context << " chunk " << setup.chunk;
}

class Depths : public ::testing::TestWithParam<Setup> {};
class Operations : public ::testing::TestWithParam<Setup> {};

// From one long timeline, back by each depth and on with other tokens.
TEST_P(Depths, GoingBackEqualsColdStart) {
  const auto [model, context, chunk] = GetParam();
  const Pair pair(model, settings_with(context, chunk));
  Rng rng(7);
  Tokens tokens = random_tokens(rng, static_cast<size_t>(context) - 150, pair.vocab());
  const auto session = pair.engine->new_session();
  session->extend_to(tokens);
  for (const int64_t depth : kDepths) {
    if (depth >= static_cast<int64_t>(tokens.size())) break;
    tokens.resize(tokens.size() - static_cast<size_t>(depth));
    session->extend_to(tokens);  // shorter than before
    EXPECT_LE(session->reused(), static_cast<int64_t>(tokens.size()));
    ASSERT_EQ(logits_of(*session), pair.cold(tokens)) << "back by " << depth;
    for (int i = 0; i < 9; ++i) session->append(static_cast<TokenId>(i));
    const Tokens other = random_tokens(rng, static_cast<size_t>(depth), pair.vocab());
    tokens.insert(tokens.end(), other.begin(), other.end());
    session->extend_to(tokens);
    ASSERT_EQ(logits_of(*session), pair.cold(tokens)) << "another way after " << depth;
  }
}

// Random extensions, returns, appends and stops, each checked against a fresh session.
TEST_P(Operations, InRandomOrderEqualColdStart) {
  const auto [model, context, chunk] = GetParam();
  const Pair pair(model, settings_with(context, chunk));
  Rng rng(static_cast<uint32_t>(context + chunk));
  const auto session = pair.engine->new_session();
  Tokens tokens;
  const auto up_to = [&](size_t n) { return n ? rng() % n : 0; };
  for (int step = 0; step < 40; ++step) {
    const size_t room = static_cast<size_t>(context) - tokens.size();
    switch (tokens.empty() ? 0 : rng() % 4) {
      case 0: {  // a new end behind a random part of what is there
        const bool near = rng() % 2;
        const size_t depth = near ? static_cast<size_t>(kDepths[up_to(std::size(kDepths))])
                                  : up_to(tokens.size() + 1);
        tokens.resize(tokens.size() - std::min(depth, tokens.size()));
        const size_t left = static_cast<size_t>(context) - tokens.size();
        const Tokens more =
            random_tokens(rng, 1 + up_to(std::min<size_t>(left, 700)), pair.vocab());
        tokens.insert(tokens.end(), more.begin(), more.end());
        tokens.resize(std::min(tokens.size(), static_cast<size_t>(context)));
        session->extend_to(tokens);
        break;
      }
      case 1: {  // tokens one by one
        const Tokens more = random_tokens(rng, std::min<size_t>(room, up_to(20)), pair.vocab());
        for (const TokenId token : more) session->append(token);
        tokens.insert(tokens.end(), more.begin(), more.end());
        break;
      }
      case 2: {  // shorter
        tokens.resize(1 + up_to(tokens.size()));
        session->extend_to(tokens);
        break;
      }
      default: {  // stopped after the first chunk
        tokens.resize(1 + up_to(tokens.size()));
        const Tokens more = random_tokens(
            rng, std::min<size_t>(static_cast<size_t>(context) - tokens.size(), up_to(300)),
            pair.vocab());
        tokens.insert(tokens.end(), more.begin(), more.end());
        session->extend_to(tokens, [](int64_t) { return false; });
        tokens.resize(static_cast<size_t>(session->length()));
      }
    }
    ASSERT_EQ(session->length(), static_cast<int64_t>(tokens.size()));
    if (!tokens.empty()) {
      ASSERT_EQ(logits_of(*session), pair.cold(tokens)) << "step " << step;
    }
  }
}

std::string setup_name(const ::testing::TestParamInfo<Setup>& test) {
  return std::string(test.param.model) + "_" + std::to_string(test.param.chunk);
}
INSTANTIATE_TEST_SUITE_P(Models, Depths,
                         ::testing::Values(Setup{"odd", 600, 1}, Setup{"odd", 800, 130},
                                           Setup{"one_csa", 2300, 512}, Setup{"one_hca", 1200, 128},
                                           Setup{"wide", 500, 128}),
                         setup_name);
INSTANTIATE_TEST_SUITE_P(Models, Operations,
                         ::testing::Values(Setup{"odd", 500, 1}, Setup{"odd", 700, 7},
                                           Setup{"odd", 1000, 130}, Setup{"odd", 2400, 512},
                                           Setup{"bf16", 800, 128}, Setup{"sharded", 600, 7},
                                           Setup{"one_csa", 2300, 130},
                                           Setup{"one_hca", 1200, 512}),
                         setup_name);

TEST(TimelineReuse, FewTokensAreTakenBackByTheRingsAlone) {
  const Pair pair("odd", settings_with(700, 64));
  Rng rng(1);
  Tokens tokens = random_tokens(rng, 500, pair.vocab());
  const auto session = pair.engine->new_session();
  for (const size_t depth : {1u, 3u, 8u}) {
    session->extend_to(tokens);
    Tokens other = tokens;
    for (size_t i = 500 - depth; i < 500; ++i) other[i] = (other[i] + 1) % 97;
    session->extend_to(other);
    EXPECT_EQ(session->reused(), static_cast<int64_t>(500 - depth - 1));
    tokens = other;
  }
}

TEST(TimelineReuse, ARepeatedPromptCostsNothingAfterItsAnswer) {
  const Pair pair("odd", settings_with(700, 64));
  Rng rng(2);
  const Tokens prompt = random_tokens(rng, 333, pair.vocab());
  const auto session = pair.engine->new_session();
  session->extend_to(prompt);
  const auto logits = logits_of(*session);
  for (int i = 0; i < 200; ++i) session->append(static_cast<TokenId>(i % 97));
  session->extend_to(prompt);
  EXPECT_EQ(session->reused(), 333);
  EXPECT_EQ(logits_of(*session), logits);
}

TEST(TimelineReuse, PromptsThatShareABeginningComputeItTwiceAtMost) {
  const Pair pair("odd", settings_with(1000, 512));
  Rng rng(3);
  const Tokens shared = random_tokens(rng, 301, pair.vocab());
  const auto session = pair.engine->new_session();
  for (int prompt = 0; prompt < 12; ++prompt) {
    Tokens tokens = shared;
    tokens.push_back(static_cast<TokenId>(prompt));  // here they part
    const Tokens rest = random_tokens(rng, 150, pair.vocab());
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    session->extend_to(tokens);
    EXPECT_EQ(session->reused(), prompt < 2 ? 0 : 301) << prompt;
    EXPECT_EQ(logits_of(*session), pair.cold(tokens));
  }
}

TEST(TimelineReuse, MarksStaySpreadOverALongTimeline) {
  const Pair pair("one_hca", settings_with(6000, 64));
  Rng rng(4);
  const Tokens tokens = random_tokens(rng, 6000, pair.vocab());
  for (const size_t part : {5500u, 4000u, 2500u, 1800u}) {
    const auto session = pair.engine->new_session();
    session->extend_to(tokens);
    Tokens other(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(part));
    other.push_back((tokens[part] + 1) % 41);
    session->extend_to(other);
    EXPECT_GE(session->reused(), static_cast<int64_t>(part) - 1400) << part;
  }
}

TEST(TimelineReuse, RewindSaysWhereToGoOn) {
  const Pair pair("odd", settings_with(700, 64));
  Rng rng(5);
  Tokens tokens = random_tokens(rng, 400, pair.vocab());
  const auto session = pair.engine->new_session();
  session->extend_to(tokens);
  EXPECT_EQ(session->rewind(tokens), 400);
  EXPECT_EQ(logits_of(*session), pair.cold(tokens));
  tokens[396] = (tokens[396] + 1) % 97;
  const int64_t kept = session->rewind(tokens);
  EXPECT_EQ(kept, 395);
  EXPECT_EQ(session->length(), kept);
  EXPECT_EQ(session->reused(), kept);
  for (size_t i = static_cast<size_t>(kept); i < tokens.size(); ++i) session->append(tokens[i]);
  EXPECT_EQ(logits_of(*session), pair.cold(tokens));
}

}  // namespace
}  // namespace ds4
