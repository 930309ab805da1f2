// Names for runs that others are held against, in the table of that name.
#include <algorithm>

#include "engine/base/error.h"
#include "reports/store/sqlite_store.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxName = 64;

// A name must read back from a command line, a profile and a file name.
void require_name(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (plain && !name.empty() && name.size() <= kMaxName) return;
  throw Error(ErrorCode::kUsage, "`" + name + "` cannot name a baseline",
              "Use up to 64 letters, digits, `-`, `_` and `.`.");
}

}  // namespace

void SqliteStore::set_baseline(const BaselineRow& baseline) {
  require_name(baseline.name);
  Transaction transaction(database_);
  Statement insert(database_,
                   "INSERT INTO baselines (name, run_id, set_at) VALUES (?, ?, ?) "
                   "ON CONFLICT (name) DO UPDATE SET run_id = excluded.run_id, "
                   "set_at = excluded.set_at",
                   "name the baseline");
  insert.bind(baseline.name).bind(baseline.run_id).bind(baseline.set_at).run();
  transaction.commit();
}

void SqliteStore::remove_baseline(const std::string& name) {
  baseline(name);  // throws when there is none
  Transaction transaction(database_);
  Statement remove(database_, "DELETE FROM baselines WHERE name = ?", "remove the baseline");
  remove.bind(name).run();
  transaction.commit();
}

std::vector<BaselineRow> SqliteStore::baselines() {
  Statement rows(database_, "SELECT name, run_id, set_at FROM baselines ORDER BY name");
  std::vector<BaselineRow> result;
  while (rows.step()) result.push_back({rows.text(0), rows.text(1), rows.text(2)});
  return result;
}

BaselineRow SqliteStore::baseline(const std::string& name) {
  std::string known;
  for (const BaselineRow& row : baselines()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  throw Error(ErrorCode::kUsage,
              "no baseline `" + name + "` in " + database_.path().string() +
                  (known.empty() ? ", which names none" : ", which names " + known),
              "Name a run so: ds4-sweep baseline set " + name + " RUN.");
}

}  // namespace ds4::reports
