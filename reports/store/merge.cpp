#include "reports/store/merge.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "reports/store/merge_run.h"
#include "reports/store/migrations.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

// The joined run's UUID (version 8, RFC 9562): the same wherever and in whatever order its shards
// are joined.
std::string joined_id(const Origin& origin) {
  std::string hex = sha256_hex("ds4-sweep sweep\n" + origin.sweep + "\n" + origin.sweep_id + "\n" +
                               std::to_string(origin.shards));
  hex[12] = '8';
  hex[16] = "89ab"[hex[16] % 4];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20, 12);
}

// An empty file whose name goes with the object; who has it open keeps it.
class TemporaryFile {
 public:
  TemporaryFile() : path_(std::filesystem::temp_directory_path() / "ds4-merge-XXXXXX") {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) {
      throw Error(ErrorCode::kIo, path_ + ": cannot be made",
                  "Name a folder that may be written with TMPDIR.");
    }
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A database to read from, as it is at one moment. One of an older schema is read from a copy that
// is brought up to date and has no name any more once it is open.
std::unique_ptr<Database> open_source(const std::filesystem::path& path) {
  auto database = std::make_unique<Database>(path, Database::Mode::kReadOnly);
  const auto migrations = all_migrations();
  if (database->integer("PRAGMA application_id") == kApplicationId &&
      database->integer("PRAGMA user_version") < migrations.back().version) {
    const TemporaryFile copy;
    Statement(*database, "VACUUM INTO ?", "copy").bind(copy.path()).run();
    database = std::make_unique<Database>(copy.path(), Database::Mode::kCreate);
    migrate(*database, migrations);
  }
  require_current(*database, migrations);
  database->execute("BEGIN", "read");
  return database;
}

// The runs of a database, a joined one in its parts.
void collect(Database& from, bool shards_only, std::vector<Origin>& origins) {
  Statement rows(from,
                 "SELECT id, profile_name, commit_hash, dirty, checkpoint_identity, sweep, "
                 "sweep_id, shard, shards, machine, command_line, started_at, finished_at FROM "
                 "runs" +
                     std::string(shards_only ? " WHERE shard > 0" : ""));
  while (rows.step()) {
    Origin origin;
    origin.from = &from;
    origin.id = origin.run_id = rows.text(0);
    origin.profile_name = rows.text(1);
    origin.commit = rows.text(2);
    origin.dirty = rows.integer(3) != 0;
    origin.checkpoint_identity = rows.text(4);
    origin.sweep = rows.text(5);
    origin.sweep_id = rows.text(6);
    origin.shard = rows.integer(7);
    origin.shards = rows.integer(8);
    origin.machine = rows.text(9);
    origin.command_line = rows.text(10);
    origin.started_at = rows.text(11);
    origin.finished_at = rows.text(12);
    Statement parts(from,
                    "SELECT number, source_id, shard, machine, command_line, started_at, "
                    "finished_at FROM parts WHERE run_id = ?");
    parts.bind(origin.id);
    bool joined = false;
    while (parts.step()) {
      joined = true;
      Origin part = origin;
      part.part = parts.integer(0);
      part.id = parts.text(1);
      part.shard = parts.integer(2);
      part.machine = parts.text(3);
      part.command_line = parts.text(4);
      part.started_at = parts.text(5);
      part.finished_at = parts.text(6);
      origins.push_back(std::move(part));
    }
    Statement own(from,
                  "SELECT 1 FROM launches WHERE run_id = ?1 AND part = 0 UNION ALL "
                  "SELECT 1 FROM attempts WHERE run_id = ?1 AND part = 0");
    own.bind(origin.id);
    if (!joined || own.step()) origins.push_back(std::move(origin));
  }
}

class Merger {
 public:
  Merger(Database& out, const MergeOptions& options) : out_(out), options_(options) {}

  void take(const Origin& origin) {
    const Target target = place(origin);
    run_of_[{origin.from, origin.run_id}] = target.run_id;
    RunCopy copy(origin, out_, target, options_);
    copy.copy();
    ++result.runs;
    result.added += target.fresh;
    result.grown += !target.fresh && copy.gained();
    result.attempts_added += copy.attempts_added();
    note_end(origin, target);
    if (target.part > 0) changed_[target.run_id] |= target.fresh || copy.gained();
  }

  // A name that is taken keeps its meaning.
  void take_baselines(Database& from) {
    Statement rows(from, "SELECT name, run_id, set_at FROM baselines");
    Statement insert(out_,
                     "INSERT OR IGNORE INTO baselines (name, run_id, set_at) VALUES (?, ?, ?)",
                     "join the databases");
    while (rows.step()) {
      const auto run = run_of_.find({&from, rows.text(1)});
      if (run == run_of_.end()) continue;
      insert.bind(rows.text(0)).bind(run->second).bind(rows.text(2)).run();
    }
  }

