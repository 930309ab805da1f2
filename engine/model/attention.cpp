// Attention of one layer (model.md 3.4): low-rank queries, one KV row per token, the window and
// whatever compressed rows the layer's kind adds, the grouped output projection.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void make_queries(const Pass& pass, const weights::Layer& layer) {
  const Workspace& at = pass.at;
  const weights::Attention& w = layer.attn;
  pass.ops.project(w.wq_a, pass.n(), at.x, at.qr);
  pass.ops.rms_norm(w.q_norm, pass.eps(), pass.n(), at.qr, at.qr);
  pass.ops.project(w.wq_b, pass.n(), at.qr, at.q);
  pass.ops.finish_queries(pass.config.num_attention_heads, pass.eps(), pass.n(), pass.angles(layer),
                          at.q);
}

void store_raw_rows(const Pass& pass, const weights::Layer& layer,
                    std::span<const ops::RowStore> raw) {
  const Workspace& at = pass.at;
  pass.ops.project(layer.attn.wkv, pass.n(), at.x, at.kv);
  pass.ops.store_raw_rows(layer.attn.kv_norm, pass.eps(), pass.segments, pass.angles(layer), at.kv,
                          raw);
}

void read_rows(const Pass& pass, const weights::Layer& layer, const ops::KeySet& keys) {
  const Workspace& at = pass.at;
  const weights::Attention& w = layer.attn;
  pass.ops.attend(keys, w.sink, pass.segments, pass.angles(layer), at.q, at.q);
  pass.ops.project_groups(w.wo_a, pass.config.o_groups, pass.n(), at.q, at.u);
  pass.ops.project(w.wo_b, pass.n(), at.u, at.y);
}

void attention(const Pass& pass, const weights::Layer& layer, const LayerStores& stores) {
  const weights::Attention& w = layer.attn;
  make_queries(pass, layer);
  store_raw_rows(pass, layer, stores.raw);

  ops::KeySet keys;
  keys.raw = stores.raw;
  keys.window = pass.config.sliding_window;
  keys.compressed = stores.compressed;
  keys.ratio = layer.ratio;
  // Rows that this batch completes must exist before its queries look for them (4.2).
  if (w.compressor) compress(pass, *w.compressor, stores.compressed, stores.tails, false);
  if (w.indexer) {
    compress(pass, w.indexer->compressor, stores.keys, stores.key_tails, true);
    select_rows(pass, *w.indexer, stores.keys, pass.angles(layer));
    keys.selected = pass.at.selected;
  }
  read_rows(pass, layer, keys);
}

}  // namespace ds4::model
