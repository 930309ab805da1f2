// The mechanisms of a layer, one function per file beside this header, each a few operations on the
// shared workspace. They hold no state: what a sequence remembers is in its cache.
#pragma once

#include <span>
#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/model/workspace.h"
#include "engine/ops/ops.h"
#include "engine/weights/weights.h"

namespace ds4::model {

/// One layer's memory of every sequence of a batch, a store per segment. Those that the layer does
/// not have are empty.
struct LayerStores {
  std::vector<ops::RowStore> raw;
  std::vector<ops::RowStore> compressed;
  std::vector<ops::RowStore> keys;
  std::vector<ops::TailRing> tails;
  std::vector<ops::TailRing> key_tails;

  void clear() { *this = {}; }
  void add(const cache::LayerCache& sequence) {
    raw.push_back(sequence.raw);
    if (sequence.tail.slots) {
      compressed.push_back(sequence.compressed);
      tails.push_back(sequence.tail);
    }
    if (sequence.key_tail.slots) {
      keys.push_back(sequence.keys);
      key_tails.push_back(sequence.key_tail);
    }
  }
};

/// What every mechanism needs: the back end, the constants, the activations and the tokens' places.
struct Pass {
  ops::Backend& ops;
  const weights::ModelConfig& config;
  Workspace& at;
  std::span<const float> plain_frequencies;
  std::span<const float> yarn_frequencies;
  ops::Segments segments;

  /// Rows of the whole batch.
  int n() const { return segments.back().row + segments.back().chunk.n; }
  float eps() const { return static_cast<float>(config.rms_norm_eps); }
  ops::MixSettings mix_settings() const {
    return {config.hc_mult, config.hc_sinkhorn_iters, static_cast<float>(config.hc_eps), eps()};
  }
  /// Layers with a ratio rotate everything with the compressed theta and YaRN (T5).
  ops::Floats angles(const weights::Layer& layer) const {
    return layer.ratio ? at.yarn_angles : at.plain_angles;
  }
};

/// h -> x: the streams mixed into one and normed (3.2 steps 1-5).
void enter_sublayer(const Pass& pass, const weights::HyperConnection& hc,
                    std::span<const float> norm);
/// y, h -> h (3.2 step 6).
void leave_sublayer(const Pass& pass);

/// x -> y (3.4); writes the batch's rows to the stores.
void attention(const Pass& pass, const weights::Layer& layer, const LayerStores& stores);
/// The parts of attention() that draft blocks put together in other ways.
/// x -> qr and kv (steps 1 and 4), and what compressor and indexer take from x.
void project_inputs(const Pass& pass, const weights::Layer& layer);
/// qr -> q (steps 1-3), and the indexer's queries before their rotation.
void make_queries(const Pass& pass, const weights::Layer& layer);
/// kv -> rows in the stores (step 4).
void store_raw_rows(const Pass& pass, const weights::Layer& layer,
                    std::span<const ops::RowStore> raw);
/// q -> y (steps 5-8).
void read_rows(const Pass& pass, const weights::Layer& layer, const ops::KeySet& keys);
/// What a compressor takes from x, [n, width]: the indexer's has views of its own.
struct Pool {
  ops::Floats kv, score;
};
Pool pool_of(const Workspace& at, const weights::Compressor& compressor, bool index);
/// The pool -> compressed rows in the stores (3.5); `index`: indexer keys, with Hadamard transform.
void compress(const Pass& pass, const weights::Compressor& compressor,
              std::span<const ops::RowStore> rows, std::span<const ops::TailRing> tails,
              bool index);
/// iq, index weights -> selected rows per query (3.6).
void select_rows(const Pass& pass, const weights::Indexer& indexer,
                 std::span<const ops::RowStore> keys, ops::Floats angles);

/// x -> y (3.7).
void mixture_of_experts(const Pass& pass, const weights::Moe& moe);
/// h -> h: the experts with their hyper-connections, the second half of a block.
void feed_forward(const Pass& pass, const weights::Layer& layer);

/// Rows [row, row + count) of h -> logits (3.8). count <= Workspace::kLogitRows.
void head(const Pass& pass, const weights::HeadMix& mix, std::span<const float> norm,
          const weights::Matrix& vocabulary, int row, int count);

}  // namespace ds4::model
