// Attention of one layer (model.md 3.4): low-rank queries, one KV row per token, the window and
// whatever compressed rows the layer's kind adds, the grouped output projection.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void project_inputs(const Pass& pass, const weights::Layer& layer) {
  const Workspace& at = pass.at;
  const weights::Attention& w = layer.attn;
  std::vector<ops::Projection> products{{&w.wq_a, at.qr}, {&w.wkv, at.kv}};
  const auto add_pool = [&](const weights::Compressor& compressor, bool index) {
    const Pool pool = pool_of(at, compressor, index);
    products.push_back({&compressor.wkv, pool.kv});
    products.push_back({&compressor.wgate, pool.score});
  };
  if (w.compressor) add_pool(*w.compressor, false);
  if (w.indexer) {
    add_pool(w.indexer->compressor, true);
    products.push_back({&w.indexer->weights_proj, at.index_weights});
  }
  pass.ops.project_each(products, pass.n(), at.x, nullptr);
}

void make_queries(const Pass& pass, const weights::Layer& layer) {
  const Workspace& at = pass.at;
  const weights::Attention& w = layer.attn;
  std::vector<ops::Projection> products{{&w.wq_b, at.q}};
  if (w.indexer) products.push_back({&w.indexer->wq_b, at.iq});
  const ops::RmsNorm norm{w.q_norm, pass.eps()};
  pass.ops.project_each(products, pass.n(), at.qr, &norm);
  pass.ops.finish_queries(pass.config.num_attention_heads, pass.eps(), pass.n(), pass.angles(layer),
                          at.q);
}

void store_raw_rows(const Pass& pass, const weights::Layer& layer,
                    std::span<const ops::RowStore> raw) {
  pass.ops.store_raw_rows(layer.attn.kv_norm, pass.eps(), pass.segments, pass.angles(layer),
                          pass.at.kv, raw);
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
  project_inputs(pass, layer);
  store_raw_rows(pass, layer, stores.raw);
  // Rows that this batch completes must exist before its queries look for them (4.2).
  if (w.compressor) compress(pass, *w.compressor, stores.compressed, stores.tails, false);
  if (w.indexer) compress(pass, w.indexer->compressor, stores.keys, stores.key_tails, true);
  make_queries(pass, layer);

  ops::KeySet keys;
  keys.raw = stores.raw;
  keys.window = pass.config.sliding_window;
  keys.compressed = stores.compressed;
  keys.ratio = layer.ratio;
  if (w.indexer) {
    select_rows(pass, *w.indexer, stores.keys, pass.angles(layer));
    keys.selected = pass.at.selected;
  }
  read_rows(pass, layer, keys);
}

}  // namespace ds4::model
