#include "engine/model/workspace.h"

#include <algorithm>

namespace ds4::model {
namespace {

// Walks over every view in a fixed order; with a base address it also places them. One list serves
// the size and the layout.
class Layout {
 public:
  Layout(std::byte* base, int value_bytes) : base_(base), value_bytes_(value_bytes) {}

  void add(ops::Values& view, int64_t rows, int64_t cols) { place(view, rows, cols, value_bytes_); }
  void add(ops::Floats& view, int64_t rows, int64_t cols) { place(view, rows, cols, 4); }
  void add(ops::Ids& view, int64_t rows, int64_t cols) { place(view, rows, cols, 4); }
  int64_t bytes() const { return bytes_; }

 private:
  template <class View>
  void place(View& view, int64_t rows, int64_t cols, int64_t element) {
    view.data = base_ ? base_ + bytes_ : nullptr;
    view.cols = cols;
    // 64 bytes of slack behind each view let vector loads run over its last row.
    bytes_ += (rows * cols * element + 64 + 63) / 64 * 64;
  }

  std::byte* base_;
  int64_t value_bytes_;
  int64_t bytes_ = 0;
};

int64_t widest_compressor(const weights::ModelConfig& c) {
  int64_t width = 0;
  for (const int ratio : c.compress_ratios) {
    if (!ratio) continue;
    width = std::max<int64_t>(width, c.compressor_width(ratio, c.head_dim));
  }
  return width;
}

int64_t lay_out(const weights::ModelConfig& c, int experts, Workspace& w, Layout layout) {
  const int64_t n = w.capacity;
  layout.add(w.tokens, n, 1);
  layout.add(w.plain_angles, n, c.qk_rope_head_dim);
  layout.add(w.yarn_angles, n, c.qk_rope_head_dim);
  layout.add(w.h, n, int64_t{c.hc_mult} * c.hidden_size);
  layout.add(w.mix, n, c.hc_rows());
  layout.add(w.x, n, c.hidden_size);
  layout.add(w.y, n, c.hidden_size);
  layout.add(w.qr, n, c.q_lora_rank);
  layout.add(w.q, n, int64_t{c.num_attention_heads} * c.head_dim);
  layout.add(w.kv, n, c.head_dim);
  layout.add(w.u, n, int64_t{c.o_groups} * c.o_lora_rank);
  layout.add(w.pool_kv, n, widest_compressor(c));
  layout.add(w.pool_score, n, widest_compressor(c));
  if (c.has_csa_layer()) {
    layout.add(w.key_kv, n, 2 * c.index_head_dim);
    layout.add(w.key_score, n, 2 * c.index_head_dim);
    layout.add(w.iq, n, int64_t{c.index_n_heads} * c.index_head_dim);
    layout.add(w.index_weights, n, c.index_n_heads);
    layout.add(w.selected, n, c.index_topk);
  }
  layout.add(w.router, n, experts);
  layout.add(w.expert_ids, n, c.num_experts_per_tok);
  layout.add(w.route_weights, n, c.num_experts_per_tok);
  layout.add(w.logits, Workspace::kLogitRows, c.vocab_size);
  return layout.bytes();
}

}  // namespace

int64_t workspace_bytes(const weights::ModelConfig& config, int experts, int capacity,
                        int value_bytes) {
  Workspace w;
  w.capacity = capacity;
  return lay_out(config, experts, w, {nullptr, value_bytes});
}

Workspace make_workspace(ops::Backend& backend, const weights::ModelConfig& config, int experts,
                         int capacity) {
  Workspace w;
  w.capacity = capacity;
  w.memory = backend.allocate(workspace_bytes(config, experts, capacity, backend.value_bytes()));
  lay_out(config, experts, w, {w.memory.data.get(), backend.value_bytes()});
  return w;
}

}  // namespace ds4::model
