// Sessions: prefix reuse, stopping, refusals, the memory estimate.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/api/session.h"
#include "engine/base/error.h"
#include "tests/unit/engine/golden_file.h"

namespace ds4 {
namespace {

std::filesystem::path model_dir() {
  return golden::vectors_dir() / "models/odd";
}

EngineSettings small_settings() {
  EngineSettings settings;
  settings.context_length = 600;
  settings.prefill_chunk = 64;
  settings.sequences = 3;
  settings.threads = 2;
  return settings;
}

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_ = Engine::load(model_dir(), small_settings());
    tokens_ = golden::read_tokens(model_dir() / "tokens.json");
    tokens_.resize(600);
  }
  std::span<const TokenId> first(size_t n) const { return std::span(tokens_).first(n); }
  std::vector<float> cold(size_t n) {
    const auto session = engine_->new_session();
    session->extend_to(first(n));
    const auto logits = session->logits();
    return {logits.begin(), logits.end()};
  }
  static std::vector<float> copy(const Session& session) {
    return {session.logits().begin(), session.logits().end()};
  }
  template <class Call>
  static ErrorCode code_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_FALSE(std::string(error.hint()).empty());
      return error.code();
    }
    ADD_FAILURE() << "nothing thrown";
    return ErrorCode::kIo;
  }

  std::unique_ptr<Engine> engine_;
  std::vector<TokenId> tokens_;
};

TEST_F(SessionTest, ReusedPrefixEqualsColdStart) {
  const auto session = engine_->new_session();
  for (const size_t n : {3u, 4u, 127u, 128u, 129u, 300u, 511u, 600u}) {
    const int64_t before = session->length();
    session->extend_to(first(n));
    EXPECT_EQ(session->reused(), before);
    EXPECT_EQ(session->length(), static_cast<int64_t>(n));
    EXPECT_EQ(copy(*session), cold(n)) << n << " tokens";
  }
}

TEST_F(SessionTest, AppendEqualsPrefill) {
  const auto session = engine_->new_session();
  session->extend_to(first(250));
  for (size_t n = 250; n < 262; ++n) session->append(tokens_[n]);
  EXPECT_EQ(copy(*session), cold(262));
}

TEST_F(SessionTest, AnotherPromptStartsOver) {
  const auto session = engine_->new_session();
  session->extend_to(first(300));
  std::vector<TokenId> other(tokens_.begin(), tokens_.begin() + 200);
  other[0] = (other[0] + 1) % 97;
  session->extend_to(other);
  EXPECT_EQ(session->reused(), 0);
  session->extend_to(first(200));
  EXPECT_EQ(session->reused(), 0);
  EXPECT_EQ(copy(*session), cold(200));
}

TEST_F(SessionTest, TheSamePromptCostsNothing) {
  const auto session = engine_->new_session();
  session->extend_to(first(100));
  const auto logits = copy(*session);
  int calls = 0;
  session->extend_to(first(100), nullptr, [&](int64_t, std::span<const float>) { ++calls; });
  EXPECT_EQ(session->reused(), 100);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(copy(*session), logits);
}

TEST_F(SessionTest, SessionsDoNotDisturbEachOther) {
  const auto a = engine_->new_session();
  const auto b = engine_->new_session();
  a->extend_to(first(90));
  std::vector<TokenId> other(tokens_.rbegin(), tokens_.rbegin() + 333);
  b->extend_to(other);
  a->extend_to(first(400));
  EXPECT_EQ(copy(*a), cold(400));
}

TEST_F(SessionTest, StoppingKeepsWhatIsDone) {
  const auto session = engine_->new_session();
  std::vector<int64_t> seen;
  const auto stop_at = [&](int64_t done) {
    seen.push_back(done);
    return done < 128;
  };
  EXPECT_FALSE(session->extend_to(first(400), stop_at));
  EXPECT_EQ(seen, (std::vector<int64_t>{64, 128}));
  EXPECT_EQ(session->length(), 128);
  EXPECT_EQ(copy(*session), cold(128));
  EXPECT_TRUE(session->extend_to(first(400)));
  EXPECT_EQ(session->reused(), 128);
  EXPECT_EQ(copy(*session), cold(400));
}

