// Rounds of several sequences in one pass, with parts of newcomers' prompts beside them: every
// sequence gets the tokens and logits of one that decodes alone without drafts, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "engine/base/error.h"
#include "tests/unit/engine/session_support.h"

namespace ds4 {
namespace {
using namespace session_test;

std::filesystem::path folder(const std::string& name) {
  const std::filesystem::path drafts = golden::vectors_dir() / "drafts" / name;
  return std::filesystem::exists(drafts / "config.json") ? drafts : model_folder(name);
}

std::unique_ptr<Engine> load(const std::string& name, int sequences, int draft_tokens) {
  EngineSettings settings = settings_with(260, 48, sequences);
  settings.draft_tokens = draft_tokens;
  return Engine::load(folder(name), settings);
}

SamplingSettings random_sampling(Rng& rng) {
  SamplingSettings sampling;
  const double temperatures[] = {0, 0.7, 4, 30};
  sampling.temperature = temperatures[rng() % 4];
  sampling.seed = rng();
  if (rng() % 3 == 0) {
    sampling.top_k = 30;
    sampling.top_p = 0.95;
    sampling.repetition_penalty = 1.2;
    sampling.frequency_penalty = 0.5;
  }
  return sampling;
}

/// An answer in the making.
struct Answer {
  std::unique_ptr<Session> session;
  Tokens prompt = {};
  SamplingSettings sampling = {};
  size_t wanted = 0;  // tokens that are still to come
  Tokens tokens = {};

