// What one sequence remembers: raw KV rows of the window, compressed rows, indexer keys and the
// tails of the compressors (model.md 4.1). Lays them out in a back end's memory; computes nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/api/session.h"
#include "engine/ops/ops.h"
#include "engine/weights/config.h"

namespace ds4::cache {

/// Room in the rings beyond what one chunk needs, so that a rejected draft can be taken back by a
/// change of the counter alone (model.md 5.3).
inline constexpr int kDraftRows = 8;

struct LayerPlan {
  int ratio = 0;
  int window = 0;
  ops::RowLayout raw;
  int64_t raw_slots = 0;
  ops::RowLayout compressed;  // ratio != 0
  ops::RowLayout keys;        // ratio 4
  int64_t compressed_slots = 0;
  int64_t tail_slots = 0;
  int64_t tail_width = 0;
  int64_t key_tail_width = 0;  // ratio 4

  int64_t raw_bytes() const { return raw_slots * raw.bytes(); }
  int64_t compressed_bytes() const { return compressed_slots * compressed.bytes(); }
  int64_t key_bytes() const { return key_tail_width ? compressed_slots * keys.bytes() : 0; }
  /// f32 kv and score rows of both compressors.
  int64_t tail_bytes() const { return tail_slots * (tail_width + key_tail_width) * 2 * 4; }

  /// What going on from `length` tokens needs of the rings: raw rows and tail rows of the positions
  /// from here to length - 1 (model.md 4.1).
  int64_t first_raw(int64_t length) const;
  int64_t first_tail(int64_t length) const;
  /// The most bytes of these rows there can be.
  int64_t mark_bytes() const;
};

/// Sizes of a sequence's memory; the estimate and the allocation both come from here.
struct CachePlan {
  std::vector<LayerPlan> layers;
  int64_t raw_bytes = 0;
  int64_t compressed_bytes = 0;
  int64_t key_bytes = 0;
  int64_t tail_bytes = 0;
  int64_t mark_bytes = 0;  // one mark (marks.h)
};

/// How raw KV rows are stored, those of draft blocks too.
ops::RowLayout raw_layout(const weights::ModelConfig& config, const EngineSettings& settings);

CachePlan plan_cache(const weights::ModelConfig& config, const EngineSettings& settings);

/// The memory of one layer. Stores with 0 slots do not exist in that layer.
struct LayerCache {
  ops::RowStore raw;
  ops::RowStore compressed;
  ops::RowStore keys;
  ops::TailRing tail;
  ops::TailRing key_tail;
};

/// A contiguous part of a sequence's memory.
struct Piece {
  std::byte* data = nullptr;
  int64_t bytes = 0;
};

class KvCache {
 public:
  /// Throws Error(kMachine) when the memory is not there.
  KvCache(ops::Backend& backend, const CachePlan& plan);

  const LayerCache& layer(int index) const { return layers_[static_cast<size_t>(index)]; }
  const CachePlan& plan() const { return plan_; }
  /// No other cache of this process ever has the same.
  int64_t id() const { return id_; }

  /// Everything the rings hold that a sequence of `length` tokens needs to go on, and its
  /// compressed rows and indexer keys. Rows come in the order of positions, so that the bytes, end
  /// to end, do not depend on the sizes of rings and stores.
  std::vector<Piece> ring_pieces(int64_t length) const;
  std::vector<Piece> row_pieces(int64_t length) const;

 private:
  int64_t id_;
  CachePlan plan_;
  std::vector<LayerCache> layers_;
  std::vector<ops::Buffer> buffers_;
};

}  // namespace ds4::cache
