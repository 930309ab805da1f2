#include "reports/store/row_copy.h"

#include "engine/base/check.h"

namespace ds4::reports {
namespace {

void bind_one(Statement& statement, const ColumnValue& value) {
  std::visit([&](const auto& v) { statement.bind(v); }, value);
}

void bind_row(Statement& statement, const Statement& row, const std::vector<std::string>& columns,
              const Replaced& replaced) {
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto found = replaced.find(columns[i]);
    if (found == replaced.end()) {
      statement.bind_from(row, static_cast<int>(i));
    } else {
      bind_one(statement, found->second);
    }
  }
}

}  // namespace

void bind_all(Statement& statement, const std::vector<ColumnValue>& values) {
  for (const ColumnValue& value : values) bind_one(statement, value);
}

RowCopy::RowCopy(Database& from, Database& to, const std::string& table, OnTaken on_taken)
    : from_(from), to_(to), table_(table) {
  Statement columns(to, "SELECT name, type, pk FROM pragma_table_info('" + table + "')");
  std::string places;
  while (columns.step()) {
    const std::string name = columns.text(0);
    if (name == "id" && columns.text(1) == "INTEGER" && columns.integer(2) == 1) continue;
    columns_.push_back(name);
    list_ += (list_.empty() ? "" : ", ") + name;
    places += places.empty() ? "?" : ", ?";
  }
  DS4_CHECK(!columns_.empty(), table);
  insert_ = std::string(on_taken == OnTaken::kSkip ? "INSERT OR IGNORE" : "INSERT") + " INTO " +
            table + " (" + list_ + ") VALUES (" + places + ")";
}

int64_t RowCopy::copy(const Condition& condition, const Replaced& replaced) {
  Statement rows(from_, "SELECT " + list_ + " FROM " + table_ + " WHERE " + condition.sql);
  bind_all(rows, condition.values);
  Statement insert(to_, insert_, "join the databases");
  const int64_t before = to_.integer("SELECT total_changes()");
  while (rows.step()) {
    bind_row(insert, rows, columns_, replaced);
    insert.run();
  }
  return to_.integer("SELECT total_changes()") - before;
}

void RowCopy::overwrite(const Condition& condition, const Replaced& replaced,
                        const Condition& target) {
  Statement rows(from_, "SELECT " + list_ + " FROM " + table_ + " WHERE " + condition.sql);
  bind_all(rows, condition.values);
  if (!rows.step()) return;
  std::string sets;
  for (const std::string& column : columns_) sets += (sets.empty() ? "" : ", ") + column + " = ?";
  Statement update(to_, "UPDATE " + table_ + " SET " + sets + " WHERE " + target.sql,
                   "join the databases");
  bind_row(update, rows, columns_, replaced);
  bind_all(update, target.values);
  update.run();
}

}  // namespace ds4::reports
