// Decoding steps that the CUDA back end records and replays give the bits of the same launches one
// by one: for one to four rows, one and two sequences, across the ends of compressed blocks and
// around the rings.
#include <gtest/gtest.h>

#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/forwarding.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/test_device.h"

namespace ds4::golden {
namespace {

// Every operation as a launch of its own: this base lets nothing be recorded.
class Unrecorded final : public ops::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
};

constexpr int64_t kContext = 700;

struct Outcome {
  std::vector<float> logits;                   // of all rows
  std::vector<std::vector<std::byte>> memory;  // of the first sequence in the end
};

// Each step adds `rows` tokens to every one of `sequences`, which stand at different positions, the
// last of them before `end`.
Outcome run_steps(const weights::ModelWeights& weights, std::unique_ptr<ops::Backend> owned,
                  const EngineSettings& settings, int rows, int sequences, int64_t end) {
  ops::Backend& backend = *owned;
  model::Forward forward(weights, backend, 64);
  const cache::CachePlan plan = cache::plan_cache(weights.config, settings);
  std::vector<std::unique_ptr<cache::KvCache>> caches;
  std::vector<int64_t> length;
  std::vector<TokenId> tokens(static_cast<size_t>(kContext));
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] =
        static_cast<TokenId>((i * 7919 + 13) % static_cast<size_t>(weights.config.vocab_size));
  }
  const auto part = [&](int64_t first, int n) {
    return std::span<const TokenId>(tokens).subspan(static_cast<size_t>(first),
                                                    static_cast<size_t>(n));
  };
  for (int s = 0; s < sequences; ++s) {
    caches.push_back(std::make_unique<cache::KvCache>(backend, plan));
    const int prompt = 33 + 17 * s;
    const model::SequenceRows all{part(0, prompt), 0, caches.back().get()};
    forward.run({&all, 1});
    length.push_back(prompt);
  }
  Outcome outcome;
  while (length.back() + rows <= end) {
    std::vector<model::SequenceRows> batch;
    for (int s = 0; s < sequences; ++s) {
      const auto i = static_cast<size_t>(s);
      batch.push_back({part(length[i], rows), length[i], caches[i].get()});
      length[i] += rows;
    }
    forward.run(batch);
    const std::span<const float> logits = forward.logits(0, rows * sequences);
    outcome.logits.insert(outcome.logits.end(), logits.begin(), logits.end());
  }
  for (const auto& pieces : {caches[0]->ring_pieces(length[0]), caches[0]->row_pieces(length[0])}) {
    for (const cache::Piece& piece : pieces) {
      outcome.memory.emplace_back(static_cast<size_t>(piece.bytes));
      backend.read(piece.data, outcome.memory.back());
    }
  }
  return outcome;
}

class Steps : public ::testing::TestWithParam<const char*> {};

void expect_equal_steps(const weights::ModelWeights& weights, Precision precision, int rows,
                        int sequences, int64_t end) {
  SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(sequences) + " sequences");
  EngineSettings settings;
  settings.device = Device::kCuda;
  settings.precision = precision;
  settings.context_length = kContext;
  settings.prefill_chunk = 64;
  const Outcome replayed =
      run_steps(weights, ops::make_cuda_backend(precision), settings, rows, sequences, end);
  const Outcome launched =
      run_steps(weights, std::make_unique<Unrecorded>(ops::make_cuda_backend(precision)), settings,
                rows, sequences, end);
  EXPECT_EQ(replayed.logits, launched.logits);
  EXPECT_EQ(replayed.memory, launched.memory);
}

TEST_P(Steps, ReplayedEqualLaunched) {
  const weights::ModelWeights weights =
      weights::load_weights(vectors_dir() / "models" / GetParam());
  for (const Precision precision : {Precision::kReference, Precision::kF32}) {
    for (const auto& [rows, sequences] :
         {std::pair{1, 1}, {2, 1}, {3, 1}, {4, 1}, {1, 2}, {3, 2}}) {
      expect_equal_steps(weights, precision, rows, sequences, 400);
    }
  }
}

// The same for a few steps, which end in time under compute-sanitizer too.
TEST_P(Steps, AFewReplayedEqualLaunched) {
  const weights::ModelWeights weights =
      weights::load_weights(vectors_dir() / "models" / GetParam());
  expect_equal_steps(weights, Precision::kReference, 1, 1, 39);
  expect_equal_steps(weights, Precision::kReference, 3, 2, 62);
}

INSTANTIATE_TEST_SUITE_P(Models, Steps, ::testing::Values("one_swa", "one_csa", "one_hca", "wide"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace ds4::golden
