// The writing half of the store: each public function is one transaction, so that a kill at any
// moment leaves whole rows only.
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/store/exchanges.h"
#include "reports/store/json_tags.h"
#include "reports/store/migrations.h"
#include "reports/store/sqlite_store.h"
#include "reports/store/texts.h"

namespace ds4::reports {
namespace {

void insert_samples(Statement& insert, int64_t owner, const std::vector<probes::Sample>& samples) {
  int64_t seq = 0;
  for (const probes::Sample& sample : samples) {
    insert.bind(owner).bind(seq++).bind(sample.metric).bind(sample.value).bind(sample.time_s);
    insert.bind(sample.phase).run();
  }
}

std::string skipped_text(const LaunchRow& launch) {
  return launch.skipped.empty() ? "" : tags_to_json(launch.skipped);
}

}  // namespace

SqliteStore::SqliteStore(const std::filesystem::path& path, Database::Mode mode)
    : database_(path, mode) {
  if (mode == Database::Mode::kReadOnly) {
    require_current(database_, all_migrations());
  } else {
    migrate(database_, all_migrations());
    database_.use_write_ahead_log();
  }
}

std::unique_ptr<Store> Store::open(const std::filesystem::path& path) {
  if (path.has_parent_path()) make_folders(path.parent_path());
  return std::make_unique<SqliteStore>(path, Database::Mode::kCreate);
}

std::unique_ptr<Store> Store::open_read_only(const std::filesystem::path& path) {
  return std::make_unique<SqliteStore>(path, Database::Mode::kReadOnly);
}

void Store::add_run(const RunRow& run, const std::vector<CellRow>& cells) {
  std::vector<TurnRow> queue;
  for (const CellRow& cell : cells) {
    if (run.shard != 0 && cell.shard != run.shard) continue;
    queue.push_back({.ordinal = static_cast<int>(queue.size()), .cell_key = cell.key});
  }
  add_run(run, cells, queue);
}

void SqliteStore::add_run(const RunRow& run, const std::vector<CellRow>& cells,
                          const std::vector<TurnRow>& queue) {
  Transaction transaction(database_);
  Statement insert(database_,
                   "INSERT INTO runs (id, profile_name, profile_path, profile_text, "
                   "resolved_profile, commit_hash, dirty, version, machine, checkpoint_path, "
                   "checkpoint_identity, command_line, started_at, finished_at, sweep, sweep_id, "
                   "shard, shards) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "store the run");
  insert.bind(run.id).bind(run.profile_name).bind(run.profile_path).bind(run.profile_text);
  insert.bind(run.resolved_profile).bind(run.commit).bind(run.dirty).bind(run.version);
  insert.bind(run.machine).bind(run.checkpoint_path).bind(run.checkpoint_identity);
  insert.bind(run.command_line).bind(run.started_at).bind(run.finished_at);
  insert.bind(run.sweep).bind(run.sweep_id).bind(run.shard).bind(run.shards).run();

  Statement cell_insert(database_,
                        "INSERT INTO cells (run_id, key, ordinal, label, semantics, settings, "
                        "checkpoint_path, checkpoint_identity, shard) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        "store the cells");
  Statement case_insert(database_,
                        "INSERT INTO planned_cases (run_id, cell_key, ordinal, suite, case_id, "
                        "tags) VALUES (?, ?, ?, ?, ?, ?)",
                        "store the plan");
  for (const CellRow& cell : cells) {
    cell_insert.bind(run.id).bind(cell.key).bind(cell.ordinal).bind(cell.label);
    cell_insert.bind(cell.semantics).bind(cell.settings);
    cell_insert.bind(cell.checkpoint_path).bind(cell.checkpoint_identity).bind(cell.shard).run();
    int64_t ordinal = 0;
    for (const PlannedCase& planned : cell.cases) {
      case_insert.bind(run.id).bind(cell.key).bind(ordinal++).bind(planned.suite);
      case_insert.bind(planned.case_id).bind(tags_to_json(planned.tags)).run();
    }
  }
  for (const TurnRow& turn : queue) insert_turn(run.id, turn);
  transaction.commit();
}

void SqliteStore::insert_turn(const std::string& run_id, const TurnRow& turn) {
  Statement insert(database_,
                   "INSERT INTO queue (run_id, ordinal, cell_key, need_bytes, again_of, state, "
                   "reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   "store the queue");
  insert.bind(run_id).bind(turn.ordinal).bind(turn.cell_key).bind(turn.need_bytes);
  insert.bind(turn.again_of).bind(turn.state).bind(turn.reason).run();
}

void SqliteStore::set_turn(const std::string& run_id, const TurnRow& turn,
                           const std::optional<TurnRow>& appended) {
  Transaction transaction(database_);
  Statement update(database_,
                   "UPDATE queue SET state = ?, reason = ? WHERE run_id = ? AND ordinal = ?",
                   "store the queue");
  update.bind(turn.state).bind(turn.reason).bind(run_id).bind(turn.ordinal).run();
  if (appended) {
    TurnRow last = *appended;
    last.ordinal = queue(run_id).back().ordinal + 1;
    insert_turn(run_id, last);
  }
  transaction.commit();
}

void SqliteStore::finish_run(const std::string& run_id, const std::string& finished_at) {
  Transaction transaction(database_);
  Statement update(database_, "UPDATE runs SET finished_at = ? WHERE id = ?", "finish the run");
  update.bind(finished_at).bind(run_id).run();
  transaction.commit();
}

void SqliteStore::add_launch(const std::string& run_id, const LaunchRow& launch,
                             const std::vector<probes::Sample>& samples) {
  Transaction transaction(database_);
  Statement insert(database_,
                   "INSERT INTO launches (run_id, cell_key, number, outcome, phase, exit_code, "
                   "signal, message, log_tail, seconds, started_at, guard, notes, boot_id, "
                   "machine, supervisor_pid, supervisor_ticks, oom_kills, telemetry, "
                   "target, skipped) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "store the launch");
  insert.bind(run_id).bind(launch.cell_key).bind(launch.number).bind(launch.outcome);
  insert.bind(launch.phase).bind(launch.exit_code).bind(launch.signal).bind(launch.message);
  insert.bind(launch.log_tail).bind(launch.seconds).bind(launch.started_at);
  insert.bind(launch.guard).bind(launch.notes);
  const LaunchOrigin& origin = launch.origin;
  insert.bind(origin.boot_id).bind(origin.machine).bind(origin.supervisor_pid);
  insert.bind(origin.supervisor_ticks).bind(origin.oom_kills).bind(origin.telemetry);
  insert.bind(launch.target).bind(skipped_text(launch)).run();
  insert_launch_samples(database_.last_insert_id(), samples);
  transaction.commit();
}

void SqliteStore::end_launch(const std::string& run_id, const LaunchRow& launch,
                             const std::vector<probes::Sample>& samples) {
  Transaction transaction(database_);
  Statement begun(database_,
                  "SELECT id FROM launches WHERE run_id = ? AND cell_key = ? AND number = ? AND "
                  "outcome = 'running'",
                  "find the launch");
  begun.bind(run_id).bind(launch.cell_key).bind(launch.number);
  if (!begun.step()) {
    throw Error(ErrorCode::kUsage,
                database_.path().string() + ": launch " + std::to_string(launch.number) +
                    " of cell " + launch.cell_key + " is not running",
                "Another process ended it; let one process at a time work on a run.");
  }
  const int64_t id = begun.integer(0);
  begun.reset();
  Statement update(database_,
                   "UPDATE launches SET outcome = ?, phase = ?, exit_code = ?, signal = ?, "
                   "message = ?, log_tail = ?, seconds = ?, guard = ?, notes = ?, target = ?, "
                   "skipped = ? WHERE id = ?",
                   "store the launch's end");
  update.bind(launch.outcome).bind(launch.phase).bind(launch.exit_code).bind(launch.signal);
  update.bind(launch.message).bind(launch.log_tail).bind(launch.seconds).bind(launch.guard);
  update.bind(launch.notes).bind(launch.target).bind(skipped_text(launch)).bind(id).run();
  insert_launch_samples(id, samples);
  transaction.commit();
}

void SqliteStore::insert_launch_samples(int64_t launch_id,
                                        const std::vector<probes::Sample>& samples) {
  Statement insert(database_,
                   "INSERT INTO launch_samples (launch_id, seq, metric, value, time_s, phase) "
                   "VALUES (?, ?, ?, ?, ?, ?)",
                   "store the launch");
  insert_samples(insert, launch_id, samples);
}

int64_t SqliteStore::add_attempt(const std::string& run_id, const AttemptRow& attempt,
                                 const std::optional<ScoreRow>& score) {
  Transaction transaction(database_);
  const auto text = [this](const std::string& bytes) { return intern_text(database_, bytes); };
  Statement insert(database_,
                   "INSERT INTO attempts (run_id, cell_key, suite, suite_version, case_id, number, "
                   "launch, status, tags, prompt, expected, text, reasoning, content, tool_calls, "
                   "finish_reason, error, prompt_tokens, completion_tokens, cached_tokens, "
                   "first_token_s, end_s, started_at, outcome, note) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                   "?, ?, ?)",
                   "store the attempt");
  insert.bind(run_id).bind(attempt.cell_key).bind(attempt.suite).bind(attempt.suite_version);
  insert.bind(attempt.case_id).bind(attempt.number).bind(attempt.launch).bind(attempt.status);
  insert.bind(tags_to_json(attempt.tags)).bind(text(attempt.prompt)).bind(text(attempt.expected));
  insert.bind(text(attempt.text)).bind(text(attempt.reasoning)).bind(text(attempt.content));
  insert.bind(text(attempt.tool_calls)).bind(attempt.finish_reason).bind(attempt.error);
  insert.bind(attempt.prompt_tokens).bind(attempt.completion_tokens).bind(attempt.cached_tokens);
  insert.bind(attempt.first_token_s).bind(attempt.end_s).bind(attempt.started_at);
  insert.bind(attempt.outcome).bind(attempt.note).run();
  const int64_t id = database_.last_insert_id();

  Statement event_insert(database_,
                         "INSERT INTO events (attempt_id, seq, time_s, n_tokens) "
                         "VALUES (?, ?, ?, ?)",
                         "store the attempt");
  int64_t seq = 0;
  for (const EventRow& event : attempt.events) {
    event_insert.bind(id).bind(seq++).bind(event.time_s).bind(event.n_tokens).run();
  }
  Statement sample_insert(database_,
                          "INSERT INTO samples (attempt_id, seq, metric, value, time_s, phase) "
                          "VALUES (?, ?, ?, ?, ?, ?)",
                          "store the attempt");
  insert_samples(sample_insert, id, attempt.samples);
  insert_exchanges(database_, id, attempt.exchanges);
  if (!attempt.trace.empty()) {
    Statement trace_insert(database_, "INSERT INTO traces (attempt_id, trace) VALUES (?, ?)",
                           "store the attempt");
    trace_insert.bind(id).bind(text(attempt.trace)).run();
  }
  if (score) insert_score(*score, id);
  transaction.commit();
  return id;
}

void SqliteStore::add_score(const ScoreRow& score) {
  Transaction transaction(database_);
  insert_score(score, score.attempt_id);
  transaction.commit();
}

void SqliteStore::set_outcome(int64_t attempt_id, const std::string& outcome,
                              const std::string& note) {
  Transaction transaction(database_);
  Statement update(database_, "UPDATE attempts SET outcome = ?, note = ? WHERE id = ?",
                   "store the outcome");
  update.bind(outcome).bind(note).bind(attempt_id).run();
  transaction.commit();
}

void SqliteStore::insert_score(const ScoreRow& score, int64_t attempt_id) {
  Statement insert(database_,
                   "INSERT INTO scores (attempt_id, suite_version, grade, extracted, explanation) "
                   "VALUES (?, ?, ?, ?, ?)",
                   "store the score");
  insert.bind(attempt_id).bind(score.suite_version).bind(score.grade).bind(score.extracted);
  insert.bind(score.explanation).run();
  const int64_t id = database_.last_insert_id();
  Statement value_insert(database_,
                         "INSERT INTO score_values (score_id, name, value) VALUES (?, ?, ?)",
                         "store the score");
  for (const auto& [name, value] : score.values) value_insert.bind(id).bind(name).bind(value).run();
}

}  // namespace ds4::reports
