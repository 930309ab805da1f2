// The results database: every run, cell, attempt, event and score, as plain rows. Averages are made
// on reading and never stored. docs/schema.md documents the tables; this is the only SQLite user.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "probes/sample.h"

namespace ds4::reports {

struct RunRow {
  std::string id;  // UUID
  std::string profile_name, profile_path, profile_text;
  std::string resolved_profile;  // JSON
  std::string commit;
  bool dirty = false;
  std::string version;
  std::string machine;  // JSON: cpu, cores, memory, kernel, gpus
  std::string checkpoint_path;
  std::string checkpoint_identity;  // "" for targets without a checkpoint
  std::string command_line;
  std::string started_at, finished_at;  // ISO 8601 UTC; finished_at "" = interrupted
  std::string sweep;     // hash of profile and cells: equal for every run of one sweep
  std::string sweep_id;  // --sweep-id
  int shard = 0;         // 1 .. shards: runs the cells of this shard only; 0 = every cell
  int shards = 1;
};

/// A run that a joined run (merge.h) was made of.
struct PartRow {
  int number = 1;         // 1, 2, ...: LaunchRow::part
  std::string source_id;  // UUID of the run it was
  int shard = 0;
  std::string machine;  // JSON
  std::string command_line;
  std::string started_at, finished_at;
};

/// A case a cell is to run; without an attempt that is ok it counts as not measured.
struct PlannedCase {
  std::string suite, case_id;
  std::map<std::string, std::string> tags;
};

struct CellRow {
  std::string key, label, semantics;  // profiles::Cell
  std::string settings;               // cell_to_json(): what a resume runs again
  int ordinal = 0;
  std::string checkpoint_path;      // the folder that was loaded
  std::string checkpoint_identity;  // "" for targets without a checkpoint
  std::vector<PlannedCase> cases;   // in running order; empty = not known
  int shard = 0;                    // whose cell it is; 0 = of a run without shards
};

/// Who began a launch, where and when: enough to tell later whether it can still be running.
struct LaunchOrigin {
  std::string boot_id;           // of the kernel; "" = not known
  std::string machine;           // a mark without a meaning; "" = not known
  int64_t supervisor_pid = 0;    // 0 = not known (rows of older versions)
  int64_t supervisor_ticks = 0;  // when it was started, in the kernel's ticks since boot
  int64_t oom_kills = 0;         // the kernel's count of its OOM killer at the beginning
  std::string telemetry;         // path of the guard's readings; "" = none
};

/// A worker process and how it ended. Stored when it begins, with the outcome "running".
struct LaunchRow {
  std::string cell_key;
  int number = 1;       // 1, 2, ... per run and cell
  std::string outcome;  // a class of reports/outcomes
  std::string phase;    // what the worker was doing when it ended
  int exit_code = 0, signal = 0;
  std::string message;   // the error's text and hint
  std::string log_tail;  // last lines of its stderr
  double seconds = 0;
  std::string started_at;
  std::string guard;  // what the memory guard did, JSON (runners/guard/verdict.h); "" = nothing
  int part = 0;       // PartRow::number it came from; 0 = made by the run itself
  std::string notes;  // what was seen besides, one line each
  LaunchOrigin origin;
  std::string target;  // what its target can do, and how that was found out: JSON; "" = not told
  std::map<std::string, std::string> skipped = {};  // "suite" or "suite/case" -> what it lacks
};

/// A place in a run's queue: one launch of a cell, or more when it is interrupted. A cell's k-th
/// turn is over when each of its cases has k attempts that are ok.
struct TurnRow {
  int ordinal = 0;  // running order
  std::string cell_key;
  int64_t need_bytes = 0;         // predicted memory of all owners; 0 = not predicted
  int again_of = -1;              // the ordinal of the turn it repeats; -1 = none
  std::string state = "waiting";  // "done", "slow" (and repeated), "skipped", "refused"
  std::string reason = {};        // of the last three
};

struct EventRow {
  double time_s = 0;
  int n_tokens = 1;
};

/// A message to the target.
struct SaidRow {
  std::string role, content;
  std::string tool_call_id;  // of a tool's result
};

/// What was said to an answer, and the answer to that: a turn after the first one of a case.
struct ExchangeRow {
  std::vector<SaidRow> said;
  std::string text, reasoning, content, tool_calls;
  std::string finish_reason;
  int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  double sent_s = 0;                     // since the first turn was sent
  double first_token_s = -1, end_s = 0;  // since this one was
  std::vector<EventRow> events;
};

/// One try at one case, written in one transaction. Of several turns the columns hold the first.
struct AttemptRow {
  std::string cell_key, suite, case_id;
  int suite_version = 0;
  int number = 1;                // 1, 2, ... per run, cell, suite and case
  int launch = 0;                // LaunchRow::number; 0 in rows older than version 5
  std::string status;            // "ok", "error", "cancelled"
  std::string outcome;           // a class of reports/outcomes; "" = stored before there were any
  std::string note;              // why, where neither error nor grading says it
  std::string prompt, expected;  // stored once per sha256, compressed
  std::map<std::string, std::string> tags;
  std::string text, reasoning, content, tool_calls;  // tool_calls: JSON
  std::string finish_reason, error;
  int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  double first_token_s = -1, end_s = 0;
  std::string started_at;
  std::vector<EventRow> events;
  std::vector<probes::Sample> samples;
  std::vector<ExchangeRow> exchanges;  // the turns after the first; read with the texts
  std::string trace;  // what was told of the first turn's tokens (docs/traces.md); written only
};

struct ScoreRow {
  int64_t attempt_id = 0;
  int suite_version = 0;
  std::string grade;  // "correct", "wrong", "invalid"
  std::map<std::string, double> values;
  std::string extracted, explanation;
};

struct StoredAttempt : AttemptRow {
  int64_t id = 0;
  std::optional<ScoreRow> score;  // the newest
  /// Rows of the texts `prompt` and `text`: equal exactly when the texts are. 0 = not stored.
  int64_t prompt_id = 0, text_id = 0;
  bool has_trace = false;  // Store::trace() has something
};

/// Readings of a worker outside any attempt (load time, peak memory, ...).
struct LaunchSample {
  Name cell_key;
  int launch = 1;
  probes::Sample sample;
};

/// A name for a run that others are held against.
struct BaselineRow {
  std::string name, run_id, set_at;
};

class Store {
 public:
  /// Opens or creates; migrates older schemas; WAL. Throws Error(kIo), also for a newer schema.
  static std::unique_ptr<Store> open(const std::filesystem::path& path);
  static std::unique_ptr<Store> open_read_only(const std::filesystem::path& path);
  virtual ~Store() = default;

