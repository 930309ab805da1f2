#include "engine/reap/blocks.h"

#include <algorithm>
#include <charconv>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::reap {
namespace {

constexpr std::string_view kFfn = ".ffn.";
constexpr std::string_view kExperts = "experts.";

std::vector<int> all_of(int n) {
  std::vector<int> ids(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = i;
  return ids;
}

}  // namespace

int Cut::place_of(int expert) const {
  const auto found = std::lower_bound(kept.begin(), kept.end(), expert);
  return found != kept.end() && *found == expert ? static_cast<int>(found - kept.begin()) : -1;
}

std::vector<Cut> all_blocks(const weights::ModelConfig& config,
                            const weights::Structure& structure) {
  std::vector<Cut> blocks;
  const auto add = [&](const char* kind, const std::vector<int>& experts, bool backbone) {
    for (size_t i = 0; i < experts.size(); ++i) {
      blocks.push_back({.name = kind + std::to_string(i),
                        .hashed = backbone && config.is_hash_layer(static_cast<int>(i)),
                        .n_experts = experts[i],
                        .kept = all_of(experts[i])});
    }
  };
  add("layers.", structure.experts_per_layer, true);
  add("mtp.", structure.experts_per_mtp_block, false);
  return blocks;
}

std::vector<Cut> cuts_of(const Plan& plan, const std::string& plan_name,
                         const weights::ModelConfig& config, const weights::Structure& structure) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kCheckpoint, plan_name + ": " + what,
                "Use a plan made from an observation of this checkpoint.");
  };
  std::vector<Cut> cuts = all_blocks(config, structure);
  if (plan.blocks.size() != cuts.size()) {
    refuse("has " + std::to_string(plan.blocks.size()) + " blocks; the checkpoint has " +
           std::to_string(cuts.size()));
  }
  for (size_t i = 0; i < cuts.size(); ++i) {
    const BlockPlan& block = plan.blocks[i];
    if (block.block != cuts[i].name || block.n_experts() != cuts[i].n_experts) {
      refuse("block " + std::to_string(i) + " is " + block.block + " of " +
             std::to_string(block.n_experts()) + " experts; the checkpoint has " + cuts[i].name +
             " of " + std::to_string(cuts[i].n_experts));
    }
    if (static_cast<int>(block.kept.size()) < config.num_experts_per_tok) {
      refuse(block.block + " keeps " + std::to_string(block.kept.size()) +
             " experts; config.json's num_experts_per_tok is " +
             std::to_string(config.num_experts_per_tok));
    }
    cuts[i].kept = block.kept;
  }
  return cuts;
}

std::optional<MoeName> parse_moe_name(std::string_view name) {
  const size_t ffn = name.find(kFfn);
  if (ffn == std::string_view::npos) return std::nullopt;
  MoeName parts;
  parts.block = name.substr(0, ffn);
  if (!parts.block.starts_with("layers.") && !parts.block.starts_with("mtp.")) return std::nullopt;
  std::string_view rest = name.substr(ffn + kFfn.size());
  if (rest == "gate.weight") {
    parts.part = MoeName::Part::kGateWeight;
  } else if (rest == "gate.bias") {
    parts.part = MoeName::Part::kGateBias;
  } else if (rest == "gate.tid2eid") {
    parts.part = MoeName::Part::kTable;
  } else if (rest.starts_with(kExperts)) {
    rest.remove_prefix(kExperts.size());
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), parts.expert);
    if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') {
      return std::nullopt;
    }
    parts.rest = rest.substr(static_cast<size_t>(end - rest.data()) + 1);
  } else {
    return std::nullopt;
  }
  return parts;
}

void remap_row(const Cut& cut, int64_t token, std::span<int64_t> row) {
  std::vector<int64_t> spare;
  for (size_t slot = 0; slot < row.size(); ++slot) {
    if (cut.place_of(static_cast<int>(row[slot])) >= 0) continue;
    spare.clear();
    for (const int expert : cut.kept) {
      if (std::find(row.begin(), row.end(), expert) == row.end()) spare.push_back(expert);
    }
    // A row of which one entry is dropped holds fewer kept experts than it has slots.
    DS4_CHECK(!spare.empty(), "fewer experts kept than a token needs");
    row[slot] = spare[static_cast<size_t>(token + static_cast<int64_t>(slot)) % spare.size()];
  }
  for (int64_t& expert : row) expert = cut.place_of(static_cast<int>(expert));
}

}  // namespace ds4::reap
