// Drafting with the classic MTP block (model.md 5.1, 5.2). Position i pairs the backbone's state of
// token t_i with token t_{i+1} and predicts t_{i+2}; further guesses chain on the block's own
// state.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/model/draft_forms.h"

namespace ds4::model {
namespace {

class ClassicDrafter final : public Drafter {
 public:
  ClassicDrafter(const weights::ModelWeights& weights, ops::Backend& backend,
                 const EngineSettings& settings)
      : weights_(weights), mtp_(*weights.mtp), ops_(backend), settings_(settings) {}

  DraftMemory new_memory() const override {
    return new_draft_memory(ops_, weights_.config, 1, settings_);
  }

  void after_layer(const Pass&, int) override {}

  // States are only kept: their pairs need the tokens that follow, and of a long prompt only the
  // last window is ever read.
  void observe(const Pass& pass, const ops::Segment& segment, DraftMemory& memory) override {
    const ops::Chunk& chunk = segment.chunk;
    memory.computed(chunk.first, chunk.n);
    const int keep = static_cast<int>(std::min<int64_t>(chunk.n, memory.reach));
    copy_rows(ops_, Direction::kToRing, pass.at.h, segment.row + chunk.n - keep, memory.states,
              memory.slots, chunk.end() - keep, keep);
  }

  std::vector<TokenId> propose(const Pass& pass, std::span<const TokenId> timeline, TokenId drawn,
                               int count, const Draw& draw, DraftMemory& memory) override {
    const auto n = static_cast<int64_t>(timeline.size());
    memory.go_back(n);
    if (memory.end != n || memory.begin == n) return {};

    // The last pair reads the rows of one window; those the block has not seen are made first.
    int64_t first = std::max({memory.paired, memory.begin, n - pass.config.sliding_window});
    std::vector<TokenId> following(timeline.begin() + first + 1, timeline.end());
    following.push_back(drawn);
    std::span<const TokenId> tokens = following;
    int rows = 0;
    for (; first < n; first += rows) {
      rows = static_cast<int>(std::min<int64_t>(n - first, pass.at.capacity));
      copy_rows(ops_, Direction::kFromRing, pass.at.h, 0, memory.states, memory.slots, first, rows);
      make_rows(pass, tokens.first(static_cast<size_t>(rows)), first, memory);
      tokens = tokens.subspan(static_cast<size_t>(rows));
    }
    memory.paired = n;

    std::vector<TokenId> drafts;
    for (int64_t position = n - 1;; ++position) {
      predict(pass, position, rows - 1, memory);
      drafts.push_back(draw(pass.at.logits, 0, position + 2));
      if (static_cast<int>(drafts.size()) == count) return drafts;
      if (rows > 1) {
        const int64_t bytes = pass.at.h.cols * ops_.value_bytes();
        const ops::Copy copy{pass.at.h.data + (rows - 1) * bytes, pass.at.h.data, bytes};
        ops_.copy({&copy, 1});
      }
      rows = 1;
      make_rows(pass, {&drafts.back(), 1}, position + 1, memory);
    }
  }

 private:
  // h holds the states of positions first..; pairs them with `tokens`, the ones that follow, and
  // writes their KV rows. Leaves h, mix and x as the attention needs them.
  void make_rows(const Pass& pass, std::span<const TokenId> tokens, int64_t first,
                 const DraftMemory& memory) {
    const ops::Segment segment{0, {first, static_cast<int>(tokens.size())}};
    const Pass rows = with_rows(pass, pass.at, {&segment, 1});
    const Workspace& at = rows.at;
    ops_.write_ids(tokens, at.tokens);
    ops_.rotation(rows.plain_frequencies, rows.segments, at.plain_angles);
    ops_.embed(weights_.embed, rows.n(), at.tokens, at.x);
    ops_.mtp_input(mtp_, rows.eps(), rows.n(), at.x, at.h);
    enter_sublayer(rows, mtp_.block.hc_attn, mtp_.block.attn_norm);
    ops_.project(mtp_.block.attn.wkv, rows.n(), at.x, at.kv);
    store_raw_rows(rows, mtp_.block, memory.raw);
  }

  // Runs the block for the one position in row `row`, which make_rows() has prepared, to logits in
  // row 0. Its output state replaces the row of h.
  void predict(const Pass& pass, int64_t position, int row, const DraftMemory& memory) {
    Workspace at = from_row(pass.at, row, ops_.value_bytes());
    const ops::Segment segment{0, {position, 1}};
    const Pass last = with_rows(pass, at, {&segment, 1});
    ops::KeySet keys;
    keys.raw = memory.raw;
    keys.window = static_cast<int>(
        std::min<int64_t>(pass.config.sliding_window, position + 1 - memory.begin));
    ops_.project(mtp_.block.attn.wq_a, 1, at.x, at.qr);
    make_queries(last, mtp_.block);
    read_rows(last, mtp_.block, keys);
    leave_sublayer(last);
    feed_forward(last, mtp_.block);
    head(last, mtp_.hc_head, mtp_.norm, weights_.head, 0, 1);
  }

  const weights::ModelWeights& weights_;
  const weights::ClassicMtp& mtp_;
  ops::Backend& ops_;
  const EngineSettings settings_;
};

}  // namespace

std::unique_ptr<Drafter> make_classic_drafter(const weights::ModelWeights& weights,
                                              ops::Backend& backend,
                                              const EngineSettings& settings) {
  return std::make_unique<ClassicDrafter>(weights, backend, settings);
}

}  // namespace ds4::model