TEST_F(SessionTest, EveryPositionReachesTheSink) {
  const auto session = engine_->new_session();
  int64_t next = 0;
  std::vector<float> last;
  session->extend_to(first(150), nullptr, [&](int64_t position, std::span<const float> rows) {
    EXPECT_EQ(position, next);
    next += static_cast<int64_t>(rows.size()) / 97;
    last.assign(rows.end() - 97, rows.end());
  });
  EXPECT_EQ(next, 150);
  EXPECT_EQ(last, copy(*session));
}

TEST_F(SessionTest, SamplesFromTheLastLogits) {
  const auto session = engine_->new_session();
  session->extend_to(first(20));
  const auto logits = copy(*session);
  EXPECT_EQ(session->sample({}), std::max_element(logits.begin(), logits.end()) - logits.begin());
  const SamplingSettings warm{.temperature = 1, .top_p = 0.9, .seed = 3, .sequence = 1};
  EXPECT_EQ(session->sample(warm), session->sample(warm));
  EXPECT_EQ(session->length(), 20);
}

TEST_F(SessionTest, RefusesBadTokens) {
  const auto session = engine_->new_session();
  session->extend_to(first(10));
  const std::vector<TokenId> outside = {1, 97};
  const std::vector<TokenId> negative = {1, -1};
  std::vector<TokenId> endless(601, 1);
  EXPECT_EQ(code_of([&] { session->extend_to({}); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { session->extend_to(outside); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { session->extend_to(negative); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { session->extend_to(endless); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { session->append(97); }), ErrorCode::kUsage);
  EXPECT_EQ(session->length(), 10) << "a refusal leaves the timeline alone";
  session->extend_to(first(600));
  EXPECT_EQ(code_of([&] { session->append(1); }), ErrorCode::kUsage);
}

TEST_F(SessionTest, RefusesSettingsThatCannotWork) {
  const auto load = [](auto change) {
    EngineSettings settings = small_settings();
    change(settings);
    Engine::load(model_dir(), settings);
  };
  EXPECT_EQ(code_of([&] { load([](EngineSettings& s) { s.context_length = 0; }); }),
            ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { load([](EngineSettings& s) { s.context_length = 2'000'000; }); }),
            ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { load([](EngineSettings& s) { s.prefill_chunk = 0; }); }),
            ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { load([](EngineSettings& s) { s.threads = -1; }); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { load([](EngineSettings& s) { s.device = Device::kCuda; }); }),
            ErrorCode::kMachine);
}

TEST(MemoryEstimateTest, NamesItsPartsAndFollowsTheContext) {
  EngineSettings settings = small_settings();
  const MemoryEstimate small = estimate_memory(model_dir(), settings);
  settings.context_length = 60'000;
  const MemoryEstimate large = estimate_memory(model_dir(), settings);
  int64_t sum = 0;
  std::vector<std::string> owners;
  for (const auto& part : small.parts) {
    owners.push_back(part.owner);
    sum += part.bytes;
  }
  EXPECT_EQ(owners,
            (std::vector<std::string>{"weights", "raw KV", "compressed KV", "indexer keys", "tails",
                                      "marks", "logits", "drafter", "activations"}));
  EXPECT_EQ(sum, small.total_bytes());
  EXPECT_EQ(small.parts[0].bytes, large.parts[0].bytes);
  EXPECT_GT(large.parts[2].bytes, 90 * small.parts[2].bytes);
  EXPECT_GT(large.parts[3].bytes, 90 * small.parts[3].bytes);
}

}  // namespace
}  // namespace ds4
