// Where results go: room, kind of file system, and the database as it stands.
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "reports/store/store.h"
#include "runners/doctor/checks.h"
#include "runners/doctor/mounts.h"

namespace ds4::runners::doctor {
namespace {

namespace fs = std::filesystem;

// A long sweep stores well under this, telemetry and reports with it.
constexpr int64_t kRoom = int64_t{4} << 30;
// With less, a run of some hours may not end.
constexpr int64_t kLeastRoom = int64_t{256} << 20;

Finding room(const Sources& sources, const fs::path& folder) {
  const std::string where = "the database's disk (" + printable(folder.native()) + ")";
  const DiskReport disk = sources.disk(folder);
  if (!disk.problem.empty()) {
    return {Level::kProblem, "database-disk", where + " cannot be asked: " + disk.problem,
            "df -h " + printable(folder.native())};
  }
  if (!disk.writable) {
    return {Level::kProblem, "database-disk", where + " may not be written by this user",
            "Name a file elsewhere with --db, or: sudo chown $USER " + printable(folder.native())};
  }
  const Level level = disk.free_bytes < kLeastRoom ? Level::kProblem
                      : disk.free_bytes < kRoom    ? Level::kWarning
                                                   : Level::kOk;
  return {level, "database-disk", where + " has " + format_bytes(disk.free_bytes) + " free",
          level == Level::kOk
              ? ""
              : "ds4-sweep prune --keep 30 --dry-run; df -h " + printable(folder.native())};
}

Finding file_system(const Sources& sources, const fs::path& folder) {
  const std::string type =
      printable(mount_type(sources.text("proc/self/mountinfo").value_or(""), folder));
  switch (file_system_kind(type)) {
    case FileSystem::kMemory:
      return {Level::kWarning, "database-file-system",
              "the database is in memory (" + type +
                  "): a reset of the machine takes every result "
                  "with it",
              "Name a file on a disk: --db ~/ds4-sweep/results.db"};
    case FileSystem::kNetwork:
      return {Level::kWarning, "database-file-system",
              "the database is on " + type +
                  ": SQLite's log needs locks and shared memory that "
                  "network file systems rarely keep",
              "Name a file on a local disk: --db ~/ds4-sweep/results.db"};
    case FileSystem::kLocal:
      break;
  }
  return {Level::kOk, "database-file-system", "file system " + (type.empty() ? "not told" : type),
          ""};
}

}  // namespace

Findings check_database(const Sources& sources, const fs::path& database) {
  std::error_code error;
  const fs::path file = fs::absolute(database, error).lexically_normal();
  Findings findings{room(sources, file.parent_path()), file_system(sources, file.parent_path())};
  if (!fs::exists(file, error)) {
    findings.push_back({Level::kOk, "database", "no database yet; the first run makes it", ""});
    return findings;
  }
  try {
    const auto store = reports::Store::open_read_only(file);
    const auto runs = store->runs();
    size_t unfinished = 0;
    for (const reports::RunRow& run : runs) unfinished += run.finished_at.empty() ? 1 : 0;
    const std::string count = std::to_string(runs.size()) + (runs.size() == 1 ? " run" : " runs");
    if (unfinished == 0) {
      findings.push_back({Level::kOk, "database", count + ", all of them finished", ""});
    } else {
      findings.push_back({Level::kNote, "database",
                          count + ", " + std::to_string(unfinished) + " not finished",
                          "ds4-sweep list runs; ds4-sweep resume RUN"});
    }
  } catch (const Error& problem) {
    findings.push_back({Level::kWarning, "database", problem.what(), problem.hint()});
  }
  return findings;
}

}  // namespace ds4::runners::doctor
