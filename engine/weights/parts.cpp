#include "engine/weights/parts.h"

#include <array>

namespace ds4::weights {
namespace {

constexpr std::array<const char*, kParts> kPartNames = {
    "attention projections",
    "routed experts",
    "shared expert",
    "LM head",
    "compressors",
    "indexers",
    "hyper-connections",
    "router",
    "norms and embedding",
    "hash routing tables",
    "MTP blocks",
    "not used",
};

struct Rule {
  std::string_view prefix;
  Part part;
};

// The first prefix that fits decides.
constexpr Rule kLayerRules[] = {
    {"attn_norm.", Part::kNorms},
    {"ffn_norm.", Part::kNorms},
    {"hc_attn_", Part::kHyper},
    {"hc_ffn_", Part::kHyper},
    {"attn.indexer.", Part::kIndexers},
    {"attn.compressor.", Part::kCompressors},
    {"attn.", Part::kAttention},
    {"ffn.gate.tid2eid", Part::kTables},
    {"ffn.gate.", Part::kRouter},
    {"ffn.experts.", Part::kRouted},
    {"ffn.shared_experts.", Part::kShared},
};
constexpr Rule kGlobalRules[] = {
    {"embed.weight", Part::kNorms}, {"norm.weight", Part::kNorms}, {"head.weight", Part::kHead},
    {"hc_head_", Part::kHyper},     {"mtp.", Part::kMtp},
};

template <size_t N>
Part match(std::string_view name, const Rule (&rules)[N]) {
  for (const Rule& rule : rules) {
    if (name.starts_with(rule.prefix)) return rule.part;
  }
  return Part::kOther;
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

const char* part_name(Part part) {
  return kPartNames[static_cast<size_t>(part)];
}

Part part_of(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return match(name, kGlobalRules);
  name.remove_prefix(kLayers.size());
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? Part::kOther : match(name.substr(dot + 1), kLayerRules);
}

int64_t fp8_kv_row(const ModelConfig& config) {
  const int64_t nope = config.head_dim - config.qk_rope_head_dim;
  return ceil_div(ceil_div(nope, 2) * 2 + 2 * config.qk_rope_head_dim + ceil_div(nope, 64), 8) * 8;
}
int64_t fp4_index_row(const ModelConfig& config) {
  return ceil_div(config.index_head_dim, 2) + ceil_div(config.index_head_dim, 32);
}

}  // namespace ds4::weights
