// Rows copied from one database to another of the same schema, whatever columns they have; some
// columns get another value on the way. For merge.cpp and merge_run.cpp.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "reports/store/database.h"

namespace ds4::reports {

using ColumnValue = std::variant<int64_t, std::string>;
using Replaced = std::map<std::string, ColumnValue>;

/// A WHERE clause with the values of its parameters.
struct Condition {
  std::string sql;
  std::vector<ColumnValue> values;
};

void bind_all(Statement& statement, const std::vector<ColumnValue>& values);

/// What happens to a row whose key is taken.
enum class OnTaken { kFail, kSkip };

/// One table in two databases. An INTEGER PRIMARY KEY `id` is never copied: `to` gives a new one.
class RowCopy {
 public:
  RowCopy(Database& from, Database& to, const std::string& table,
          OnTaken on_taken = OnTaken::kFail);

  /// Copies the rows that `condition` selects in `from`. Returns how many rows `to` gained.
  int64_t copy(const Condition& condition, const Replaced& replaced);

  /// Overwrites the row of `to` that `target` selects with the one `condition` selects.
  void overwrite(const Condition& condition, const Replaced& replaced, const Condition& target);

 private:
  Database& from_;
  Database& to_;
  std::string table_;
  std::vector<std::string> columns_;
  std::string list_;    // "a, b, c"
  std::string insert_;  // INSERT with a place for each
};

}  // namespace ds4::reports
