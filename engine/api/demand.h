// What a pass of the model cannot do without, counted from headers alone: bytes of weights and of
// cached rows, and floating-point operations. Whoever knows a machine's ceilings knows from it the
// most that any engine can reach there. Activations are left out: they fit caches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ds4 {

struct PassDemand {
  struct Part {
    std::string name;         // a component of Inventory, "cached rows", "indexer's keys"
    double weight_bytes = 0;  // each weight once, however many rows use it
    double cache_bytes = 0;   // each cached row once
    double flops = 0;         // a multiply-add counts as two
    double bytes() const { return weight_bytes + cache_bytes; }
  };
  std::vector<Part> parts;
  int64_t rows = 1;

  Part total() const;
};

/// `rows` tokens of one sequence computed together behind `context` others: a decoded token, the
/// check of drafts, or a prefill chunk. `logits`: how many of the rows the head is applied to. The
/// experts of several rows are taken as chosen evenly and independently, E (1 - (1 - k / E)^rows)
/// of E, which real text stays below. Cached rows are FP8, the indexer's keys FP4.
/// Throws Error(kCheckpoint).
PassDemand pass_demand(const std::filesystem::path& checkpoint, int64_t context, int64_t rows,
                       int64_t logits);

/// Drafting `drafts` tokens: the classic block once a token, each time with the head; DSpark's
/// blocks once, for all rows of a draft block. Rings of recent rows are left out.
/// Throws Error(kCheckpoint) where the checkpoint has no MTP blocks.
PassDemand draft_demand(const std::filesystem::path& checkpoint, int64_t drafts);

}  // namespace ds4
