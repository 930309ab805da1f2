// The reading half of the store.
#include <unordered_map>

#include "engine/base/error.h"
#include "reports/store/exchanges.h"
#include "reports/store/json_tags.h"
#include "reports/store/sqlite_store.h"
#include "reports/store/texts.h"

namespace ds4::reports {
namespace {

constexpr char kRunColumns[] =
    "SELECT id, profile_name, profile_path, profile_text, resolved_profile, commit_hash, dirty, "
    "version, machine, checkpoint_path, checkpoint_identity, command_line, started_at, "
    "finished_at, "
    "sweep, sweep_id, shard, shards FROM runs ";

RunRow read_run(const Statement& row) {
  RunRow run;
  run.id = row.text(0);
  run.profile_name = row.text(1);
  run.profile_path = row.text(2);
  run.profile_text = row.text(3);
  run.resolved_profile = row.text(4);
  run.commit = row.text(5);
  run.dirty = row.integer(6) != 0;
  run.version = row.text(7);
  run.machine = row.text(8);
  run.checkpoint_path = row.text(9);
  run.checkpoint_identity = row.text(10);
  run.command_line = row.text(11);
  run.started_at = row.text(12);
  run.finished_at = row.text(13);
  run.sweep = row.text(14);
  run.sweep_id = row.text(15);
  run.shard = static_cast<int>(row.integer(16));
  run.shards = static_cast<int>(row.integer(17));
  return run;
}

// metric, value, time_s, phase from consecutive columns.
probes::Sample read_sample(const Statement& row, int first) {
  return {row.view(first), row.real(first + 1), row.real(first + 2), row.view(first + 3)};
}

// Tags by the text they are stored as: the cells of a sweep ask the same cases, and each text is
// parsed once.
class TagsReader {
 public:
  const std::map<std::string, std::string>& read(const std::string& json) {
    const auto [place, is_new] = known_.try_emplace(json);
    if (is_new) place->second = tags_from_json(json);
    return place->second;
  }

