// Speculative decoding gives the tokens of plain decoding, greedy and sampled, on random models of
// both drafting forms. Random models agree with nothing at low temperature; at a high one draft and
// model are both nearly uniform, so that the common random number makes many guesses right: the
// temperatures used here cover every share of accepted drafts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <random>

#include "engine/api/session.h"
#include "engine/base/error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/test_device.h"

namespace ds4 {
namespace {
namespace fs = std::filesystem;

fs::path model_dir(const std::string& name) {
  const fs::path own = golden::vectors_dir() / "drafts" / name;
  return fs::exists(own / "config.json") ? own : golden::vectors_dir() / "models" / name;
}

std::unique_ptr<Engine> load(const std::string& name, int draft_tokens, int chunk = 64,
                             int64_t context = 2200) {
  EngineSettings settings;
  settings.device = golden::kTestDevice;
  settings.context_length = context;
  settings.prefill_chunk = chunk;
  settings.threads = 1;
  settings.draft_tokens = draft_tokens;
  return Engine::load(model_dir(name), settings);
}

std::vector<TokenId> random_tokens(std::mt19937& random, size_t n, int64_t vocab) {
  std::vector<TokenId> tokens(n);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % static_cast<size_t>(vocab));
  return tokens;
}

/// `count` tokens behind what the session holds, one pass each.
std::vector<TokenId> plain(Session& session, const SamplingSettings& sampling, size_t count) {
  std::vector<TokenId> tokens;
  while (tokens.size() < count) {
    tokens.push_back(session.sample(sampling));
    session.append(tokens.back());
  }
  return tokens;
}

std::vector<TokenId> speculative(Session& session, const SamplingSettings& sampling, size_t count) {
  std::vector<TokenId> tokens;
  while (tokens.size() < count) {
    const auto round = session.decode(sampling, static_cast<int64_t>(count - tokens.size()));
    EXPECT_FALSE(round.empty());
    if (round.empty()) break;
    tokens.insert(tokens.end(), round.begin(), round.end());
  }
  return tokens;
}

std::vector<float> copy(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

int64_t sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

SamplingSettings sampling_at(double temperature, uint64_t seed) {
  SamplingSettings sampling;
  sampling.temperature = temperature;
  sampling.seed = seed;
  return sampling;
}

// Every link of the chain, and controls that look at the tokens of the round itself.
SamplingSettings controlled(SamplingSettings sampling) {
  sampling.top_k = 30;
  sampling.top_p = 0.95;
  sampling.min_p = 0.001;
  sampling.repetition_penalty = 1.2;
  sampling.frequency_penalty = 0.5;
  sampling.presence_penalty = 0.3;
  sampling.logit_bias = {{3, 1.5f}};
  return sampling;
}

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_FALSE(std::string(error.hint()).empty());
    return error.what();
  }
  ADD_FAILURE() << "nothing thrown";
  return "";
}

constexpr double kTemperatures[] = {0, 0.7, 4, 30};

class Decode : public ::testing::TestWithParam<std::string> {};

