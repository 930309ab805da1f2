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

  void propose(const Pass& pass, std::span<const Proposal> proposals, const Draw& draw) override {
    std::vector<size_t> ready;
    for (size_t i = 0; i < proposals.size(); ++i) {
      const Proposal& p = proposals[i];
      p.memory->go_back(last(p) + 1);
      if (p.memory->end == last(p) + 1 && p.memory->begin <= last(p)) ready.push_back(i);
    }
    // One pass reads windows of one size, and the head takes so many rows.
    const auto window = [&](size_t i) {
      return window_at(last(proposals[i]), *proposals[i].memory);
    };
    std::stable_sort(ready.begin(), ready.end(),
                     [&](size_t a, size_t b) { return window(a) < window(b); });
    const auto most = static_cast<size_t>(std::min(pass.at.capacity, Workspace::kLogitRows));
    for (size_t begin = 0, end = 0; begin < ready.size(); begin = end) {
      while (end < ready.size() && end - begin < most && window(ready[end]) == window(ready[begin]))
        ++end;
      propose_together(pass, proposals, std::span(ready).subspan(begin, end - begin), draw);
    }
  }

 private:
  // The position of the last token of the timeline, whose pair gives the first guess.
  static int64_t last(const Proposal& p) { return std::ssize(p.timeline) - 1; }
  int window_at(int64_t position, const DraftMemory& memory) const {
    return static_cast<int>(
        std::min<int64_t>(weights_.config.sliding_window, position + 1 - memory.begin));
  }

  // A guess of each of `which` at a time: row i of the pass is that of which[i].
  void propose_together(const Pass& pass, std::span<const Proposal> proposals,
                        std::span<const size_t> which, const Draw& draw) {
    std::vector<ops::RowStore> stores;
    std::vector<TokenId> tokens;
    int most = 0;
    for (const size_t i : which) {
      const Proposal& p = proposals[i];
      catch_up(pass, p);
      stores.push_back(p.memory->raw.front());
      tokens.push_back(p.drawn);
      most = std::max(most, p.count);
    }
    for (size_t row = 0; row < which.size(); ++row) {
      const Proposal& p = proposals[which[row]];
      copy_rows(ops_, Direction::kFromRing, pass.at.h, static_cast<int>(row), p.memory->states,
                p.memory->slots, last(p), 1);
      p.memory->paired = last(p) + 1;
    }
    // Rows that want no more guesses run along; what they leave lies ahead of their timeline.
    for (int depth = 0; depth < most; ++depth) {
      std::vector<ops::Segment> segments;
      std::vector<Guess> guesses;
      for (size_t row = 0; row < which.size(); ++row) {
        const Proposal& p = proposals[which[row]];
        const int64_t position = last(p) + depth;
        segments.push_back({static_cast<int>(row), {position, 1}});
        if (depth < p.count) {
          guesses.push_back(
              {which[row], ops::row_of(pass.at.logits, static_cast<int64_t>(row)), position + 2});
        }
      }
      const Pass rows = with_rows(pass, pass.at, segments);
      make_rows(rows, tokens, stores);
      predict(rows, stores,
              window_at(segments.front().chunk.first, *proposals[which.front()].memory));
      const std::vector<TokenId> drawn = draw(guesses);
      for (size_t row = 0, next = 0; row < which.size(); ++row) {
        if (depth < proposals[which[row]].count) tokens[row] = drawn[next++];
      }
    }
  }

  // The last pair reads the rows of one window; those before it that the block has not seen are
  // made here.
  void catch_up(const Pass& pass, const Proposal& p) {
    const DraftMemory& memory = *p.memory;
    int64_t first =
        std::max({memory.paired, memory.begin, last(p) + 1 - weights_.config.sliding_window});
    while (first < last(p)) {
      const auto n = static_cast<int>(std::min<int64_t>(last(p) - first, pass.at.capacity));
      copy_rows(ops_, Direction::kFromRing, pass.at.h, 0, memory.states, memory.slots, first, n);
      const ops::Segment segment{0, {first, n}};
      make_rows(with_rows(pass, pass.at, {&segment, 1}),
                p.timeline.subspan(static_cast<size_t>(first) + 1, static_cast<size_t>(n)),
                memory.raw);
      first += n;
    }
  }

  // h holds states of the rows' positions; pairs them with `tokens`, the ones that follow, and
  // writes their KV rows. Leaves h, mix and x as the attention needs them.
  void make_rows(const Pass& rows, std::span<const TokenId> tokens,
                 std::span<const ops::RowStore> stores) {
    const Workspace& at = rows.at;
    ops_.write_ids(tokens, at.tokens);
    ops_.rotation(rows.plain_frequencies, rows.segments, at.plain_angles);
    ops_.embed(weights_.embed, rows.n(), at.tokens, at.x);
    ops_.mtp_input(mtp_, rows.eps(), rows.n(), at.x, at.h);
    enter_sublayer(rows, mtp_.block.hc_attn, mtp_.block.attn_norm);
    ops_.project(mtp_.block.attn.wkv, rows.n(), at.x, at.kv);
    store_raw_rows(rows, mtp_.block, stores);
  }

  // Runs the block for the rows, which make_rows() has prepared, to logits. Its output states
  // replace those in h.
  void predict(const Pass& rows, std::span<const ops::RowStore> stores, int window) {
    ops::KeySet keys;
    keys.raw = stores;
    keys.window = window;
    ops_.project(mtp_.block.attn.wq_a, rows.n(), rows.at.x, rows.at.qr);
    make_queries(rows, mtp_.block);
    read_rows(rows, mtp_.block, keys);
    leave_sublayer(rows);
    feed_forward(rows, mtp_.block);
    head(rows, mtp_.hc_head, mtp_.norm, weights_.head, 0, rows.n());
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
