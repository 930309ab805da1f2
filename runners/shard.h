// Which cells of a sweep a machine of a fleet runs: decided from the profile alone, so that shards
// need no coordinator. How their databases become one again: reports/store/merge.h.
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/plan.h"

namespace ds4::runners {

/// `--shard 2/3 --sweep-id night-12`. The default runs every cell.
struct Shard {
  int index = 0;  // 1 .. count; 0 = every cell
  int count = 1;
  std::string sweep_id;  // tells two executions of one sweep apart
};

/// Reads "2/3"; "" is every cell. Throws Error(kUsage) unless 1 <= i <= n, or when the id is not
/// made of letters, digits, '.', '_' and '-'.
Shard parse_shard(const std::string& text, const std::string& sweep_id);

/// The shard, from 1, of each cell: the largest cells first, each to the shard with the least work
/// so far. Work is prompt tokens and cases, so that no machine model is needed; equal cells are
/// dealt in turn. Throws Error(kUsage) when there are fewer cells than shards.
std::vector<int> shards_of(const profiles::Plan& plan, int count);

/// The plan with the shard's cells only.
profiles::Plan own_cells(const profiles::Plan& plan, const Shard& shard);

/// What runs of one sweep have in common: 16 hexadecimal digits of the hash of the profile's text
/// and the keys of its cells.
std::string sweep_key(const profiles::Plan& plan);

}  // namespace ds4::runners
