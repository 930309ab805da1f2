// What the drafters propose against the reference's logits, along one timeline with wrong guesses
// computed and taken back on the way.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/weights/weights.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/model_check.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {
namespace {
namespace fs = std::filesystem;

EngineSettings settings_for(Precision precision, int chunk) {
  EngineSettings settings;
  settings.precision = precision;
  settings.context_length = 400;
  settings.prefill_chunk = chunk;
  settings.draft_tokens = 3;
  return settings;
}

fs::path checkpoint_of(const fs::path& vectors) {
  if (fs::exists(vectors / "config.json")) return vectors;
  return vectors_dir() / "models" / vectors.filename();
}

// A timeline with a drafter, below the session: the test chooses what is run and taken back.
class DraftTimeline {
 public:
  DraftTimeline(const weights::ModelWeights& weights, const EngineSettings& settings)
      : backend_(make_test_backend(settings.precision, 2)),
        forward_(weights, *backend_, capacity(settings),
                 model::make_drafter(weights, *backend_, settings, capacity(settings))),
        cache_(*backend_, cache::plan_cache(weights.config, settings)),
        memory_(forward_.drafter()->new_memory()) {}

  void run(std::span<const TokenId> tokens, int64_t first) {
    const auto chunk = static_cast<size_t>(forward_.capacity());
    for (size_t done = 0; done < tokens.size(); done += chunk) {
      const auto part = tokens.subspan(done, std::min(chunk, tokens.size() - done));
      const model::SequenceRows rows{part, first + static_cast<int64_t>(done), &cache_, &memory_};
      forward_.run({&rows, 1});
    }
  }

  // The logits of each draft when `chosen` are drawn.
  std::vector<float> propose(std::span<const TokenId> timeline, TokenId newest,
                             std::span<const int64_t> chosen) {
    std::vector<float> logits;
    size_t drawn = 0;
    const auto draw = [&](std::span<const model::Guess> guesses) {
      EXPECT_EQ(guesses.size(), 1u);
      EXPECT_EQ(guesses[0].position, static_cast<int64_t>(timeline.size() + 1 + drawn));
      const auto values = backend_->read_floats(guesses[0].logits, guesses[0].logits.cols);
      logits.insert(logits.end(), values.begin(), values.end());
      return std::vector{static_cast<TokenId>(chosen[drawn++])};
    };
    const model::Proposal proposal{timeline, newest, static_cast<int>(chosen.size()), &memory_};
    forward_.propose({&proposal, 1}, draw);
    EXPECT_EQ(drawn, chosen.size());
    return logits;
  }

 private:
  // Small chunks must still take a step with its drafts.
  static int capacity(const EngineSettings& settings) {
    return std::max(settings.prefill_chunk, cache::kDraftRows);
  }

  std::unique_ptr<ops::Backend> backend_;
  model::Forward forward_;
  cache::KvCache cache_;
  model::DraftMemory memory_;
};

class Drafts : public ::testing::TestWithParam<std::string> {
 protected:
  struct Result {
    double median = 0;
    double worst = 0;
  };

  // Errors over all drafts relative to the largest logit, computed with chunks of `chunk`.
  Result compare(const char* set, Precision precision, int chunk) {
    const fs::path vectors = vectors_dir() / "drafts" / GetParam();
    const GoldenFile golden(vectors / "golden.safetensors");
    const weights::ModelWeights weights = weights::load_weights(checkpoint_of(vectors));
    const std::vector<TokenId> tokens = read_tokens(checkpoint_of(vectors) / "tokens.json");
    const auto positions = golden.integers("positions");
    const auto chosen = golden.integers("chosen");
    const std::vector<float> want = golden.floats(std::string(set) + "/logits");
    const size_t depth = chosen.size() / positions.size();
    const size_t vocab = static_cast<size_t>(weights.config.vocab_size);
    double largest = 0;
    for (const float w : want) largest = std::max(largest, std::fabs(double{w}));

    DraftTimeline timeline(weights, settings_for(precision, chunk));
    std::mt19937 random(7);
    std::vector<double> errors;
    size_t done = 0;
    for (size_t i = 0; i < positions.size(); ++i) {
      const auto drawn = static_cast<size_t>(positions[i]) + 1;  // the token not yet computed
      if (done < drawn) {
        timeline.run(std::span(tokens).subspan(done, drawn - done), static_cast<int64_t>(done));
      }
      // Another token drawn at first, computed and taken back: its pair must not be read again.
      const TokenId other = (tokens[drawn] + 1) % static_cast<TokenId>(vocab);
      timeline.propose(std::span(tokens).first(drawn), other, std::span(chosen).first(depth));
      timeline.run({&other, 1}, static_cast<int64_t>(drawn));
      const auto got = timeline.propose(std::span(tokens).first(drawn), tokens[drawn],
                                        std::span(chosen).subspan(i * depth, depth));
      if (got.size() != depth * vocab) return {INFINITY, INFINITY};
      for (size_t d = 0; d < depth; ++d) {
        double error = 0;
        for (size_t v = 0; v < vocab; ++v) {
          const float g = got[d * vocab + v];
          const float w = want[(i * depth + d) * vocab + v];
          error = std::max(error, std::isfinite(g) ? std::fabs(double{g} - w) : INFINITY);
        }
        errors.push_back(error / largest);
      }
      // Verified and refused: only the drawn token stays, or nothing.
      std::vector<TokenId> step = {tokens[drawn]};
      for (size_t d = 0; d < depth; ++d) step.push_back(static_cast<TokenId>(random() % vocab));
      timeline.run(step, static_cast<int64_t>(drawn));
      done = drawn + random() % 2;
    }
    std::sort(errors.begin(), errors.end());
    std::printf("[  error   ] %s %s, chunk %d: median %.1e, worst %.1e of the largest logit\n",
                GetParam().c_str(), set, chunk, errors[errors.size() / 2], errors.back());
    return {errors[errors.size() / 2], errors.back()};
  }
};

TEST_P(Drafts, MatchTheReference) {
  for (const int chunk : {1, 7, 512}) {
    EXPECT_LE(compare("f32", Precision::kF32, chunk).worst, kF32Tolerance);
    const Result reference = compare("reference_kv_fp8", Precision::kReference, chunk);
    EXPECT_LE(reference.median, kReferenceMedian);
    EXPECT_LE(reference.worst, kReferenceWorst);
  }
}

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(vectors_dir() / "drafts")) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, Drafts, ::testing::ValuesIn(folders()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace ds4::golden
