#include "reports/store/migrations.h"

#include <array>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::reports {

extern const std::string_view schema_sql;    // schema.sql, embedded at build time
extern const std::string_view schema_2_sql;  // schema_2.sql
extern const std::string_view schema_3_sql;
extern const std::string_view schema_4_sql;
extern const std::string_view schema_5_sql;
extern const std::string_view schema_6_sql;
extern const std::string_view schema_7_sql;
extern const std::string_view schema_8_sql;
extern const std::string_view schema_9_sql;
extern const std::string_view schema_10_sql;

std::span<const Migration> all_migrations() {
  static const std::array migrations{Migration{1, schema_sql},   Migration{2, schema_2_sql},
                                     Migration{3, schema_3_sql}, Migration{4, schema_4_sql},
                                     Migration{5, schema_5_sql}, Migration{6, schema_6_sql},
                                     Migration{7, schema_7_sql}, Migration{8, schema_8_sql},
                                     Migration{9, schema_9_sql}, Migration{10, schema_10_sql}};
  return migrations;
}

namespace {

// The schema version, after refusing databases that are not ours to touch.
int64_t checked_version(Database& database, std::span<const Migration> migrations) {
  const int64_t version = database.integer("PRAGMA user_version");
  const int64_t application = database.integer("PRAGMA application_id");
  const bool empty = database.integer("SELECT count(*) FROM sqlite_schema") == 0;
  if (application != kApplicationId && !(empty && application == 0 && version == 0)) {
    throw Error(ErrorCode::kIo,
                database.path().string() + ": a SQLite database, but not of ds4-sweep",
                "Name another file with --db.");
  }
  const int newest = migrations.back().version;
  if (version > newest) {
    throw Error(ErrorCode::kIo,
                database.path().string() + ": written by a newer ds4-sweep (schema " +
                    std::to_string(version) + "; this build knows up to " + std::to_string(newest) +
                    ")",
                "Use that newer ds4-sweep, or name another file with --db.");
  }
  return version;
}

}  // namespace

void migrate(Database& database, std::span<const Migration> migrations) {
  DS4_CHECK(!migrations.empty());
  if (checked_version(database, migrations) == migrations.back().version) return;
  for (const Migration& migration : migrations) {
    Transaction transaction(database);
    // Read inside the transaction: another process may have migrated meanwhile.
    if (database.integer("PRAGMA user_version") >= migration.version) continue;
    database.execute(migration.sql, "migrate the schema");
    database.execute("PRAGMA application_id = " + std::to_string(kApplicationId), "migrate");
    database.execute("PRAGMA user_version = " + std::to_string(migration.version), "migrate");
    transaction.commit();
  }
}

void require_current(Database& database, std::span<const Migration> migrations) {
  DS4_CHECK(!migrations.empty());
  const int64_t version = checked_version(database, migrations);
  if (version == 0) {  // whoever made it was stopped before its first transaction
    throw Error(ErrorCode::kIo, database.path().string() + ": holds no runs yet",
                "Run a profile first, or name another database with --db.");
  }
  if (version < migrations.back().version) {
    throw Error(ErrorCode::kIo,
                database.path().string() + ": schema " + std::to_string(version) +
                    " is older than this build's " + std::to_string(migrations.back().version),
                "Open it once with a verb that writes (run, resume or rescore) to bring it up to "
                "date.");
  }
}

}  // namespace ds4::reports
