#include "reports/store/prune.h"

#include <map>
#include <set>

#include "engine/base/error.h"
#include "reports/store/database.h"
#include "reports/store/migrations.h"

namespace ds4::reports {
namespace {

namespace fs = std::filesystem;

// `columns` of `table` refer to `parent_columns` of another table.
struct Reference {
  std::string table, columns, parent_columns;
};

// Every reference to `parent` in the schema: tables of later versions are found as well.
std::vector<Reference> references_to(Database& database, const std::string& parent) {
  Statement rows(database,
                 "SELECT m.name, group_concat(f.\"from\"), group_concat(coalesce(f.\"to\", 'id')) "
                 "FROM sqlite_schema m, pragma_foreign_key_list(m.name) f "
                 "WHERE m.type = 'table' AND f.\"table\" = ? GROUP BY m.name, f.id ORDER BY m.name",
                 "read the schema");
  rows.bind(parent);
  std::vector<Reference> references;
  while (rows.step()) references.push_back({rows.text(0), rows.text(1), rows.text(2)});
  return references;
}

// Deletes the rows of `table` that `condition` selects (its ?1 is the run), behind all that refer
// to them. Returns how many rows went in all.
int64_t remove_rows(Database& database, const std::string& table, const std::string& condition,
                    const std::string& run_id) {
  int64_t rows = 0;
  for (const Reference& child : references_to(database, table)) {
    rows += remove_rows(database, child.table,
                        "(" + child.columns + ") IN (SELECT " + child.parent_columns + " FROM " +
                            table + " WHERE " + condition + ")",
                        run_id);
  }
  Statement(database, "DELETE FROM " + table + " WHERE " + condition, "remove a run")
      .bind(run_id)
      .run();
  return rows + database.integer("SELECT changes()");
}

void refuse_baseline(Database& database, const std::string& run_id) {
  Statement names(database, "SELECT name FROM baselines WHERE run_id = ?");
  if (!names.bind(run_id).step()) return;
  throw Error(
      ErrorCode::kUsage, "run " + run_id.substr(0, 8) + " is the baseline `" + names.text(0) + "`",
      "Let the name mean another run, or remove it: ds4-sweep baseline remove " + names.text(0));
}

int64_t remove_unused_texts(Database& database) {
  std::string used;
  for (const Reference& user : references_to(database, "texts")) {
    used += (used.empty() ? "" : " UNION ALL ") + std::string("SELECT ") + user.columns + " FROM " +
            user.table;
  }
  Transaction transaction(database);
  database.execute("DELETE FROM texts WHERE id NOT IN (" + used + ")", "remove unused texts");
  const int64_t n = database.integer("SELECT changes()");
  transaction.commit();
  return n;
}

int64_t file_bytes(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

std::vector<RunRow> runs_to_prune(const std::vector<RunRow>& runs,
                                  const std::vector<BaselineRow>& baselines,
                                  const PruneRule& rule) {
  std::set<std::string> named;
  for (const BaselineRow& baseline : baselines) named.insert(baseline.run_id);
  std::map<std::string, int64_t> seen;  // runs of a profile so far
  std::vector<RunRow> go;
  for (const RunRow& run : runs) {
    if (++seen[run.profile_name] <= rule.keep || named.contains(run.id)) continue;
    if (!rule.before.empty() && run.started_at >= rule.before) continue;
    if (run.finished_at.empty() && !rule.unfinished) continue;
    go.push_back(run);
  }
  return go;
}

Pruned prune(const fs::path& path, const std::vector<std::string>& run_ids) {
  Database database(path, Database::Mode::kCreate);
  require_current(database, all_migrations());
  database.use_write_ahead_log();
  Pruned pruned;
  pruned.bytes_before = file_bytes(path);
  for (const std::string& id : run_ids) {
    Transaction transaction(database);
    refuse_baseline(database, id);
    pruned.rows += remove_rows(database, "runs", "id = ?1", id);
    transaction.commit();
  }
  pruned.texts = remove_unused_texts(database);
  try {
    // Atomic: a kill leaves the old file. Needs as much room again, and nobody else inside.
    database.execute("VACUUM", "shrink the database");
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)", "shrink the database");
  } catch (const Error& error) {
    pruned.not_shrunk = error.what();
  }
  pruned.bytes_after = file_bytes(path);
  return pruned;
}

}  // namespace ds4::reports
