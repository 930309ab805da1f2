// Which component of model.md 7.1 a tensor belongs to, by its name, and the sizes of cached rows:
// what counting bytes rests on. Reads nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/weights/config.h"

namespace ds4::weights {

enum class Part {
  kAttention,
  kRouted,
  kShared,
  kHead,
  kCompressors,
  kIndexers,
  kHyper,
  kRouter,
  kNorms,
  kTables,
  kMtp,
  kOther,
};
inline constexpr int kParts = 12;

/// "attention projections" and so on.
const char* part_name(Part part);
/// Of a tensor's full name ("layers.3.attn.wq_b.weight").
Part part_of(std::string_view name);

/// Bytes of one cached row (model.md 4.3): FP8 with its padding, and a key of the indexer in FP4.
int64_t fp8_kv_row(const ModelConfig& config);
int64_t fp4_index_row(const ModelConfig& config);

}  // namespace ds4::weights
