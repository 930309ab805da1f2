// Attention of one layer (model.md 3.4): low-rank queries, one KV row per token, the window and
// whatever compressed rows the layer's kind adds, the grouped output projection.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void attention(const Pass& pass, const weights::Layer& layer, const LayerStores& stores) {
  ops::Backend& ops = pass.ops;
  const Workspace& at = pass.at;
  const weights::Attention& w = layer.attn;
  const int n = pass.n();
  const ops::Floats angles = pass.angles(layer);

  ops.project(w.wq_a, n, at.x, at.qr);
  ops.rms_norm(w.q_norm, pass.eps(), n, at.qr, at.qr);
  ops.project(w.wq_b, n, at.qr, at.q);
  ops.finish_queries(pass.config.num_attention_heads, pass.eps(), n, angles, at.q);

  ops.project(w.wkv, n, at.x, at.kv);
  ops.store_raw_rows(w.kv_norm, pass.eps(), pass.segments, angles, at.kv, stores.raw);

  ops::KeySet keys{stores.raw, pass.config.sliding_window, stores.compressed, layer.ratio, {}};
  // Rows that this batch completes must exist before its queries look for them (4.2).
  if (w.compressor) compress(pass, *w.compressor, stores.compressed, stores.tails, false);
  if (w.indexer) {
    compress(pass, w.indexer->compressor, stores.keys, stores.key_tails, true);
    select_rows(pass, *w.indexer, stores.keys, angles);
    keys.selected = at.selected;
  }
  ops.attend(keys, w.sink, pass.segments, angles, at.q, at.q);

  ops.project_groups(w.wo_a, pass.config.o_groups, n, at.q, at.u);
  ops.project(w.wo_b, n, at.u, at.y);
}

}  // namespace ds4::model
