// Drafting with the chained blocks of DSpark (model.md 5.4). Their rows of the timeline are built
// from what some backbone layers put out; a draft is one pass over a block of noise tokens.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/model/draft_forms.h"

namespace ds4::model {
namespace {

class DsparkDrafter final : public Drafter {
 public:
  DsparkDrafter(const weights::ModelWeights& weights, ops::Backend& backend,
                const EngineSettings& settings, int capacity)
      : weights_(weights), dspark_(*weights.dspark), ops_(backend), settings_(settings) {
    DS4_CHECK(capacity >= config().dspark_block_size);
    buffer_ =
        ops_.allocate(drafter_bytes(config(), 0, settings, capacity, ops_.value_bytes()).engine);
    means_ = {buffer_.data.get(), dspark_.main_proj.cols};
  }

  DraftMemory new_memory() const override {
    return new_draft_memory(ops_, config(), static_cast<int>(dspark_.blocks.size()), settings_);
  }

  void after_layer(const Pass& pass, int layer) override {
    const std::vector<int>& targets = config().dspark_target_layer_ids;
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] != layer) continue;
      ops_.mean_streams(config().hc_mult, pass.n(), pass.at.h,
                        static_cast<int64_t>(i) * config().hidden_size, means_);
    }
  }

  void observe(const Pass& pass, const ops::Segment& segment, DraftMemory& memory) override {
    const ops::Chunk& chunk = segment.chunk;
    memory.computed(chunk.first, chunk.n);
    // Rows that the same chunk would overwrite again are left out.
    const int keep = static_cast<int>(std::min<int64_t>(chunk.n, memory.reach));
    const int row = segment.row + chunk.n - keep;
    Workspace at = from_row(pass.at, row, ops_.value_bytes());
    const ops::Segment kept{0, {chunk.end() - keep, keep}};
    const Pass rows = with_rows(pass, at, {&kept, 1});
    const ops::Values means{means_.data + row * means_.cols * ops_.value_bytes(), means_.cols};
    ops_.project(dspark_.main_proj, keep, means, at.x);
    ops_.rms_norm(dspark_.main_norm, rows.eps(), keep, at.x, at.x);
    for (size_t b = 0; b < dspark_.blocks.size(); ++b) {
      ops_.project(dspark_.blocks[b].attn.wkv, keep, at.x, at.kv);
      store_raw_rows(rows, dspark_.blocks[b], {&memory.raw[b], 1});
    }
  }

  void propose(const Pass& pass, std::span<const Proposal> proposals, const Draw& draw) override {
    for (size_t i = 0; i < proposals.size(); ++i) {
      const Proposal& p = proposals[i];
      const auto n = std::ssize(p.timeline);
      p.memory->go_back(n);
      if (p.memory->end != n || p.memory->begin == n) continue;

      std::vector<TokenId> block(static_cast<size_t>(config().dspark_block_size),
                                 static_cast<TokenId>(config().dspark_noise_token_id));
      block.front() = p.drawn;
      run_blocks(pass, block, n, *p.memory);

      TokenId previous = p.drawn;
      for (int row = 0; row < p.count; ++row) {
        ops_.add_markov_bias(dspark_.markov_w1, dspark_.markov_w2, previous, row, pass.at.logits);
        const Guess guess{i, ops::row_of(pass.at.logits, row), n + 1 + row};
        previous = draw({&guess, 1}).front();
      }
    }
  }

 private:
  const weights::ModelConfig& config() const { return weights_.config; }

  // All blocks over the draft block at positions n.., to logits without the markov bias. The rows
  // it leaves in the rings lie ahead of the timeline and are overwritten when that gets there.
  void run_blocks(const Pass& pass, std::span<const TokenId> tokens, int64_t n,
                  const DraftMemory& memory) {
    const ops::Segment segment{0, {n, static_cast<int>(tokens.size())}};
    const Pass rows = with_rows(pass, pass.at, {&segment, 1});
    const Workspace& at = rows.at;
    ops_.write_ids(tokens, at.tokens);
    ops_.rotation(rows.plain_frequencies, rows.segments, at.plain_angles);
    ops_.embed(weights_.embed, rows.n(), at.tokens, at.h);
    for (size_t b = 0; b < dspark_.blocks.size(); ++b) {
      const weights::Layer& layer = dspark_.blocks[b];
      ops::KeySet keys;
      keys.raw = {&memory.raw[b], 1};
      keys.window = static_cast<int>(std::min<int64_t>(config().sliding_window, n - memory.begin));
      keys.whole_segment = true;
      enter_sublayer(rows, layer.hc_attn, layer.attn_norm);
      project_inputs(rows, layer);
      make_queries(rows, layer);
      store_raw_rows(rows, layer, keys.raw);
      read_rows(rows, layer, keys);
      leave_sublayer(rows);
      feed_forward(rows, layer);
    }
    head(rows, dspark_.hc_head, dspark_.norm, weights_.head, 0, rows.n());
  }

  const weights::ModelWeights& weights_;
  const weights::Dspark& dspark_;
  ops::Backend& ops_;
  const EngineSettings settings_;
  ops::Buffer buffer_;
  ops::Values means_;  // [capacity, target layers * d] of the current backbone pass
};

}  // namespace

std::unique_ptr<Drafter> make_dspark_drafter(const weights::ModelWeights& weights,
                                             ops::Backend& backend, const EngineSettings& settings,
                                             int capacity) {
  return std::make_unique<DsparkDrafter>(weights, backend, settings, capacity);
}

}  // namespace ds4::model