  // The shards' own rows in `out`, once they are part of a joined run.
  void drop(const std::string& run_id) {
    Statement moved(out_, "UPDATE baselines SET run_id = ? WHERE run_id = ?", "join the databases");
    moved.bind(run_of_.at({&out_, run_id})).bind(run_id).run();
    delete_run(out_, run_id);
  }

  void finish() {
    for (const auto& [run_id, changed] : changed_) {
      if (changed) refresh(run_id);
      result.sweeps.push_back(describe(run_id, changed));
    }
  }

  MergeResult result;

 private:
  Target place(const Origin& origin) {
    Statement part(out_, "SELECT run_id, number FROM parts WHERE source_id = ?");
    part.bind(origin.id);
    if (part.step()) return {part.text(0), part.integer(1), false};
    if (origin.shard == 0) {
      Statement run(out_, "SELECT 1 FROM runs WHERE id = ?");
      run.bind(origin.id);
      if (run.step()) return {origin.id, 0, false};
      RowCopy(*origin.from, out_, "runs").copy({"id = ?", {origin.run_id}}, {});
      return {origin.id, 0, true};
    }
    const std::string id = joined_id(origin);
    Statement run(out_, "SELECT commit_hash, dirty, checkpoint_identity FROM runs WHERE id = ?");
    run.bind(id);
    if (run.step()) {
      require_same(origin, run);
    } else {
      RowCopy(*origin.from, out_, "runs")
          .copy({"id = ?", {origin.run_id}},
                {{"id", id}, {"shard", int64_t{0}}, {"finished_at", std::string()}});
    }
    const int64_t number = next_part(id);
    Statement insert(out_,
                     "INSERT INTO parts (run_id, number, source_id, shard, machine, command_line, "
                     "started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                     "join the databases");
    insert.bind(id).bind(number).bind(origin.id).bind(origin.shard).bind(origin.machine);
    insert.bind(origin.command_line).bind(origin.started_at).bind(origin.finished_at).run();
    return {id, number, true};
  }

  int64_t next_part(const std::string& run_id) {
    Statement last(out_, "SELECT 1 + coalesce(max(number), 0) FROM parts WHERE run_id = ?");
    last.bind(run_id);
    last.step();
    return last.integer(0);
  }

  void require_same(const Origin& origin, const Statement& run) const {
    if (options_.force) return;
    const auto commit = [](const std::string& hash, bool dirty) {
      return hash.substr(0, 12) + (dirty ? " (modified)" : "");
    };
    if (origin.commit != run.text(0) || origin.dirty != (run.integer(1) != 0)) {
      throw Error(ErrorCode::kUsage,
                  origin.text() + " was made by commit " + commit(origin.commit, origin.dirty) +
                      ", others of the sweep by " + commit(run.text(0), run.integer(1) != 0),
                  "Run that shard again with the others' commit, or mix the two knowingly with "
                  "--force.");
    }
    if (origin.checkpoint_identity != run.text(2)) {
      throw Error(ErrorCode::kUsage,
                  origin.text() + " had another checkpoint (identity " +
                      origin.checkpoint_identity.substr(0, 12) + ") than others of the sweep (" +
                      run.text(2).substr(0, 12) + ")",
                  "Run that shard again with the others' checkpoint, or mix the two knowingly with "
                  "--force.");
    }
  }

  // A run that was copied while it was unfinished may have ended since.
  void note_end(const Origin& origin, const Target& target) {
    if (target.fresh || origin.finished_at.empty()) return;
    Statement end(out_,
                  target.part > 0
                      ? "UPDATE parts SET finished_at = ?1 WHERE source_id = ?2 AND "
                        "finished_at = ''"
                      : "UPDATE runs SET finished_at = ?1 WHERE id = ?2 AND finished_at = ''",
                  "join the databases");
    end.bind(origin.finished_at).bind(origin.id).run();
    if (target.part > 0 && out_.integer("SELECT changes()") > 0) changed_[target.run_id] = true;
  }

  std::vector<int> missing(const std::string& run_id) {
    Statement run(out_, "SELECT shards FROM runs WHERE id = ?");
    run.bind(run_id);
    run.step();
    std::set<int64_t> there;
    Statement parts(out_, "SELECT shard FROM parts WHERE run_id = ?");
    parts.bind(run_id);
    while (parts.step()) there.insert(parts.integer(0));
    std::vector<int> missing;
    for (int64_t shard = 1; shard <= run.integer(0); ++shard) {
      if (!there.contains(shard)) missing.push_back(static_cast<int>(shard));
    }
    return missing;
  }

  // What the joined run says of itself: times and machine of its parts, and a turn for the cells of
  // shards that are missing, so that `resume` can run them.
  void refresh(const std::string& run_id) {
    Statement waiting(out_,
                      "INSERT INTO queue (run_id, ordinal, cell_key, need_bytes, again_of, state, "
                      "reason) SELECT run_id, (SELECT coalesce(max(ordinal), -1) FROM queue WHERE "
                      "run_id = ?1) + row_number() OVER (ORDER BY ordinal, key), key, 0, -1, "
                      "'waiting', '' FROM cells WHERE run_id = ?1 AND key NOT IN (SELECT cell_key "
                      "FROM queue WHERE run_id = ?1)",
                      "join the databases");
    waiting.bind(run_id).run();
    std::vector<json> machines;
    std::string last_end;
    bool ended = missing(run_id).empty();
    Statement parts(
        out_, "SELECT machine, finished_at FROM parts WHERE run_id = ? ORDER BY shard, number");
    parts.bind(run_id);
    while (parts.step()) {
      machines.push_back(json::parse(parts.text(0), nullptr, false));
      ended = ended && !parts.text(1).empty();
      last_end = std::max(last_end, parts.text(1));
    }
    Statement update(
        out_,
        "UPDATE runs SET machine = ?2, started_at = (SELECT min(started_at) FROM parts "
        "WHERE run_id = ?1), finished_at = max(finished_at, ?3) WHERE id = ?1",
        "join the databases");
    update.bind(run_id).bind(machine_of(machines)).bind(ended ? last_end : "").run();
  }

  // One description of all machines: a key in which they differ lists its values.
  static std::string machine_of(const std::vector<json>& machines) {
    json joined = json::object();
    for (const json& machine : machines) {
      if (!machine.is_object()) continue;
      for (const auto& [key, value] : machine.items()) {
        json& values = joined[key];
        if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
      }
    }
    for (auto& [key, values] : joined.items()) {
      if (values.size() == 1) values = json(values.at(0));
    }
    return joined.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  MergedSweep describe(const std::string& run_id, bool changed) {
    Statement run(out_,
                  "SELECT profile_name, sweep_id, shards, (SELECT count(*) FROM cells WHERE run_id "
                  "= ?1), (SELECT count(DISTINCT machine) FROM parts WHERE run_id = ?1) FROM runs "
                  "WHERE id = ?1");
    run.bind(run_id);
    run.step();
    return {run_id,
            run.text(0),
            run.text(1),
            static_cast<int>(run.integer(2)),
            missing(run_id),
            static_cast<int>(run.integer(3)),
            static_cast<int>(run.integer(4)),
            changed};
  }

  Database& out_;
  const MergeOptions& options_;
  std::map<std::pair<Database*, std::string>, std::string> run_of_;
  std::map<std::string, bool> changed_;  // joined runs, by id
};

}  // namespace

MergeResult merge_databases(const std::filesystem::path& out,
                            std::span<const std::filesystem::path> sources,
                            const MergeOptions& options) {
  std::vector<std::unique_ptr<Database>> opened;
  for (const std::filesystem::path& source : sources) {
    std::error_code ignored;
    if (std::filesystem::equivalent(source, out, ignored)) continue;
    opened.push_back(open_source(source));
  }
  if (out.has_parent_path()) make_folders(out.parent_path());
  Database database(out, Database::Mode::kCreate);
  migrate(database, all_migrations());
  database.use_write_ahead_log();
  Transaction transaction(database);
  std::vector<Origin> origins;
  collect(database, true, origins);
  std::vector<std::string> shards;
  for (const Origin& origin : origins) shards.push_back(origin.run_id);
  for (const auto& source : opened) collect(*source, false, origins);
  // In one order, however the databases were named; a joined run's own rows after its parts.
  const auto rank = [](const Origin& o) {
    return std::tuple(o.shard == 0, o.shard, o.started_at, o.id, o.from->path());
  };
  std::stable_sort(origins.begin(), origins.end(),
                   [&](const Origin& a, const Origin& b) { return rank(a) < rank(b); });
  Merger merger(database, options);
  for (const Origin& origin : origins) merger.take(origin);
  for (const auto& source : opened) merger.take_baselines(*source);
  for (const std::string& shard : shards) merger.drop(shard);
  merger.finish();
  transaction.commit();
  return std::move(merger.result);
}

}  // namespace ds4::reports
