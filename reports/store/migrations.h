// Schema versions: how a new or older database is brought to the schema this build reads.
#pragma once

#include <span>
#include <string_view>

#include "reports/store/database.h"

namespace ds4::reports {

/// SQL that takes a database from version - 1 to version.
struct Migration {
  int version = 0;
  std::string_view sql;
};

/// Every migration, versions 1, 2, ... in order; the first creates the schema.
std::span<const Migration> all_migrations();

/// PRAGMA application_id of our databases ("DS4S"), so that a foreign one is not written to.
constexpr int64_t kApplicationId = 0x44533453;

/// Applies what is missing, each step in a transaction of its own. Throws Error(kIo) for a newer
/// schema or a database of another program.
void migrate(Database& database, std::span<const Migration> migrations);

/// Throws Error(kIo) unless the database has exactly the newest of `migrations`.
void require_current(Database& database, std::span<const Migration> migrations);

}  // namespace ds4::reports
