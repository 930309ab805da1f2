// Removing old runs from a database and giving their space back to the disk. Which runs go is a
// pure function; taking them out is safe to kill at any moment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "reports/store/store.h"

namespace ds4::reports {

struct PruneRule {
  int64_t keep = 0;         // the newest so many runs of every profile stay
  std::string before;       // only runs that began before this UTC time go; "" = whenever
  bool unfinished = false;  // also runs that were never finished; they may be running now
};

/// The runs that go, newest first: those the rule leaves, but none that a baseline names.
/// `runs` are newest first.
std::vector<RunRow> runs_to_prune(const std::vector<RunRow>& runs,
                                  const std::vector<BaselineRow>& baselines, const PruneRule& rule);

struct Pruned {
  int64_t rows = 0;                           // of all tables but texts
  int64_t texts = 0;                          // that no attempt used any more
  int64_t bytes_before = 0, bytes_after = 0;  // of the database file
  std::string not_shrunk;  // why the file kept its length; its free pages are used again
};

/// Takes the runs out with every row that belongs to them, each in a transaction of its own, then
/// texts that nothing refers to, then shrinks the file. A kill in between leaves a whole database,
/// and the same command goes on where it ended. Throws Error(kIo); Error(kUsage) for a run that a
/// baseline names.
Pruned prune(const std::filesystem::path& database, const std::vector<std::string>& run_ids);

}  // namespace ds4::reports
