#include "tests/bench/model_work.h"

#include <algorithm>

#include "engine/api/inventory.h"
#include "engine/cache/kv_cache.h"

namespace ds4::bench {
namespace {

// What attention reads at a position of one layer: raw rows, compressed rows, and the keys that
// are scored to choose among those.
struct Reads {
  double raw = 0, compressed = 0, keys = 0;
};

Reads reads_of(const weights::ModelConfig& config, int ratio, int64_t position) {
  Reads reads;
  reads.raw = static_cast<double>(std::min<int64_t>(position + 1, config.sliding_window));
  if (ratio == 0) return reads;
  const int64_t compressed = (position + 1) / ratio;
  const bool chosen = weights::ModelConfig::is_csa(ratio) && compressed > config.index_topk;
  reads.compressed = static_cast<double>(chosen ? config.index_topk : compressed);
  if (chosen) reads.keys = static_cast<double>(compressed);
  return reads;
}

}  // namespace

ModelWork::ModelWork(const std::filesystem::path& checkpoint, const EngineSettings& settings)
    : config_(weights::read_config(checkpoint)), cache_(cache::plan_cache(config_, settings)) {
  const Inventory inventory = take_inventory(checkpoint);
  experts_ = inventory.experts_per_layer;
  weight_bytes_ = static_cast<double>(inventory.bytes_per_token);
}

double ModelWork::decode_bytes(int64_t position) const {
  double bytes = weight_bytes_;
  for (const cache::LayerPlan& layer : cache_.layers) {
    const Reads reads = reads_of(config_, layer.ratio, position);
    bytes += reads.raw * static_cast<double>(layer.raw.bytes());
    bytes += reads.compressed * static_cast<double>(layer.compressed.bytes());
    bytes += reads.keys * static_cast<double>(layer.keys.bytes());
  }
  return bytes;
}

double ModelWork::linear_flops() const {
  const weights::ModelConfig& c = config_;
  const double d = c.hidden_size;
  const double heads = static_cast<double>(c.num_attention_heads) * c.head_dim;
  const double attention = d * c.q_lora_rank + c.q_lora_rank * heads + d * c.head_dim +
                           heads * c.o_lora_rank +
                           static_cast<double>(c.o_groups) * c.o_lora_rank * d;
  const double experts = 3 * d *
                         (static_cast<double>(c.num_experts_per_tok) * c.moe_intermediate_size +
                          c.shared_intermediate_size());
  const double mixing = 2.0 * c.hc_rows() * c.hc_mult * d;
  double sum = 0;
  for (int layer = 0; layer < c.num_hidden_layers; ++layer) {
    const int ratio = c.compress_ratios[static_cast<size_t>(layer)];
    sum += attention + experts + mixing + d * experts_[static_cast<size_t>(layer)];
    if (ratio != 0) sum += 2 * d * c.compressor_width(ratio, c.head_dim);
    if (c.is_csa(ratio)) {
      sum += static_cast<double>(c.q_lora_rank) * c.index_n_heads * c.index_head_dim +
             d * c.index_n_heads + 2 * d * c.compressor_width(ratio, c.index_head_dim);
    }
  }
  return 2 * sum;
}

double ModelWork::attention_flops(int64_t position) const {
  const double per_row = 4.0 * config_.num_attention_heads * config_.head_dim;
  const double per_key = 2.0 * config_.index_n_heads * config_.index_head_dim;
  double sum = 0;
  for (const cache::LayerPlan& layer : cache_.layers) {
    const Reads reads = reads_of(config_, layer.ratio, position);
    sum += (reads.raw + reads.compressed) * per_row + reads.keys * per_key;
  }
  return sum;
}

double ModelWork::decode_flops(int64_t position) const {
  return linear_flops() + attention_flops(position) + head_flops();
}

double ModelWork::prefill_flops(int64_t length) const {
  double sum = head_flops() + static_cast<double>(length) * linear_flops();
  for (int64_t position = 0; position < length; ++position) sum += attention_flops(position);
  return sum;
}

}  // namespace ds4::bench
