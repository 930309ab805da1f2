#include "engine/cache/kv_cache.h"

#include <algorithm>
#include <atomic>

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

// The rows of positions [first, end) in slots of `row_bytes`.
void add_rows(std::byte* base, int64_t slots, int64_t row_bytes, int64_t first, int64_t end,
              std::vector<Piece>& pieces) {
  while (first < end) {
    const int64_t slot = first % slots;
    const int64_t count = std::min(end - first, slots - slot);
    pieces.push_back({base + slot * row_bytes, count * row_bytes});
    first += count;
  }
}

}  // namespace

int64_t LayerPlan::first_raw(int64_t length) const {
  return std::max<int64_t>(0, length - (window - 1));
}

int64_t LayerPlan::first_tail(int64_t length) const {
  const int64_t block = length / ratio;
  // Overlapping blocks look at the last complete one again.
  return std::max<int64_t>(0, block - (weights::ModelConfig::is_csa(ratio) ? 1 : 0)) * ratio;
}

int64_t LayerPlan::mark_bytes() const {
  const int64_t blocks = weights::ModelConfig::is_csa(ratio) ? 2 : 1;
  const int64_t tail_rows = ratio ? blocks * ratio - 1 : 0;
  return (window - 1) * raw.bytes() + tail_rows * (tail_width + key_tail_width) * 2 * 4;
}

ops::RowLayout raw_layout(const weights::ModelConfig& config, const EngineSettings& settings) {
  return {kv_format(settings), config.head_dim, config.qk_rope_head_dim};
}

CachePlan plan_cache(const weights::ModelConfig& config, const EngineSettings& settings) {
  CachePlan plan;
  const ops::RowLayout row = raw_layout(config, settings);
  for (const int ratio : config.compress_ratios) {
    LayerPlan layer;
    layer.ratio = ratio;
    layer.window = config.sliding_window;
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
    plan.mark_bytes += layer.mark_bytes();
    plan.layers.push_back(layer);
  }
  return plan;
}

KvCache::KvCache(ops::Backend& backend, const CachePlan& plan) : plan_(plan) {
  static std::atomic<int64_t> next{0};
  id_ = next++;
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

std::vector<Piece> KvCache::ring_pieces(int64_t length) const {
  std::vector<Piece> pieces;
  for (size_t l = 0; l < layers_.size(); ++l) {
    const LayerPlan& layer = plan_.layers[l];
    const ops::RowStore& raw = layers_[l].raw;
    add_rows(raw.data, raw.slots, raw.layout.bytes(), layer.first_raw(length), length, pieces);
    for (const ops::TailRing* tail : {&layers_[l].tail, &layers_[l].key_tail}) {
      if (!tail->slots) continue;
      for (const ops::Floats& rows : {tail->kv, tail->score}) {
        add_rows(rows.data, tail->slots, rows.cols * 4, layer.first_tail(length), length, pieces);
      }
    }
  }
  return pieces;
}

std::vector<Piece> KvCache::row_pieces(int64_t length) const {
  std::vector<Piece> pieces;
  for (size_t l = 0; l < layers_.size(); ++l) {
    for (const ops::RowStore* rows : {&layers_[l].compressed, &layers_[l].keys}) {
      if (!rows->slots) continue;
      add_rows(rows->data, rows->slots, rows->layout.bytes(), 0, length / plan_.layers[l].ratio,
               pieces);
    }
  }
  return pieces;
}

}  // namespace ds4::cache