// 204 prompts over the models: 34 for each of the six.
TEST_P(Decode, DraftsChangeNoToken) {
  const auto reference = load(GetParam(), 0);
  const auto without = reference->new_session();
  const int64_t vocab = reference->info().vocab_size;
  for (int depth = 1; depth <= reference->info().most_drafts; ++depth) {
    const auto engine = load(GetParam(), depth);
    const auto session = engine->new_session();
    std::mt19937 random(11);
    int64_t drafted = 0;
    int64_t accepted = 0;
    for (uint64_t prompt = 0; prompt < 34; ++prompt) {
      const auto tokens = random_tokens(random, 1 + random() % 50, vocab);
      SamplingSettings sampling = sampling_at(kTemperatures[prompt % 4], prompt);
      if (prompt % 3 == 0) sampling = controlled(sampling);
      without->extend_to(tokens);
      session->extend_to(tokens);
      const auto want = plain(*without, sampling, 9);
      ASSERT_EQ(speculative(*session, sampling, 9), want) << "prompt " << prompt;
      EXPECT_EQ(copy(*session), copy(*without));
      const DraftCounts& counts = session->draft_counts();
      EXPECT_EQ(counts.rounds + sum(counts.accepted), 9);
      ASSERT_EQ(counts.accepted.size(), static_cast<size_t>(depth));
      for (size_t i = 0; i < counts.accepted.size(); ++i) {
        EXPECT_LE(counts.accepted[i], counts.drafted[i]);
        EXPECT_LE(counts.accepted[i], counts.accepted[i == 0 ? 0 : i - 1]);
      }
      drafted += sum(counts.drafted);
      accepted += sum(counts.accepted);
    }
    // Neither all nor nothing, or the test would see one path only.
    EXPECT_GT(accepted, drafted / 40) << "depth " << depth;
    EXPECT_LT(accepted, drafted) << "depth " << depth;
  }
}

// Around the window, the blocks of both compressors, the selection's limit, one chunk and the next.
TEST_P(Decode, DraftsChangeNoTokenAtBorders) {
  const auto reference = load(GetParam(), 0);
  const auto engine = load(GetParam(), reference->info().most_drafts);
  const auto without = reference->new_session();
  const auto session = engine->new_session();
  std::mt19937 random(5);
  const auto tokens = random_tokens(random, 2100, reference->info().vocab_size);
  uint64_t seed = 0;
  for (const size_t n : {1u,   2u,   3u,    4u,    5u,    22u,   24u,   26u,   33u,   63u,
                         65u,  120u, 123u,  124u,  125u,  126u,  127u,  128u,  129u,  252u,
                         255u, 256u, 2046u, 2047u, 2048u, 2049u, 2050u, 2051u, 2052u, 2053u}) {
    const SamplingSettings sampling = sampling_at(kTemperatures[seed % 4], seed);
    ++seed;
    without->extend_to(std::span(tokens).first(n));
    session->extend_to(std::span(tokens).first(n));
    ASSERT_EQ(speculative(*session, sampling, 8), plain(*without, sampling, 8)) << n << " tokens";
    EXPECT_EQ(copy(*session), copy(*without)) << n << " tokens";
  }
}

// A chunk of one token leaves the rings no more room than a rejected draft needs.
TEST_P(Decode, SmallChunksLeaveEnoughRoom) {
  const auto reference = load(GetParam(), 0);
  const auto engine = load(GetParam(), reference->info().most_drafts, /*chunk=*/1);
  const auto without = reference->new_session();
  const auto session = engine->new_session();
  std::mt19937 random(6);
  const auto tokens = random_tokens(random, 70, reference->info().vocab_size);
  without->extend_to(tokens);
  session->extend_to(tokens);
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const SamplingSettings sampling = sampling_at(kTemperatures[seed % 4], seed);
    ASSERT_EQ(speculative(*session, sampling, 11), plain(*without, sampling, 11)) << seed;
  }
  EXPECT_EQ(copy(*session), copy(*without));
}

TEST_P(Decode, GoesBackAndOnLikeAColdSession) {
  const auto reference = load(GetParam(), 0);
  const auto engine = load(GetParam(), reference->info().most_drafts);
  const auto session = engine->new_session();
  std::mt19937 random(7);
  const auto vocab = static_cast<TokenId>(reference->info().vocab_size);
  const auto tokens = random_tokens(random, 300, vocab);
  for (uint64_t step = 0; step < 12; ++step) {
    const size_t n = 1 + random() % tokens.size();
    auto prompt = std::vector<TokenId>(tokens.begin(), tokens.begin() + static_cast<long>(n));
    if (step % 2) prompt.back() = (prompt.back() + 1) % vocab;
    const SamplingSettings sampling = sampling_at(kTemperatures[step % 4], step);
    session->extend_to(prompt);
    const auto without = reference->new_session();
    without->extend_to(prompt);
    ASSERT_EQ(speculative(*session, sampling, 7), plain(*without, sampling, 7)) << n << " tokens";
  }
}

