// Joins databases: runs are kept by their UUID, and the shards of one sweep become one run. Never
// averages, never drops a row, and does nothing the second time. docs/fleet.md explains it to
// users.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ds4::reports {

struct MergeOptions {
  /// Keeps a cell that several shards measured as repeats of its cases, in place of refusing it.
  bool keep_repeats = false;
  /// Joins shards of other commits or on other checkpoints.
  bool force = false;
};

/// A run made of shards, as it is after the merge.
struct MergedSweep {
  std::string run_id, profile_name, sweep_id;
  int shards = 1;
  std::vector<int> missing;  // shards of which there is no run
  int cells = 0;
  int machines = 1;  // kinds of machine among the shards
  bool changed = false;
};

struct MergeResult {
  int runs = 0;  // in the databases, one run of a shard each
  int added = 0, grown = 0;
  int64_t attempts_added = 0;
  std::vector<MergedSweep> sweeps;  // those the databases have a shard of
};

/// Adds what `sources` hold to `out`, which is made when missing; shards in `out` itself are joined
/// too. One transaction: killed at any moment, `out` is as it was or complete. Sources are only
/// read, and of an older schema copied first. Throws Error(kUsage) when shards contradict each
/// other, when a cell was measured twice and when a run went on differently in two databases,
/// Error(kIo) for files; `out` is then as it was.
MergeResult merge_databases(const std::filesystem::path& out,
                            std::span<const std::filesystem::path> sources,
                            const MergeOptions& options);

/// Tables that a merge knows; a test holds them against the schema.
std::span<const char* const> merged_tables();

}  // namespace ds4::reports
