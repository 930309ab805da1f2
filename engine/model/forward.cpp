#include "engine/model/forward.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/ops/rope.h"

namespace ds4::model {
namespace {

void block(const Pass& pass, const weights::Layer& layer, const LayerStores& stores) {
  enter_sublayer(pass, layer.hc_attn, layer.attn_norm);
  attention(pass, layer, stores);
  leave_sublayer(pass);
  feed_forward(pass, layer);
}

}  // namespace

int most_experts(const weights::ModelWeights& weights) {
  int most = weights.mtp ? weights.mtp->block.ffn.n_experts() : 0;
  for (const weights::Layer& layer : weights.layers) most = std::max(most, layer.ffn.n_experts());
  if (!weights.dspark) return most;
  for (const weights::Layer& block : weights.dspark->blocks) {
    most = std::max(most, block.ffn.n_experts());
  }
  return most;
}

Forward::Forward(const weights::ModelWeights& weights, ops::Backend& backend, int capacity,
                 std::unique_ptr<Drafter> drafter)
    : weights_(weights),
      ops_(backend),
      plain_frequencies_(ops::rope_frequencies(weights.config.qk_rope_head_dim,
                                               weights.config.rope_theta, nullptr)),
      yarn_frequencies_(ops::rope_frequencies(
          weights.config.qk_rope_head_dim, weights.config.compress_rope_theta,
          weights.config.rope_scaling ? &*weights.config.rope_scaling : nullptr)),
      at_(make_workspace(backend, weights.config, most_experts(weights), capacity)),
      drafter_(std::move(drafter)) {}

Pass Forward::pass() {
  return {ops_, weights_.config, at_, plain_frequencies_, yarn_frequencies_, segments_};
}

void Forward::run(std::span<const SequenceRows> batch) {
  tokens_.clear();
  segments_.clear();
  step_key_.assign(1, reinterpret_cast<intptr_t>(this));
  for (const SequenceRows& part : batch) {
    DS4_CHECK(!part.tokens.empty());
    const auto row = static_cast<int>(tokens_.size());
    segments_.push_back({row, {part.first, static_cast<int>(part.tokens.size())}});
    tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
    step_key_.push_back(part.cache->id());
    step_key_.push_back(segments_.back().chunk.n);
  }
  DS4_CHECK(!tokens_.empty() && tokens_.size() <= static_cast<size_t>(at_.capacity));
  const Pass pass = this->pass();
  ops_.write_ids(tokens_, at_.tokens);
  ops_.run_step(step_key_, segments_, [&] { run_layers(pass, batch); });
  if (!drafter_) return;
  for (size_t i = 0; i < batch.size(); ++i) {
    drafter_->observe(pass, segments_[i], *batch[i].drafts);
  }
}

void Forward::run_layers(const Pass& pass, std::span<const SequenceRows> batch) {
  ops_.rotation(plain_frequencies_, segments_, at_.plain_angles);
  ops_.rotation(yarn_frequencies_, segments_, at_.yarn_angles);
  ops_.embed(weights_.embed, pass.n(), at_.tokens, at_.h);
  for (size_t l = 0; l < weights_.layers.size(); ++l) {
    stores_.clear();
    for (const SequenceRows& part : batch) stores_.add(part.cache->layer(static_cast<int>(l)));
    block(pass, weights_.layers[l], stores_);
    if (drafter_) drafter_->after_layer(pass, static_cast<int>(l));
  }
}

void Forward::propose(std::span<const Proposal> proposals, const Draw& draw) {
  drafter_->propose(pass(), proposals, draw);
}

ops::Floats Forward::compute_logits(int row, int count) {
  head(pass(), weights_.hc_head, weights_.norm, weights_.head, row, count);
  return at_.logits;
}

std::span<const float> Forward::logits(int row, int count) {
  const ops::Floats logits = compute_logits(row, count);
  return ops_.read_floats(logits, count * logits.cols);
}

}  // namespace ds4::model