TEST_P(Decode, SessionsKeepTheirDraftsApart) {
  const auto reference = load(GetParam(), 0);
  EngineSettings settings = reference->settings();
  settings.draft_tokens = reference->info().most_drafts;
  settings.sequences = 2;
  const auto engine = Engine::load(model_dir(GetParam()), settings);
  std::mt19937 random(12);
  const auto vocab = reference->info().vocab_size;
  const std::vector<TokenId> prompts[] = {random_tokens(random, 30, vocab),
                                          random_tokens(random, 41, vocab)};
  const std::vector<TokenId> next[] = {random_tokens(random, 3, vocab),
                                       random_tokens(random, 1, vocab)};
  std::unique_ptr<Session> sessions[] = {engine->new_session(), engine->new_session()};
  for (int i = 0; i < 2; ++i) sessions[i]->extend_to(prompts[i]);
  const Engine::Addition additions[] = {{sessions[0].get(), next[0]}, {sessions[1].get(), next[1]}};
  engine->append(additions);
  std::vector<TokenId> got[2];
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 2; ++i) {
      const auto more = sessions[i]->decode(sampling_at(20, 3), 10);
      got[i].insert(got[i].end(), more.begin(), more.end());
    }
  }
  for (int i = 0; i < 2; ++i) {
    const auto without = reference->new_session();
    without->extend_to(prompts[i]);
    for (const TokenId token : next[i]) without->append(token);
    EXPECT_GT(sum(sessions[i]->draft_counts().accepted), 0);
    EXPECT_EQ(got[i], plain(*without, sampling_at(20, 3), got[i].size())) << "session " << i;
  }
}

TEST_P(Decode, EndsWithAStopTokenInsideTheGuesses) {
  const auto engine = load(GetParam(), load(GetParam(), 0)->info().most_drafts);
  const auto session = engine->new_session();
  std::mt19937 random(8);
  int inside = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto prompt = random_tokens(random, 3 + seed, engine->info().vocab_size);
    const SamplingSettings sampling = sampling_at(30, seed);
    session->extend_to(prompt);
    const auto whole = session->decode(sampling, 10);
    if (whole.size() < 3) continue;
    ++inside;
    // The first token that is not met earlier in the round.
    const auto at = std::find_if(whole.begin() + 1, whole.end(), [&](TokenId token) {
      return std::find(whole.begin(), whole.end(), token) == whole.begin() + 1;
    });
    if (at == whole.end()) continue;
    const std::vector<TokenId> stops = {-1, *at};
    session->extend_to(prompt);
    const auto cut = session->decode(sampling, 10, stops);
    EXPECT_EQ(cut, std::vector<TokenId>(whole.begin(), at + 1));
    EXPECT_EQ(session->length(), static_cast<int64_t>(prompt.size() + cut.size()));
    // Drawn first, a stop token is a round of its own.
    session->extend_to(prompt);
    EXPECT_EQ(session->decode(sampling, 10, {&whole[0], 1}).size(), 1u);
    EXPECT_EQ(sum(session->draft_counts().drafted), 0);
  }
  EXPECT_GE(inside, 5);
}

TEST_P(Decode, ShowsTheDrawnTokenFirstAndEndsThereWhenTold) {
  const auto engine = load(GetParam(), load(GetParam(), 0)->info().most_drafts, 64, /*context=*/40);
  const auto session = engine->new_session();
  std::mt19937 random(10);
  const auto prompt = random_tokens(random, 39, engine->info().vocab_size);
  session->extend_to(prompt);
  const auto logits = copy(*session);
  TokenId seen = -1;
  const auto refuse = [&](TokenId token) {
    seen = token;
    EXPECT_EQ(copy(*session), logits);
    return false;
  };
  EXPECT_TRUE(session->decode(sampling_at(20, 4), 5, {}, refuse).empty());
  EXPECT_EQ(session->length(), 39);
  EXPECT_EQ(session->draft_counts().rounds, 0);
  const auto round = session->decode(sampling_at(20, 4), 5, {}, [](TokenId) { return true; });
  EXPECT_EQ(round, std::vector<TokenId>{seen});
  // A full session can still draw.
  EXPECT_TRUE(session->decode({}, 1, {}, [](TokenId) { return false; }).empty());
}