 private:
  std::unordered_map<std::string, std::map<std::string, std::string>> known_;
};

// Where an attempt's row is in the result, by its id.
using Index = std::unordered_map<int64_t, size_t>;

Index index_by_id(const std::vector<StoredAttempt>& attempts) {
  Index index;
  for (size_t i = 0; i < attempts.size(); ++i) index[attempts[i].id] = i;
  return index;
}

}  // namespace

std::vector<RunRow> SqliteStore::runs() {
  // started_at has a resolution of its own; the row order breaks ties.
  Statement rows(database_, std::string(kRunColumns) + "ORDER BY started_at DESC, rowid DESC");
  std::vector<RunRow> result;
  while (rows.step()) result.push_back(read_run(rows));
  return result;
}

RunRow SqliteStore::run(const std::string& id_or_prefix) {
  constexpr std::string_view kBaseline = "baseline:";
  if (id_or_prefix.starts_with(kBaseline)) {
    return run(baseline(id_or_prefix.substr(kBaseline.size())).run_id);
  }
  std::vector<RunRow> all = runs();
  if (all.empty()) {
    throw Error(ErrorCode::kUsage, database_.path().string() + ": holds no run",
                "Measure something first: ds4-sweep run PROFILE.");
  }
  if (id_or_prefix == "latest") return all.front();
  const RunRow* found = nullptr;
  int n_found = 0;
  for (const RunRow& run : all) {
    if (run.id == id_or_prefix) return run;
    if (!id_or_prefix.empty() && run.id.starts_with(id_or_prefix)) {
      found = &run;
      ++n_found;
    }
  }
  if (n_found == 0) {
    throw Error(ErrorCode::kUsage, "no run `" + id_or_prefix + "` in " + database_.path().string(),
                "`ds4-sweep list runs` shows them; `latest` names the newest, " +
                    all.front().id.substr(0, 8) + ".");
  }
  if (n_found > 1) {
    throw Error(ErrorCode::kUsage,
                "`" + id_or_prefix + "` is the beginning of " + std::to_string(n_found) + " runs",
                "Give more of the run's id.");
  }
  return *found;
}

std::vector<CellRow> SqliteStore::cells(const std::string& run_id) {
  Statement rows(database_,
                 "SELECT key, label, semantics, settings, ordinal, checkpoint_path, "
                 "checkpoint_identity, shard FROM cells WHERE run_id = ?1 "
                 "AND (SELECT shard FROM runs WHERE id = ?1) IN (0, shard) ORDER BY ordinal, key");
  rows.bind(run_id);
  Statement cases(database_,
                  "SELECT suite, case_id, tags FROM planned_cases WHERE run_id = ? AND "
                  "cell_key = ? ORDER BY ordinal");
  TagsReader tags;
  std::vector<CellRow> result;
  while (rows.step()) {
    CellRow cell;
    cell.key = rows.text(0);
    cell.label = rows.text(1);
    cell.semantics = rows.text(2);
    cell.settings = rows.text(3);
    cell.ordinal = static_cast<int>(rows.integer(4));
    cell.checkpoint_path = rows.text(5);
    cell.checkpoint_identity = rows.text(6);
    cell.shard = static_cast<int>(rows.integer(7));
    cases.bind(run_id).bind(cell.key);
    while (cases.step()) {
      cell.cases.push_back({cases.text(0), cases.text(1), tags.read(cases.text(2))});
    }
    cell.cases.shrink_to_fit();
    cases.reset();
    result.push_back(std::move(cell));
  }
  return result;
}

std::vector<TurnRow> SqliteStore::queue(const std::string& run_id) {
  Statement rows(database_,
                 "SELECT ordinal, cell_key, need_bytes, again_of, state, reason FROM queue "
                 "WHERE run_id = ? ORDER BY ordinal");
  rows.bind(run_id);
  std::vector<TurnRow> result;
  while (rows.step()) {
    result.push_back({static_cast<int>(rows.integer(0)), rows.text(1), rows.integer(2),
                      static_cast<int>(rows.integer(3)), rows.text(4), rows.text(5)});
  }
  return result;
}

std::vector<PartRow> SqliteStore::parts(const std::string& run_id) {
  Statement rows(database_,
                 "SELECT number, source_id, shard, machine, command_line, started_at, finished_at "
                 "FROM parts WHERE run_id = ? ORDER BY shard, number");
  rows.bind(run_id);
  std::vector<PartRow> result;
  while (rows.step()) {
    result.push_back({static_cast<int>(rows.integer(0)), rows.text(1),
                      static_cast<int>(rows.integer(2)), rows.text(3), rows.text(4), rows.text(5),
                      rows.text(6)});
  }
  return result;
}

std::vector<LaunchRow> SqliteStore::launches(const std::string& run_id) {
  Statement rows(database_,
                 "SELECT cell_key, number, outcome, phase, exit_code, signal, message, log_tail, "
                 "seconds, started_at, guard, part, notes, boot_id, machine, supervisor_pid, "
                 "supervisor_ticks, oom_kills, telemetry, target, skipped FROM launches "
                 "WHERE run_id = ? ORDER BY id");
  rows.bind(run_id);
  std::vector<LaunchRow> result;
  while (rows.step()) {
    LaunchRow launch;
    launch.cell_key = rows.text(0);
    launch.number = static_cast<int>(rows.integer(1));
    launch.outcome = rows.text(2);
    launch.phase = rows.text(3);
    launch.exit_code = static_cast<int>(rows.integer(4));
    launch.signal = static_cast<int>(rows.integer(5));
    launch.message = rows.text(6);
    launch.log_tail = rows.text(7);
    launch.seconds = rows.real(8);
    launch.started_at = rows.text(9);
    launch.guard = rows.text(10);
    launch.part = static_cast<int>(rows.integer(11));
    launch.notes = rows.text(12);
    launch.origin = {rows.text(13),    rows.text(14),    rows.integer(15),
                     rows.integer(16), rows.integer(17), rows.text(18)};
    launch.target = rows.text(19);
    if (const std::string skipped = rows.text(20); !skipped.empty()) {
      launch.skipped = tags_from_json(skipped);
    }
    result.push_back(std::move(launch));
  }
  return result;
}

std::vector<LaunchSample> SqliteStore::launch_samples(const std::string& run_id) {
  Statement launches(database_,
                     "SELECT id, cell_key, number FROM launches WHERE run_id = ? ORDER BY id");
  launches.bind(run_id);
  // Launch by launch, as they lie in the table: joined, all of them would have to be sorted.
  Statement rows(database_,
                 "SELECT metric, value, time_s, phase FROM launch_samples WHERE launch_id = ? "
                 "ORDER BY seq");
  std::vector<LaunchSample> result;
  while (launches.step()) {
    const Name cell_key = launches.view(1);
    const int number = static_cast<int>(launches.integer(2));
    rows.bind(launches.integer(0));
    while (rows.step()) result.push_back({cell_key, number, read_sample(rows, 0)});
    rows.reset();
  }
  return result;
}

std::vector<StoredAttempt> SqliteStore::attempts(const std::string& run_id, bool with_texts) {
  // A run that is being measured commits between the statements below.
  const Snapshot snapshot(database_);
  std::vector<StoredAttempt> result;
  {
    Statement rows(
        database_,
        "SELECT id, cell_key, suite, suite_version, case_id, number, status, tags, "
        "finish_reason, error, prompt_tokens, completion_tokens, cached_tokens, "
        "first_token_s, end_s, started_at, launch, outcome, note, prompt, text, "
        "id IN (SELECT attempt_id FROM traces) FROM attempts WHERE run_id = ? ORDER BY id");
    rows.bind(run_id);
    TagsReader tags;
    while (rows.step()) {
      StoredAttempt attempt;
      attempt.id = rows.integer(0);
      attempt.cell_key = rows.text(1);
      attempt.suite = rows.text(2);
      attempt.suite_version = static_cast<int>(rows.integer(3));
      attempt.case_id = rows.text(4);
      attempt.number = static_cast<int>(rows.integer(5));
      attempt.status = rows.text(6);
      attempt.tags = tags.read(rows.text(7));
      attempt.finish_reason = rows.text(8);
      attempt.error = rows.text(9);
      attempt.prompt_tokens = rows.integer(10);
      attempt.completion_tokens = rows.integer(11);
      attempt.cached_tokens = rows.integer(12);
      attempt.first_token_s = rows.real(13);
      attempt.end_s = rows.real(14);
      attempt.started_at = rows.text(15);
      attempt.launch = static_cast<int>(rows.integer(16));
      attempt.outcome = rows.text(17);
      attempt.note = rows.text(18);
      attempt.prompt_id = rows.integer(19);
      attempt.text_id = rows.integer(20);
      attempt.has_trace = rows.integer(21) != 0;
      result.push_back(std::move(attempt));
    }
  }
  // Attempt by attempt, as launch_samples() does.
  Statement events(database_,
                   "SELECT time_s, n_tokens FROM events WHERE attempt_id = ? ORDER BY seq");
  Statement samples(database_,
                    "SELECT metric, value, time_s, phase FROM samples WHERE attempt_id = ? "
                    "ORDER BY seq");
  for (StoredAttempt& attempt : result) {
    events.bind(attempt.id);
    while (events.step()) {
      attempt.events.push_back({events.real(0), static_cast<int>(events.integer(1))});
    }
    events.reset();
    attempt.events.shrink_to_fit();
    samples.bind(attempt.id);
    while (samples.step()) attempt.samples.push_back(read_sample(samples, 0));
    samples.reset();
    attempt.samples.shrink_to_fit();
  }
  load_scores(run_id, result);
  if (with_texts) {
    for (StoredAttempt& attempt : result) load_texts(attempt);
  }
  return result;
}

void SqliteStore::load_scores(const std::string& run_id, std::vector<StoredAttempt>& attempts) {
  const Index index = index_by_id(attempts);
  Statement rows(database_,
                 "SELECT s.attempt_id, s.suite_version, s.grade, s.extracted, s.explanation, "
                 "v.name, v.value FROM latest_scores s JOIN attempts a ON a.id = s.attempt_id "
                 "LEFT JOIN score_values v ON v.score_id = s.id WHERE a.run_id = ?");
  rows.bind(run_id);
  while (rows.step()) {
    std::optional<ScoreRow>& score = attempts[index.at(rows.integer(0))].score;
    if (!score) {
      score.emplace();
      score->attempt_id = rows.integer(0);
      score->suite_version = static_cast<int>(rows.integer(1));
      score->grade = rows.text(2);
      score->extracted = rows.text(3);
      score->explanation = rows.text(4);
    }
    if (!rows.is_null(5)) score->values[rows.text(5)] = rows.real(6);
  }
}

std::string SqliteStore::trace(int64_t attempt_id) {
  const std::lock_guard lock(texts_);
  Statement row(database_, "SELECT trace FROM traces WHERE attempt_id = ?");
  row.bind(attempt_id);
  return row.step() ? load_text(database_, row.integer(0)) : "";
}

void SqliteStore::load_texts(StoredAttempt& attempt) {
  const std::lock_guard lock(texts_);
  Statement row(database_,
                "SELECT prompt, expected, text, reasoning, content, tool_calls FROM attempts "
                "WHERE id = ?");
  row.bind(attempt.id);
  if (!row.step()) {
    throw Error(ErrorCode::kIo,
                database_.path().string() + ": attempt " + std::to_string(attempt.id) +
                    " vanished while it was read",
                "Run the command again.");
  }
  std::string* const fields[] = {&attempt.prompt,    &attempt.expected, &attempt.text,
                                 &attempt.reasoning, &attempt.content,  &attempt.tool_calls};
  for (int i = 0; i < 6; ++i) *fields[i] = load_text(database_, row.integer(i));
  attempt.exchanges = load_exchanges(database_, attempt.id);
}

}  // namespace ds4::reports
