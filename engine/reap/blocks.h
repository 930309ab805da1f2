// The mixture-of-experts blocks of a checkpoint, which of their experts stay, and what that does to
// a tensor's name and to a row of a hash table. Pure functions; files are others' business.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/reap.h"
#include "engine/weights/config.h"
#include "engine/weights/structure.h"

namespace ds4::reap {

/// One block and the experts it keeps; its tensors begin with name + ".ffn.".
struct Cut {
  std::string name;  // "layers.3", "mtp.0"
  bool hashed = false;
  int n_experts = 0;
  std::vector<int> kept;  // ascending, at least one

  /// The new number of an expert, or -1.
  int place_of(int expert) const;
};

/// All blocks, layers first, keeping everything.
std::vector<Cut> all_blocks(const weights::ModelConfig& config,
                            const weights::Structure& structure);

/// The blocks keeping what `plan` says. Throws Error(kCheckpoint) naming `plan_name` when the plan
/// has other blocks or expert counts, or keeps fewer experts than a token needs.
std::vector<Cut> cuts_of(const Plan& plan, const std::string& plan_name,
                         const weights::ModelConfig& config, const weights::Structure& structure);

/// A tensor name taken apart where it belongs to a block's mixture of experts.
struct MoeName {
  enum class Part { kExpert, kGateWeight, kGateBias, kTable };
  std::string_view block;  // "layers.3"
  Part part = Part::kExpert;
  int expert = -1;        // kExpert
  std::string_view rest;  // kExpert: "w1.weight"
};

/// Nothing for names that pruning leaves alone (shared experts included).
std::optional<MoeName> parse_moe_name(std::string_view name);

/// A hash table's row in the new numbers. A dropped entry becomes spare[(token + slot) % size],
/// where spare are the kept experts, ascending, that the row (as changed so far) lacks. `row` holds
/// ids below cut.n_experts.
void remap_row(const Cut& cut, int64_t token, std::span<int64_t> row);

}  // namespace ds4::reap