TEST_P(Decode, NeverExceedsItsLimits) {
  const int most = load(GetParam(), 0)->info().most_drafts;
  const auto engine = load(GetParam(), most, 64, /*context=*/40);
  const auto session = engine->new_session();
  std::mt19937 random(9);
  const auto prompt = random_tokens(random, 20, engine->info().vocab_size);
  for (const int64_t limit : {1, 2, 3}) {
    session->extend_to(prompt);
    EXPECT_LE(session->decode(sampling_at(100, 1), limit).size(), static_cast<size_t>(limit));
  }
  session->extend_to(prompt);
  EXPECT_NE(refusal([&] { session->decode({}, 0); }).find("max_tokens"), std::string::npos);
  while (session->length() < 40) session->decode(sampling_at(100, 1), 100);
  EXPECT_EQ(session->length(), 40);
  const auto logits = copy(*session);
  refusal([&] { session->decode({}, 1); });
  EXPECT_EQ(copy(*session), logits);
}

INSTANTIATE_TEST_SUITE_P(Models, Decode,
                         ::testing::Values("odd", "wide", "bf16", "sharded", "dspark_odd",
                                           "dspark_small"),
                         [](const auto& test) { return test.param; });

// A trained model, whose greedy drafts are often right.
TEST(DecodeTiny, DraftsChangeNoToken) {
  const fs::path checkpoint = test_support::source_dir() / "checkpoints/tiny";
  if (!fs::exists(checkpoint / "config.json")) GTEST_SKIP() << "no checkpoints/tiny";
  std::vector<std::vector<TokenId>> prompts;
  for (const auto& entry : fs::directory_iterator(golden::vectors_dir() / "tiny")) {
    if (!fs::exists(entry.path() / "tokens.json")) continue;
    auto tokens = golden::read_tokens(entry.path() / "tokens.json");
    for (const size_t n : {tokens.size() / 3, tokens.size() / 2, tokens.size()}) {
      prompts.emplace_back(tokens.begin(),
                           tokens.begin() + static_cast<long>(std::min<size_t>(n, 700)));
    }
  }
  ASSERT_FALSE(prompts.empty());
  EngineSettings settings;
  settings.context_length = 800;
  settings.threads = 2;
  std::vector<std::vector<TokenId>> want;
  for (const int depth : {0, 2, 3}) {
    settings.draft_tokens = depth;
    const auto engine = Engine::load(checkpoint, settings);
    const auto session = engine->new_session();
    int64_t kept = 0;
    for (size_t i = 0; i < prompts.size(); ++i) {
      session->extend_to(prompts[i]);
      const SamplingSettings sampling = sampling_at(i % 2 ? 0.8 : 0, i);
      const auto tokens = speculative(*session, sampling, 20);
      kept += sum(session->draft_counts().accepted);
      if (depth == 0) {
        want.push_back(tokens);
      } else {
        EXPECT_EQ(tokens, want[i]) << "prompt " << i << ", depth " << depth;
      }
    }
    EXPECT_EQ(kept > 0, depth > 0);
  }
}

TEST(DecodeSettings, AreCheckedAgainstTheCheckpoint) {
  EXPECT_NE(refusal([] { load("one_swa", 1); }).find("no MTP blocks"), std::string::npos);
  EXPECT_NE(refusal([] { load("odd", 4); }).find("0 to 3"), std::string::npos);
  EXPECT_NE(refusal([] { load("odd", -1); }).find("0 to 3"), std::string::npos);
  EXPECT_NE(refusal([] { load("dspark_small", 5); }).find("0 to 4"), std::string::npos);
}

