// One run, or the rows that a shard gave a joined run, copied from one database to another. What is
// there already is recognised and left. For merge.cpp.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "reports/store/merge.h"
#include "reports/store/row_copy.h"

namespace ds4::reports {

/// Rows that were measured together: a run as it was made, or a part of a joined run.
struct Origin {
  Database* from = nullptr;
  std::string id;      // the UUID it was made under
  std::string run_id;  // where its rows are now ...
  int64_t part = 0;    // ... and which of them they are
  std::string profile_name, commit, checkpoint_identity;
  bool dirty = false;
  std::string sweep, sweep_id;
  int64_t shard = 0, shards = 1;
  std::string machine, command_line, started_at, finished_at;

  /// "shard 2/3 (run 1234abcd in FILE)" for messages.
  std::string text() const;
};

/// Where an origin's rows belong in the joined database.
struct Target {
  std::string run_id;
  int64_t part = 0;
  bool fresh = true;  // nothing of the origin is there yet
};

class RunCopy {
 public:
  RunCopy(const Origin& origin, Database& out, const Target& target, const MergeOptions& options);

  /// Copies what is missing. Throws Error(kUsage) when the two went on differently, or when a cell
  /// was measured by another origin too.
  void copy();

  int64_t attempts_added() const { return attempts_added_; }
  /// Whether anything new came.
  bool gained() const { return gained_; }

 private:
  void copy_cells();
  void copy_queue();
  void copy_launches();
  void copy_attempts();
  void copy_exchanges(int64_t from_attempt, int64_t out_attempt);
  void copy_trace(int64_t from_attempt, int64_t out_attempt);
  void copy_scores(int64_t from_attempt, int64_t out_attempt);
  int64_t copy_text(int64_t id);
  void require_room(const std::string& cell);
  int64_t next_launch(const std::string& cell, int64_t number);
  [[noreturn]] void diverged(const std::string& cell, const char* what, int64_t number) const;

  const Origin& origin_;
  Database& out_;
  const Target& target_;
  const MergeOptions& options_;
  std::map<std::string, std::string> labels_;                         // of cells, by key
  std::map<std::string, bool> room_;                                  // cells asked about
  std::map<std::string, int64_t> offsets_;                            // of launch numbers, by cell
  std::map<std::pair<std::string, int64_t>, int64_t> launch_number_;  // from -> out
  std::unordered_map<int64_t, int64_t> texts_;                        // from -> out
  int64_t attempts_added_ = 0;
  bool gained_ = false;
};

/// Removes a run and every row of it; texts stay, since others may share them.
void delete_run(Database& database, const std::string& run_id);

}  // namespace ds4::reports
