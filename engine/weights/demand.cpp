// pass_demand and draft_demand of engine/api/demand.h: sums over tensors by component, and over the
// cached rows that attention and indexer read (model.md 7.1, 7.5).
#include "engine/api/demand.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/config.h"
#include "engine/weights/parts.h"
#include "engine/weights/structure.h"

namespace ds4 {
namespace {

using weights::Dtype;
using weights::ModelConfig;
using weights::Part;
using weights::TensorRef;

// Weights that are multiplied, one multiply-add each and row; 0 of scales, gains and tables.
double multiplied(const TensorRef& tensor) {
  if (tensor.shape.size() < 2 || tensor.dtype == Dtype::kF8E8M0 || tensor.dtype == Dtype::kI64 ||
      tensor.name == "embed.weight") {
    return 0;
  }
  const int packed = tensor.dtype == Dtype::kI8 ? 2 : 1;  // two codes of FP4 in a byte
  return static_cast<double>(tensor.bytes() / dtype_bytes(tensor.dtype)) * packed;
}

// How many of `experts` are read when each row chooses `chosen` of them, evenly.
double distinct(int experts, int chosen, int64_t rows) {
  const double missed = 1.0 - static_cast<double>(chosen) / experts;
  return experts * (1.0 - std::pow(missed, static_cast<double>(rows)));
}

// Experts of a layer or block together.
struct Experts {
  double bytes = 0, weights = 0;
};

Experts experts_of(const weights::Checkpoint& checkpoint, const std::string& prefix) {
  Experts all;
  for (const TensorRef& tensor : checkpoint.with_prefix(prefix)) {
    all.bytes += static_cast<double>(tensor.bytes());
    all.weights += multiplied(tensor);
  }
  return all;
}

void add_experts(const Experts& all, int experts, int chosen, int64_t rows,
                 PassDemand::Part* part) {
  part->weight_bytes += all.bytes / experts * distinct(experts, chosen, rows);
  part->flops += 2 * all.weights / experts * chosen * static_cast<double>(rows);
}

struct CacheReads {
  PassDemand::Part rows{"cached rows", 0, 0, 0}, keys{"indexer's keys", 0, 0, 0};
};

// What one layer reads for the rows at positions context .. context + rows - 1.
void add_cache_reads(const ModelConfig& config, int ratio, int64_t context, int64_t rows,
                     CacheReads* reads) {
  const int64_t last = context + rows - 1;
  const int64_t window = config.sliding_window;
  const auto row_bytes = static_cast<double>(weights::fp8_kv_row(config));
  const double query = 1.0 * config.num_attention_heads * config.head_dim;
  const double index_query = 1.0 * config.index_n_heads * config.index_head_dim;
  const bool csa = ModelConfig::is_csa(ratio);

  double attended = 0, selected = 0, scored = 0;
  for (int64_t position = context; position <= last; ++position) {
    const int64_t visible = ratio ? (position + 1) / ratio : 0;
    const int64_t compressed = csa ? std::min<int64_t>(visible, config.index_topk) : visible;
    attended += static_cast<double>(std::min(position + 1, window) + compressed);
    selected += static_cast<double>(compressed);
    if (csa && visible > config.index_topk) scored += static_cast<double>(visible);
  }
  const auto raw = static_cast<double>(std::min(last + 1, std::min(last + 1, window) + rows - 1));
  const auto visible = static_cast<double>(ratio ? (last + 1) / ratio : 0);
  reads->rows.cache_bytes += row_bytes * (raw + std::min(visible, selected));
  reads->rows.flops += 4 * query * attended;
  if (scored > 0) {
    reads->keys.cache_bytes += visible * static_cast<double>(weights::fp4_index_row(config));
    reads->keys.flops += 2 * index_query * scored;
  }
}

}  // namespace

PassDemand::Part PassDemand::total() const {
  Part sum{"all", 0, 0, 0};
  for (const Part& part : parts) {
    sum.weight_bytes += part.weight_bytes;
    sum.cache_bytes += part.cache_bytes;
    sum.flops += part.flops;
  }
  return sum;
}

PassDemand pass_demand(const std::filesystem::path& directory, int64_t context, int64_t rows,
                       int64_t logits) {
  DS4_CHECK(context >= 0 && rows >= 1 && logits >= 0 && logits <= rows);
  const auto [config, checkpoint, structure] = weights::open_model(directory);
  const auto n = static_cast<double>(rows);
  std::array<PassDemand::Part, weights::kParts> parts;
  for (const TensorRef& tensor : checkpoint.tensors()) {
    const Part of = weights::part_of(tensor.name);
    if (of == Part::kRouted || of == Part::kTables || of == Part::kMtp || of == Part::kOther) {
      continue;
    }
    if (of == Part::kHead && logits == 0) continue;
    PassDemand::Part& part = parts[static_cast<size_t>(of)];
    const auto bytes = static_cast<double>(tensor.bytes());
    const bool table = tensor.name == "embed.weight";
    part.weight_bytes += table ? bytes / static_cast<double>(tensor.shape[0]) * n : bytes;
    part.flops += 2 * multiplied(tensor) * (of == Part::kHead ? static_cast<double>(logits) : n);
  }
  for (size_t layer = 0; layer < structure.experts_per_layer.size(); ++layer) {
    add_experts(experts_of(checkpoint, "layers." + std::to_string(layer) + ".ffn.experts."),
                structure.experts_per_layer[layer], config.num_experts_per_tok, rows,
                &parts[static_cast<size_t>(Part::kRouted)]);
  }
  CacheReads reads;
  for (const int ratio : config.compress_ratios) {
    add_cache_reads(config, ratio, context, rows, &reads);
  }
  PassDemand demand{{}, rows};
  for (size_t part = 0; part < parts.size(); ++part) {
    if (parts[part].weight_bytes == 0) continue;
    parts[part].name = weights::part_name(static_cast<Part>(part));
    demand.parts.push_back(parts[part]);
  }
  demand.parts.push_back(reads.rows);
  if (reads.keys.cache_bytes > 0) demand.parts.push_back(reads.keys);
  return demand;
}

PassDemand draft_demand(const std::filesystem::path& directory, int64_t drafts) {
  const auto [config, checkpoint, structure] = weights::open_model(directory);
  if (structure.mtp == weights::MtpFlavour::kNone) {
    throw Error(ErrorCode::kCheckpoint, directory.string() + " has no MTP blocks to draft with",
                "Leave the drafts out.");
  }
  const bool dspark = structure.mtp == weights::MtpFlavour::kDspark;
  // Passes over the blocks, and rows of each.
  const int64_t passes = dspark ? 1 : drafts;
  const int64_t rows = dspark ? config.dspark_block_size : 1;
  const auto all_rows = static_cast<double>(passes * rows);
  PassDemand::Part blocks{weights::part_name(Part::kMtp), 0, 0, 0};
  PassDemand::Part head{weights::part_name(Part::kHead), 0, 0, 0};
  for (const TensorRef& tensor : checkpoint.tensors()) {
    const Part part = weights::part_of(tensor.name);
    const bool expert = tensor.name.find(".ffn.experts.") != std::string::npos;
    if (part == Part::kMtp && !expert) {
      blocks.weight_bytes += static_cast<double>(tensor.bytes() * passes);
      blocks.flops += 2 * multiplied(tensor) * all_rows;
    } else if (part == Part::kHead) {
      head.weight_bytes += static_cast<double>(tensor.bytes() * passes);
      head.flops += 2 * multiplied(tensor) * all_rows;
    }
  }
  for (size_t block = 0; block < structure.experts_per_mtp_block.size(); ++block) {
    const Experts all = experts_of(checkpoint, "mtp." + std::to_string(block) + ".ffn.experts.");
    for (int64_t pass = 0; pass < passes; ++pass) {
      add_experts(all, structure.experts_per_mtp_block[block], config.num_experts_per_tok, rows,
                  &blocks);
    }
  }
  return {{blocks, head}, drafts};
}

}  // namespace ds4