  bool reading() const { return session->length() < std::ssize(prompt); }
};

class Rounds : public ::testing::TestWithParam<std::string> {};

TEST_P(Rounds, EqualDecodingAlone) {
  const auto reference = load(GetParam(), 1, 0);
  const auto alone = reference->new_session();
  for (const int depth : {0, reference->info().most_drafts}) {
    SCOPED_TRACE(depth);
    const auto engine = load(GetParam(), 5, depth);
    const auto guessing = load(GetParam(), 1, depth);
    Rng rng(21);
    std::vector<Answer> answers;
    for (int i = 0; i < 5; ++i) answers.push_back({.session = engine->new_session()});
    int finished = 0, mixed = 0, crowded = 0;
    int64_t accepted = 0;
    while (finished < 20) {
      std::vector<Engine::Round> rounds;
      std::vector<Answer*> writing;
      std::vector<Engine::Addition> part;
      for (Answer& answer : answers) {
        if (answer.wanted == 0) {
          answer.prompt = random_tokens(rng, 1 + rng() % 120, reference->info().vocab_size);
          answer.sampling = random_sampling(rng);
          answer.wanted = 1 + rng() % 40;
          answer.tokens.clear();
          answer.session->rewind(answer.prompt);
        }
        if (!answer.reading()) {
          rounds.push_back({.session = answer.session.get(),
                            .sampling = &answer.sampling,
                            .max_tokens = static_cast<int64_t>(answer.wanted)});
          writing.push_back(&answer);
        } else if (part.empty()) {
          const int64_t most = 1 + rng() % 20;
          part.push_back({answer.session.get(), answer.session->next_part(answer.prompt, most)});
        }
      }
      engine->pass(rounds, part);
      mixed += !rounds.empty() && !part.empty();
      crowded += rounds.size() > 2;
      for (size_t i = 0; i < rounds.size(); ++i) {
        Answer& answer = *writing[i];
        const Tokens& got = rounds[i].tokens;
        ASSERT_FALSE(got.empty());
        ASSERT_LE(got.size(), answer.wanted);
        answer.tokens.insert(answer.tokens.end(), got.begin(), got.end());
        answer.wanted -= got.size();
        if (answer.wanted > 0) continue;
        ++finished;
        const auto& counts = answer.session->draft_counts().accepted;
        accepted += std::accumulate(counts.begin(), counts.end(), int64_t{0});
        alone->extend_to(answer.prompt);
        for (size_t t = 0; t < answer.tokens.size(); ++t) {
          const TokenId want = alone->sample(answer.sampling);
          ASSERT_EQ(answer.tokens[t], want) << "answer " << finished << ", token " << t;
          alone->append(want);
        }
        ASSERT_EQ(logits_of(*answer.session), logits_of(*alone)) << "answer " << finished;
        // The guesses, too, are those of a sequence alone.
        const auto guesser = guessing->new_session();
        guesser->extend_to(answer.prompt);
        for (size_t left = answer.tokens.size(); left > 0;) {
          left -= guesser->decode(answer.sampling, static_cast<int64_t>(left)).size();
        }
        EXPECT_EQ(answer.session->draft_counts().drafted, guesser->draft_counts().drafted);
        EXPECT_EQ(answer.session->draft_counts().accepted, guesser->draft_counts().accepted);
      }
    }
    EXPECT_GT(mixed, 10);
    EXPECT_GT(crowded, 10);
    EXPECT_EQ(accepted > 0, depth > 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Rounds,
                         ::testing::Values("odd", "bf16", "wide", "dspark_odd", "dspark_small"),
                         [](const auto& test) { return test.param; });

// More rows than the head takes at once.
TEST(RoundsOfMany, EqualDecodingAlone) {
  const auto reference = load("dspark_odd", 1, 0);
  const auto engine = load("dspark_odd", 9, reference->info().most_drafts);
  Rng rng(4);
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Engine::Round> rounds;
  std::vector<Tokens> prompts;
  const SamplingSettings sampling{.temperature = 30, .seed = 8};
  for (int i = 0; i < 9; ++i) {
    sessions.push_back(engine->new_session());
    prompts.push_back(random_tokens(rng, 20, engine->info().vocab_size));
    sessions.back()->extend_to(prompts.back());
    rounds.push_back({.session = sessions.back().get(), .sampling = &sampling, .max_tokens = 9});
  }
  engine->pass(rounds, {});
  const auto alone = reference->new_session();
  for (size_t i = 0; i < rounds.size(); ++i) {
    alone->extend_to(prompts[i]);
    for (const TokenId token : rounds[i].tokens) {
      ASSERT_EQ(token, alone->sample(sampling)) << i;
      alone->append(token);
    }
    EXPECT_EQ(logits_of(*sessions[i]), logits_of(*alone)) << i;
  }
}

TEST(RoundsOfTwo, OneThatEndsLeavesTheOtherAlone) {
  const auto engine = load("odd", 2, 2);
  Rng rng(5);
  const auto a = engine->new_session();
  const auto b = engine->new_session();
  a->extend_to(random_tokens(rng, 30, engine->info().vocab_size));
  b->extend_to(random_tokens(rng, 31, engine->info().vocab_size));
  const auto before = logits_of(*a);
  const SamplingSettings sampling;
  TokenId shown = -1;
  Engine::Round rounds[] = {{.session = a.get(),
                             .sampling = &sampling,
                             .drawn =
                                 [&](TokenId token) {
                                   shown = token;
                                   return false;
                                 }},
                            {.session = b.get(), .sampling = &sampling}};
  engine->pass(rounds, {});
  EXPECT_TRUE(rounds[0].tokens.empty());
  EXPECT_EQ(shown, std::max_element(before.begin(), before.end()) - before.begin());
  EXPECT_EQ(a->length(), 30);
  EXPECT_EQ(logits_of(*a), before);
  EXPECT_EQ(rounds[1].tokens.size(), 1u);
  EXPECT_EQ(b->length(), 32);
}

TEST(RoundsOfTwo, RefuseAndChangeNothing) {
  const auto engine = load("odd", 2, 2);
  Rng rng(6);
  const auto a = engine->new_session();
  const auto b = engine->new_session();
  const Tokens tokens = random_tokens(rng, 30, engine->info().vocab_size);
  a->extend_to(tokens);
  b->extend_to(random_tokens(rng, 260, engine->info().vocab_size));  // full
  const SamplingSettings sampling;
  const Tokens much(46, 1);  // 48 rows in all, of which a round may need 3
  const auto refused = [&](std::vector<Engine::Round> rounds,
                           const std::vector<Engine::Addition>& additions) {
    try {
      engine->pass(rounds, additions);
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
    }
    EXPECT_EQ(a->length(), 30);
    EXPECT_EQ(b->length(), 260);
  };
  const Engine::Round of_a{.session = a.get(), .sampling = &sampling, .max_tokens = 9};
  refused({of_a, {.session = b.get(), .sampling = &sampling}}, {});
  refused({{.session = a.get(), .sampling = &sampling, .max_tokens = 0}}, {});
  b->rewind(Tokens{1});
  const auto c = logits_of(*a);
  std::vector<Engine::Round> rounds = {of_a};
  EXPECT_THROW(engine->pass(rounds, std::vector<Engine::Addition>{{b.get(), much}}), Error);
  EXPECT_EQ(logits_of(*a), c);
  EXPECT_EQ(a->rewind(std::span(tokens).first(28)), 27);
  EXPECT_TRUE(a->logits().empty());
  EXPECT_THROW(engine->pass(rounds, {}), Error) << "nothing to draw from";
}

// Parts of a prompt leave the marks that extend_to() leaves.
TEST(PromptParts, LeaveTheSessionAsAWholePromptDoes) {
  const auto engine = load("odd", 2, 0);
  Rng rng(7);
  const auto whole = engine->new_session();
  const auto parts = engine->new_session();
  const Tokens trunk = random_tokens(rng, 150, engine->info().vocab_size);
  for (const size_t shared : {0u, 150u, 150u, 90u, 90u, 40u, 150u, 120u}) {
    Tokens prompt(trunk.begin(), trunk.begin() + static_cast<std::ptrdiff_t>(shared));
    const Tokens rest = random_tokens(rng, 60, engine->info().vocab_size);
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    whole->extend_to(prompt);
    EXPECT_EQ(parts->rewind(prompt), whole->reused());
    while (parts->length() < std::ssize(prompt)) {
      const auto part = parts->next_part(prompt, 1000);
      ASSERT_FALSE(part.empty());
      engine->append(std::vector<Engine::Addition>{{parts.get(), part}});
    }
    EXPECT_TRUE(parts->next_part(prompt, 9).empty());
    EXPECT_EQ(logits_of(*parts), logits_of(*whole));
  }
}

}  // namespace
}  // namespace ds4
