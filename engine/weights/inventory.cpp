// take_inventory of engine/api/inventory.h: sorts the tensors into the components of model.md 7.1
// by their names and counts what one decoded token reads of each. Reads headers only.
#include "engine/api/inventory.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "engine/weights/checkpoint.h"
#include "engine/weights/config.h"
#include "engine/weights/parts.h"
#include "engine/weights/structure.h"

namespace ds4 {
namespace {

using weights::Checkpoint;
using weights::ModelConfig;
using weights::Part;
using weights::TensorRef;

// Bytes of `tensor` that one decoded token reads, routed experts aside. The 48-byte rows of the
// hash tables are left out, as in model.md 7.1; MTP runs only when drafting.
int64_t read_per_token(const TensorRef& tensor, Part part) {
  if (part == Part::kTables || part == Part::kMtp || part == Part::kOther || part == Part::kRouted)
    return 0;
  if (tensor.name == "embed.weight") return tensor.bytes() / tensor.shape[0];
  return tensor.bytes();
}

// num_experts_per_tok of each layer's experts, which may differ in number between layers.
int64_t routed_per_token(const Checkpoint& checkpoint, const ModelConfig& config,
                         const std::vector<int>& experts_per_layer) {
  int64_t total = 0;
  for (size_t layer = 0; layer < experts_per_layer.size(); ++layer) {
    int64_t bytes = 0;
    const std::string prefix = "layers." + std::to_string(layer) + ".ffn.experts.";
    for (const TensorRef& tensor : checkpoint.with_prefix(prefix)) bytes += tensor.bytes();
    total += bytes / experts_per_layer[layer] * config.num_experts_per_tok;
  }
  return total;
}

// Growth of all compressed caches per token: one row per `ratio` tokens, plus the indexer's.
double kv_per_token(const ModelConfig& config, int64_t kv_row, int64_t index_row) {
  double bytes = 0;
  for (const int ratio : config.compress_ratios) {
    if (ratio == 0) continue;
    const int64_t row = kv_row + (ModelConfig::is_csa(ratio) ? index_row : 0);
    bytes += static_cast<double>(row) / ratio;
  }
  return bytes;
}

void add_cache_sizes(const ModelConfig& config, Inventory* inventory) {
  inventory->kv_bytes_per_token_fp8 =
      kv_per_token(config, weights::fp8_kv_row(config), weights::fp4_index_row(config));
  inventory->kv_bytes_per_token_bf16 =
      kv_per_token(config, int64_t{2} * config.head_dim, int64_t{2} * config.index_head_dim);
  inventory->kv_fixed_bytes_fp8 =
      weights::fp8_kv_row(config) * config.sliding_window * config.num_hidden_layers;
}

}  // namespace

Inventory take_inventory(const std::filesystem::path& directory) {
  const auto [config, checkpoint, structure] = weights::open_model(directory);
  Inventory inventory;
  inventory.n_shards = static_cast<int64_t>(checkpoint.files().size());
  inventory.n_tensors = static_cast<int64_t>(checkpoint.tensors().size());
  inventory.experts_per_layer = structure.experts_per_layer;
  inventory.mtp = weights::mtp_name(structure.mtp);
  inventory.identity = weights::model_identity(config, checkpoint);
  add_cache_sizes(config, &inventory);

  std::array<Inventory::Component, weights::kParts> parts;
  for (size_t part = 0; part < parts.size(); ++part) {
    parts[part].name = weights::part_name(static_cast<Part>(part));
  }
  std::map<std::string_view, Inventory::DtypeTotal> dtypes;
  for (const TensorRef& tensor : checkpoint.tensors()) {
    const Part part = weights::part_of(tensor.name);
    Inventory::Component& component = parts[static_cast<size_t>(part)];
    ++component.tensors;
    component.bytes += tensor.bytes();
    component.bytes_per_token += read_per_token(tensor, part);
    Inventory::DtypeTotal& dtype = dtypes[weights::dtype_name(tensor.dtype)];
    ++dtype.tensors;
    dtype.bytes += tensor.bytes();
    inventory.tensor_bytes += tensor.bytes();
  }
  parts[static_cast<size_t>(Part::kRouted)].bytes_per_token =
      routed_per_token(checkpoint, config, structure.experts_per_layer);

  for (Inventory::Component& part : parts) {
    inventory.bytes_per_token += part.bytes_per_token;
    if (part.tensors > 0) inventory.components.push_back(std::move(part));
  }
  for (auto& [name, total] : dtypes) {
    total.dtype = name;
    inventory.dtypes.push_back(std::move(total));
  }
  return inventory;
}

}  // namespace ds4
