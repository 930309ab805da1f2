// What a token costs at least, from the model's sizes (model.md 7.1 and 7.5): the numbers that
// whole steps are held against.
#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/cache/kv_cache.h"
#include "engine/weights/config.h"

namespace ds4::bench {

class ModelWork {
 public:
  ModelWork(const std::filesystem::path& checkpoint, const EngineSettings& settings);

  /// Bytes read to decode the token at `position` alone: weights, rows and indexer keys.
  double decode_bytes(int64_t position) const;
  /// FLOPs of the same, its logits included; a multiply-add counts as two.
  double decode_flops(int64_t position) const;
  /// FLOPs of reading tokens [0, length) and the logits of the last.
  double prefill_flops(int64_t length) const;

 private:
  double linear_flops() const;  // of one token, without the head
  double attention_flops(int64_t position) const;
  double head_flops() const { return 2.0 * config_.hidden_size * config_.vocab_size; }

  weights::ModelConfig config_;
  cache::CachePlan cache_;
  std::vector<int> experts_;  // of each layer
  double weight_bytes_ = 0;
};

}  // namespace ds4::bench
