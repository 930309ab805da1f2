#include "engine/cache/kv_cache.h"

#include <algorithm>

namespace ds4::cache {
namespace {

// Parts begin at multiples of this, so that no row of one shares a cache line with another's.
constexpr int64_t kAlign = 64;

int64_t aligned(int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

ops::RowFormat kv_format(const EngineSettings& settings) {
  if (settings.precision == Precision::kF32) return ops::RowFormat::kF32;
  return settings.kv_dtype == KvDtype::kFp8 ? ops::RowFormat::kFp8 : ops::RowFormat::kBf16;
}

ops::RowFormat key_format(const EngineSettings& settings) {
  if (settings.precision == Precision::kF32) return ops::RowFormat::kF32;
  return settings.index_dtype == IndexDtype::kFp4 ? ops::RowFormat::kFp4 : ops::RowFormat::kBf16;
}

/// Hands out consecutive aligned pieces of one buffer.
class Pieces {
 public:
  explicit Pieces(const ops::Buffer& buffer) : next_(buffer.data.get()) {}
  std::byte* take(int64_t bytes) {
    std::byte* piece = next_;
    next_ += aligned(bytes);
    return piece;
  }

 private:
  std::byte* next_;
};

ops::TailRing take_ring(Pieces& pieces, int64_t slots, int64_t width) {
  const auto rows = [&] { return ops::Floats{pieces.take(slots * width * 4), width}; };
  return {rows(), rows(), slots};
}

}  // namespace

CachePlan plan_cache(const weights::ModelConfig& config, const EngineSettings& settings) {
  CachePlan plan;
  const ops::RowLayout row{kv_format(settings), config.head_dim, config.qk_rope_head_dim};
  for (const int ratio : config.compress_ratios) {
    LayerPlan layer;
    layer.ratio = ratio;
    layer.raw = row;
    // A chunk writes all its rows before its first query reads the window behind it.
    layer.raw_slots =
        std::min<int64_t>(settings.context_length,
                          config.sliding_window + std::max(settings.prefill_chunk, kDraftRows));
    if (ratio) {
      const bool csa = weights::ModelConfig::is_csa(ratio);
      layer.compressed = row;
      layer.compressed_slots = settings.context_length / ratio;
      layer.tail_slots = (csa ? 2 : 1) * ratio + kDraftRows;
      layer.tail_width = weights::ModelConfig::compressor_width(ratio, config.head_dim);
      if (csa) {
        layer.keys = {key_format(settings), config.index_head_dim, config.qk_rope_head_dim};
        layer.key_tail_width = weights::ModelConfig::compressor_width(ratio, config.index_head_dim);
      }
    }
    plan.raw_bytes += aligned(layer.raw_bytes());
    plan.compressed_bytes += aligned(layer.compressed_bytes());
    plan.key_bytes += aligned(layer.key_bytes());
    plan.tail_bytes += 2 * (aligned(layer.tail_slots * layer.tail_width * 4) +
                            aligned(layer.tail_slots * layer.key_tail_width * 4));
    plan.layers.push_back(layer);
  }
  return plan;
}

KvCache::KvCache(ops::Backend& backend, const CachePlan& plan) {
  for (const int64_t bytes :
       {plan.raw_bytes, plan.compressed_bytes, plan.key_bytes, plan.tail_bytes}) {
    buffers_.push_back(backend.allocate(bytes));
  }
  Pieces raw(buffers_[0]);
  Pieces compressed(buffers_[1]);
  Pieces keys(buffers_[2]);
  Pieces tails(buffers_[3]);
  for (const LayerPlan& layer : plan.layers) {
    LayerCache memory;
    memory.raw = {layer.raw, layer.raw_slots, raw.take(layer.raw_bytes())};
    if (layer.ratio) {
      memory.compressed = {layer.compressed, layer.compressed_slots,
                           compressed.take(layer.compressed_bytes())};
      memory.tail = take_ring(tails, layer.tail_slots, layer.tail_width);
    }
    if (layer.key_tail_width) {
      memory.keys = {layer.keys, layer.compressed_slots, keys.take(layer.key_bytes())};
      memory.key_tail = take_ring(tails, layer.tail_slots, layer.key_tail_width);
    }
    layers_.push_back(memory);
  }
}

}  // namespace ds4::cache
