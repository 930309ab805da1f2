// A synthetic checkpoint through the engine: finite logits, activations of order 1 in every layer,
// an even use of the experts. DS4_SYNTHETIC names another checkpoint than the small default, for
// example synthetic:k160:layers=4 (13 GiB); docs/synthetic.md has what that gave.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "engine/api/session.h"
#include "engine/model/forward.h"
#include "engine/ops/forwarding.h"
#include "engine/weights/weights.h"

namespace ds4 {
namespace {

constexpr const char* kDefault = "synthetic:k16:shape=micro";  // 43 layers
constexpr int kTokens = 256;

std::string checkpoint_name() {
  const char* given = std::getenv("DS4_SYNTHETIC");
  return given ? given : kDefault;
}

double rms(const float* x, int64_t n) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
  return std::sqrt(squares / static_cast<double>(n));
}

// Notes the streams' rms in front of every sublayer and how often each expert is chosen.
class Watching final : public ops::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  void mix_in(const weights::HyperConnection& hc, const ops::MixSettings& settings,
              std::span<const float> gain, int n, ops::Values h, ops::Floats mix,
              ops::Values x) override {
    stream_rms.push_back(rms(reinterpret_cast<const float*>(h.data), n * h.cols));
    ForwardingBackend::mix_in(hc, settings, gain, n, h, mix, x);
  }
  void route(const weights::Moe& moe, const ops::RouteSettings& settings, int n, ops::Ids tokens,
             ops::Floats logits, ops::Ids ids, ops::Floats route_weights) override {
    ForwardingBackend::route(moe, settings, n, tokens, logits, ids, route_weights);
    std::vector<int>& uses = expert_uses.emplace_back(static_cast<size_t>(moe.n_experts()));
    const auto* chosen = reinterpret_cast<const int32_t*>(ids.data);
    for (int64_t i = 0; i < n * ids.cols; ++i) ++uses[static_cast<size_t>(chosen[i])];
  }

  std::vector<double> stream_rms;
  std::vector<std::vector<int>> expert_uses;
};

TEST(Synthetic, ActivationsStayOfOrderOneAndExpertsEven) {
  const weights::ModelWeights model = weights::load_weights(checkpoint_name());
  Watching backend(ops::make_cpu_backend(0, Precision::kReference));
  model::Forward forward(model, backend, kTokens);
  EngineSettings settings;
  settings.context_length = settings.prefill_chunk = kTokens;
  const cache::KvCache cache(backend, cache::plan_cache(model.config, settings));
  std::vector<TokenId> tokens;
  for (int i = 0; i < kTokens; ++i) {
    tokens.push_back(static_cast<TokenId>(int64_t{i} * 7919 * 31 % model.config.vocab_size));
  }
  const model::SequenceRows rows{tokens, 0, &cache};
  forward.run({&rows, 1});
  const std::span<const float> logits = forward.logits(kTokens - 1, 1);
  EXPECT_TRUE(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }));
  const double logit_rms = rms(logits.data(), static_cast<int64_t>(logits.size()));
  EXPECT_GT(logit_rms, 0.5);
  EXPECT_LT(logit_rms, 8);

  ASSERT_EQ(backend.stream_rms.size(), 2 * model.layers.size());
  const auto [least, most] =
      std::minmax_element(backend.stream_rms.begin(), backend.stream_rms.end());
  EXPECT_GT(*least, 0.3);
  EXPECT_LT(*most, 3);

  size_t fewest = SIZE_MAX, n_experts = 0;
  double worst_share = 0;
  for (const std::vector<int>& uses : backend.expert_uses) {
    const auto distinct =
        static_cast<size_t>(std::count_if(uses.begin(), uses.end(), [](int n) { return n > 0; }));
    const double mean =
        std::accumulate(uses.begin(), uses.end(), 0.0) / static_cast<double>(uses.size());
    n_experts = uses.size();
    fewest = std::min(fewest, distinct);
    worst_share = std::max(worst_share, *std::max_element(uses.begin(), uses.end()) / mean);
  }
  std::printf(
      "%s: streams rms %.3f to %.3f, logits rms %.2f, at least %zu of %zu experts in every "
      "layer, busiest expert %.2f times the mean\n",
      checkpoint_name().c_str(), *least, *most, logit_rms, fewest, n_experts, worst_share);
  EXPECT_EQ(fewest, n_experts);
  EXPECT_LT(worst_share, 2);
}

TEST(Synthetic, AnswersThroughTheEngine) {
  EngineSettings settings;
  settings.context_length = 300;
  const char* name = "synthetic:k6:layers=4:shape=micro";
  const auto engine = Engine::load(name, settings);
  EXPECT_EQ(engine->info().n_layers, 4);
  EXPECT_GT(engine->info().most_drafts, 0);
  EXPECT_GT(estimate_memory(name, settings).total_bytes(), 100'000'000);
  const auto tokenizer = Tokenizer::load(name);
  EXPECT_EQ(tokenizer->vocab_size(), engine->info().vocab_size);
  std::vector<TokenId> tokens = tokenizer->encode(
      "<｜begin▁of▁sentence｜><｜User｜>Hé!<｜Assistant｜></think>", AddedTokens::kParse);
  EXPECT_EQ(tokens, (std::vector<TokenId>{0, 128803, 42, 130, 105, 3, 128804, 128822}));
  EXPECT_EQ(tokenizer->decode(tokens),
            "<｜begin▁of▁sentence｜><｜User｜>Hé!<｜Assistant｜></think>");
  EXPECT_EQ(tokenizer->token_bytes(5000), "<5000>");
  const auto session = engine->new_session();
  session->extend_to(tokens);
  const TokenId token = session->sample({});
  EXPECT_GE(token, 0);
  EXPECT_LT(token, engine->info().vocab_size);
}

}  // namespace
}  // namespace ds4