  /// The file that was opened.
  virtual std::filesystem::path path() const = 0;

  /// Run, cells and queue in one transaction.
  virtual void add_run(const RunRow& run, const std::vector<CellRow>& cells,
                       const std::vector<TurnRow>& queue) = 0;
  /// With every cell that the run measures once, in their order.
  void add_run(const RunRow& run, const std::vector<CellRow>& cells);
  virtual void finish_run(const std::string& run_id, const std::string& finished_at) = 0;
  /// Writes down what became of a turn and, in the same transaction, appends the one that repeats
  /// it, whose ordinal is chosen here.
  virtual void set_turn(const std::string& run_id, const TurnRow& turn,
                        const std::optional<TurnRow>& appended) = 0;
  virtual void add_launch(const std::string& run_id, const LaunchRow& launch,
                          const std::vector<probes::Sample>& samples) = 0;
  /// Fills in a launch that was added as "running": everything but its origin. Throws Error(kUsage)
  /// when there is none, or it has ended.
  virtual void end_launch(const std::string& run_id, const LaunchRow& launch,
                          const std::vector<probes::Sample>& samples) = 0;
  /// One transaction: attempt, events, samples, exchanges and score. Returns the attempt's id.
  virtual int64_t add_attempt(const std::string& run_id, const AttemptRow& attempt,
                              const std::optional<ScoreRow>& score) = 0;
  virtual void add_score(const ScoreRow& score) = 0;
  virtual void set_outcome(int64_t attempt_id, const std::string& outcome,
                           const std::string& note) = 0;

  virtual std::vector<RunRow> runs() = 0;  // newest first
  /// A run by UUID, unique prefix, "latest" or "baseline:NAME". Throws Error(kUsage) when there is
  /// none.
  virtual RunRow run(const std::string& id_or_prefix) = 0;
  /// In sweep order; of a shard only its own.
  virtual std::vector<CellRow> cells(const std::string& run_id) = 0;
  virtual std::vector<TurnRow> queue(const std::string& run_id) = 0;  // by ordinal
  /// What a joined run was made of; empty for others.
  virtual std::vector<PartRow> parts(const std::string& run_id) = 0;
  virtual std::vector<LaunchRow> launches(const std::string& run_id) = 0;
  virtual std::vector<LaunchSample> launch_samples(const std::string& run_id) = 0;
  /// Attempts in running order; prompts and outputs are loaded only when `with_texts`.
  virtual std::vector<StoredAttempt> attempts(const std::string& run_id, bool with_texts) = 0;
  /// Fills in the texts of an attempt that was read without them. For several threads.
  virtual void load_texts(StoredAttempt& attempt) = 0;
  /// What an attempt's target told of its tokens, JSON (docs/traces.md); "" when nothing. For
  /// several threads.
  virtual std::string trace(int64_t attempt_id) = 0;

  /// Names a run; a name that was taken now means this one. Throws Error(kUsage) for a name of
  /// anything but letters, digits, `-`, `_` and `.`.
  virtual void set_baseline(const BaselineRow& baseline) = 0;
  /// Forgets a name, not the run. Throws Error(kUsage) when there is no such name.
  virtual void remove_baseline(const std::string& name) = 0;
  virtual std::vector<BaselineRow> baselines() = 0;  // by name
};

}  // namespace ds4::reports