TEST(DecodeSettings, DraftsArePartOfTheMemoryPlan) {
  const auto drafter = [](const std::string& name, int draft_tokens) {
    EngineSettings settings;
    settings.draft_tokens = draft_tokens;
    for (const auto& part : estimate_memory(model_dir(name), settings).parts) {
      if (part.owner == "drafter") return part.bytes;
    }
    return int64_t{-1};
  };
  EXPECT_EQ(drafter("odd", 0), 0);
  // (window 24 + 8) rows: states of 4 * 72 values and one KV row of 32 + 16 + 1, padded to 56.
  EXPECT_EQ(drafter("odd", 2), 32 * (4 * 72 * 4 + 56));
  // (24 + 8 + block 5) KV rows in three blocks; means of three layers for a chunk of 512.
  EXPECT_EQ(drafter("dspark_odd", 5), 37 * 3 * 56 + 512 * 3 * 72 * 4);
}

// The quantile of the chi-square distribution that is exceeded with probability 0.001
// (Wilson-Hilferty).
double chi_square_limit(double freedom) {
  const double z = 3.0902;
  const double part = 2 / (9 * freedom);
  return freedom * std::pow(1 - part + z * std::sqrt(part), 3);
}

std::vector<double> softmax(std::span<const float> logits, double temperature) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const float x : logits) p.push_back(std::exp((x - top) / temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
  return p;
}

// The second token of a sampled answer follows sum_a p(a) p(b | a) exactly, although it is a kept
// guess in part of the cases.
TEST(DecodeDistribution, OfTheTokenBehindTheFirstIsTheModels) {
  constexpr double kTemperature = 6;
  constexpr int kSeeds = 3000;
  const auto engine = load("dspark_small", 1, 64, 64);
  const auto session = engine->new_session();
  std::mt19937 random(10);
  const auto vocab = static_cast<size_t>(engine->info().vocab_size);
  const auto prompt = random_tokens(random, 12, engine->info().vocab_size);
  session->extend_to(prompt);
  const auto first = softmax(session->logits(), kTemperature);
  std::vector<double> expected(vocab, 0);
  for (size_t a = 0; a < vocab; ++a) {
    auto longer = prompt;
    longer.push_back(static_cast<TokenId>(a));
    session->extend_to(longer);
    const auto second = softmax(session->logits(), kTemperature);
    for (size_t b = 0; b < vocab; ++b) expected[b] += kSeeds * first[a] * second[b];
  }

  std::vector<int> seen(vocab, 0);
  int guessed = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    session->extend_to(prompt);
    const auto sampling = sampling_at(kTemperature, static_cast<uint64_t>(seed));
    const auto round = session->decode(sampling, 2);
    guessed += round.size() == 2;
    ++seen[static_cast<size_t>(round.size() == 2 ? round[1] : session->sample(sampling))];
  }
  EXPECT_GT(guessed, kSeeds / 10);
  EXPECT_LT(guessed, kSeeds * 9 / 10);
  // Rare tokens share a bin.
  double statistic = 0;
  double rare_expected = 0;
  int rare_seen = 0;
  int bins = 0;
  const auto add_bin = [&](double e, int o) {
    statistic += (o - e) * (o - e) / e;
    ++bins;
  };
  for (size_t b = 0; b < vocab; ++b) {
    if (expected[b] >= 8) {
      add_bin(expected[b], seen[b]);
    } else {
      rare_expected += expected[b];
      rare_seen += seen[b];
    }
  }
  if (rare_expected > 0) add_bin(rare_expected, rare_seen);
  std::printf("[  chi2    ] %.1f with %d bins, limit %.1f; %d of %d guesses kept\n", statistic,
              bins, chi_square_limit(bins - 1), guessed, kSeeds);
  EXPECT_GE(bins, 10);
  EXPECT_LT(statistic, chi_square_limit(bins - 1));
}

}  // namespace
}  // namespace ds4
