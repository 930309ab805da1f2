#include "reports/store/merge_run.h"

#include <tuple>
#include <vector>

#include "engine/base/error.h"

namespace ds4::reports {
namespace {

// Rows that hang on a launch or an attempt.
constexpr const char* kOfLaunch[] = {"launch_samples"};
constexpr const char* kOfAttempt[] = {"events", "samples"};
constexpr const char* kTexts[] = {"prompt",    "expected", "text",
                                  "reasoning", "content",  "tool_calls"};

constexpr const char* kTextsOfExchange[] = {"said", "text", "reasoning", "content", "tool_calls"};

// A grading as it compares: everything but the ids.
using Grading = std::tuple<int64_t, std::string, std::string, std::string, std::string>;

std::vector<std::pair<int64_t, Grading>> gradings(Database& database, int64_t attempt) {
  Statement rows(database,
                 "SELECT id, suite_version, grade, extracted, explanation, "
                 "(SELECT group_concat(name || '=' || value) FROM (SELECT name, value FROM "
                 "score_values WHERE score_id = s.id ORDER BY name)) "
                 "FROM scores s WHERE attempt_id = ? ORDER BY id");
  rows.bind(attempt);
  std::vector<std::pair<int64_t, Grading>> result;
  while (rows.step()) {
    result.emplace_back(rows.integer(0), Grading{rows.integer(1), rows.text(2), rows.text(3),
                                                 rows.text(4), rows.text(5)});
  }
  return result;
}

int64_t integer(Database& database, const std::string& sql,
                const std::vector<ColumnValue>& values) {
  Statement row(database, sql);
  bind_all(row, values);
  return row.step() ? row.integer(0) : 0;
}

}  // namespace

std::string Origin::text() const {
  const std::string run = "run " + id.substr(0, 8) + " in " + from->path().string();
  if (shard == 0) return run;
  return "shard " + std::to_string(shard) + "/" + std::to_string(shards) + " (" + run + ")";
}

RunCopy::RunCopy(const Origin& origin, Database& out, const Target& target,
                 const MergeOptions& options)
    : origin_(origin), out_(out), target_(target), options_(options) {}

void RunCopy::copy() {
  copy_cells();
  copy_launches();
  copy_attempts();
  copy_queue();
}

void RunCopy::copy_cells() {
  const std::string& run = target_.run_id;
  RowCopy cells(*origin_.from, out_, "cells", OnTaken::kSkip);
  RowCopy planned(*origin_.from, out_, "planned_cases", OnTaken::kSkip);
  cells.copy({"run_id = ?", {origin_.run_id}}, {{"run_id", run}});
  planned.copy({"run_id = ?", {origin_.run_id}}, {{"run_id", run}});
  Statement rows(*origin_.from,
                 "SELECT key, label, shard, checkpoint_identity, checkpoint_path FROM cells "
                 "WHERE run_id = ?");
  rows.bind(origin_.run_id);
  while (rows.step()) {
    const std::string key = rows.text(0);
    labels_[key] = rows.text(1);
    if (rows.integer(2) != origin_.shard || rows.text(4).empty()) continue;
    Statement there(out_,
                    "SELECT checkpoint_identity, checkpoint_path FROM cells "
                    "WHERE run_id = ? AND key = ?");
    there.bind(run).bind(key);
    if (!there.step()) continue;
    if (there.text(1).empty()) {  // known from another shard, which has not its checkpoint
      cells.overwrite({"run_id = ? AND key = ?", {origin_.run_id, key}}, {{"run_id", run}},
                      {"run_id = ? AND key = ?", {run, key}});
    } else if (there.text(0) != rows.text(3) && !options_.force) {
      throw Error(ErrorCode::kUsage,
                  "cell " + key + " (" + labels_[key] + "): " + origin_.text() +
                      " had another checkpoint (identity " + rows.text(3).substr(0, 12) +
                      ", elsewhere " + there.text(0).substr(0, 12) + ")",
                  "Leave that database out, or mix the two knowingly with --force.");
    }
  }
}

void RunCopy::require_room(const std::string& cell) {
  if (room_[cell]) return;
  room_[cell] = true;
  gained_ = true;
  if (options_.keep_repeats) return;
  Statement others(out_,
                   "SELECT part FROM launches WHERE run_id = ?1 AND cell_key = ?2 AND part <> ?3 "
                   "UNION SELECT part FROM attempts WHERE run_id = ?1 AND cell_key = ?2 "
                   "AND part <> ?3");
  others.bind(target_.run_id).bind(cell).bind(target_.part);
  if (!others.step()) return;
  Statement other(out_, "SELECT source_id FROM parts WHERE run_id = ? AND number = ?");
  other.bind(target_.run_id).bind(others.integer(0));
  const std::string by = other.step() ? "run " + other.text(0).substr(0, 8) : "a resumed run";
  throw Error(ErrorCode::kUsage,
              "cell " + cell + " (" + labels_[cell] + ") was measured twice: by " + origin_.text() +
                  " and by " + by,
              "Leave one of the databases out, or keep both as repeats with --keep-repeats. "
              "Two executions of one sweep stay apart when each has a --sweep-id.");
}

void RunCopy::diverged(const std::string& cell, const char* what, int64_t number) const {
  throw Error(ErrorCode::kUsage,
              origin_.text() + " went on differently than in " + out_.path().string() + ": " +
                  what + " " + std::to_string(number) + " of cell " + cell,
              "One of the two was resumed apart from the other. Leave one of the databases out.");
}

int64_t RunCopy::next_launch(const std::string& cell, int64_t number) {
  const std::string taken =
      "SELECT count(*) FROM launches WHERE run_id = ? AND cell_key = ? AND "
      "number = ?";
  const int64_t wanted = number + offsets_[cell];
  if (integer(out_, taken, {target_.run_id, cell, wanted}) == 0) return wanted;
  return 1 + integer(out_, "SELECT max(number) FROM launches WHERE run_id = ? AND cell_key = ?",
                     {target_.run_id, cell});
}

void RunCopy::copy_launches() {
  RowCopy launches(*origin_.from, out_, "launches");
  Statement rows(*origin_.from,
                 "SELECT id, cell_key, number, started_at, seconds FROM launches "
                 "WHERE run_id = ? AND part = ? ORDER BY id");
  rows.bind(origin_.run_id).bind(origin_.part);
  std::map<std::string, int64_t> seen;  // launches of a cell so far
  while (rows.step()) {
    const std::string cell = rows.text(1);
    const int64_t k = seen[cell]++, number = rows.integer(2);
    Statement there(out_,
                    "SELECT id, number, started_at, seconds FROM launches WHERE run_id = ? "
                    "AND cell_key = ? AND part = ? ORDER BY number LIMIT 1 OFFSET ?");
    there.bind(target_.run_id).bind(cell).bind(target_.part).bind(k);
    int64_t id = 0, out_number = 0;
    Replaced replaced = {{"run_id", target_.run_id}, {"part", target_.part}};
    if (there.step()) {
      id = there.integer(0);
      out_number = there.integer(1);
      if (there.text(2) != rows.text(3)) diverged(cell, "launch", number);
      replaced["number"] = out_number;
      offsets_[cell] = out_number - number;
      if (rows.real(4) > there.real(3)) {  // it had only begun
        gained_ = true;
        launches.overwrite({"id = ?", {rows.integer(0)}}, replaced, {"id = ?", {id}});
      }
    } else {
      require_room(cell);
      if (!offsets_.contains(cell)) {
        offsets_[cell] =
            integer(out_, "SELECT max(number) FROM launches WHERE run_id = ? AND cell_key = ?",
                    {target_.run_id, cell});
      }
      out_number = next_launch(cell, number);
      replaced["number"] = out_number;
      launches.copy({"id = ?", {rows.integer(0)}}, replaced);
      id = out_.last_insert_id();
    }
    launch_number_[{cell, number}] = out_number;
    for (const char* table : kOfLaunch) {
      RowCopy(*origin_.from, out_, table, OnTaken::kSkip)
          .copy({"launch_id = ?", {rows.integer(0)}}, {{"launch_id", id}});
    }
  }
}

void RunCopy::copy_attempts() {
  RowCopy attempts(*origin_.from, out_, "attempts");
  std::vector<RowCopy> of_attempt;
  for (const char* table : kOfAttempt) of_attempt.emplace_back(*origin_.from, out_, table);
  Statement rows(*origin_.from,
                 "SELECT id, cell_key, suite, case_id, started_at, end_s, launch, number, prompt, "
                 "expected, text, reasoning, content, tool_calls FROM attempts "
                 "WHERE run_id = ? AND part = ? ORDER BY id");
  rows.bind(origin_.run_id).bind(origin_.part);
  Statement there(out_,
                  "SELECT id, started_at, end_s FROM attempts WHERE run_id = ? AND cell_key = ? "
                  "AND suite = ? AND case_id = ? AND part = ? ORDER BY number LIMIT 1 OFFSET ?");
  Statement last(out_,
                 "SELECT max(number) FROM attempts WHERE run_id = ? AND cell_key = ? AND suite = ? "
                 "AND case_id = ?");
  std::map<std::tuple<std::string, std::string, std::string>, int64_t> seen;
  while (rows.step()) {
    const std::string cell = rows.text(1), suite = rows.text(2), case_id = rows.text(3);
    const int64_t k = seen[{cell, suite, case_id}]++;
    there.reset();
    there.bind(target_.run_id).bind(cell).bind(suite).bind(case_id).bind(target_.part).bind(k);
    if (there.step()) {
      if (there.text(1) != rows.text(4) || there.real(2) != rows.real(5)) {
        diverged(cell, ("the answer to " + suite + "/" + case_id + ", attempt").c_str(),
                 rows.integer(7));
      }
      copy_scores(rows.integer(0), there.integer(0));
      continue;
    }
    require_room(cell);
    last.reset();
    last.bind(target_.run_id).bind(cell).bind(suite).bind(case_id);
    last.step();
    Replaced replaced = {
        {"run_id", target_.run_id}, {"part", target_.part}, {"number", last.integer(0) + 1}};
    const auto launch = launch_number_.find({cell, rows.integer(6)});
    if (launch != launch_number_.end()) {
      replaced["launch"] = launch->second;
    } else if (rows.integer(6) != 0) {  // its launch has not ended
      replaced["launch"] = rows.integer(6) + offsets_[cell];
    }
    for (int i = 0; i < 6; ++i) replaced[kTexts[i]] = copy_text(rows.integer(8 + i));
    attempts.copy({"id = ?", {rows.integer(0)}}, replaced);
    const int64_t id = out_.last_insert_id();
    for (RowCopy& table : of_attempt) {
      table.copy({"attempt_id = ?", {rows.integer(0)}}, {{"attempt_id", id}});
    }
    copy_exchanges(rows.integer(0), id);
    copy_trace(rows.integer(0), id);
    copy_scores(rows.integer(0), id);
    ++attempts_added_;
  }
}

void RunCopy::copy_exchanges(int64_t from_attempt, int64_t out_attempt) {
  RowCopy exchanges(*origin_.from, out_, "exchanges");
  Statement rows(*origin_.from,
                 "SELECT seq, said, text, reasoning, content, tool_calls FROM exchanges "
                 "WHERE attempt_id = ? ORDER BY seq");
  rows.bind(from_attempt);
  while (rows.step()) {
    Replaced replaced = {{"attempt_id", out_attempt}};
    for (int i = 0; i < 5; ++i) replaced[kTextsOfExchange[i]] = copy_text(rows.integer(1 + i));
    exchanges.copy({"attempt_id = ? AND seq = ?", {from_attempt, rows.integer(0)}}, replaced);
  }
}

void RunCopy::copy_trace(int64_t from_attempt, int64_t out_attempt) {
  Statement row(*origin_.from, "SELECT trace FROM traces WHERE attempt_id = ?");
  row.bind(from_attempt);
  if (!row.step()) return;
  RowCopy(*origin_.from, out_, "traces")
      .copy({"attempt_id = ?", {from_attempt}},
            {{"attempt_id", out_attempt}, {"trace", copy_text(row.integer(0))}});
}

// Gradings come in the order they were made. Where one list continues the other the longer counts;
// where both were graded apart, those from here are the newer.
void RunCopy::copy_scores(int64_t from_attempt, int64_t out_attempt) {
  const auto from = gradings(*origin_.from, from_attempt), out = gradings(out_, out_attempt);
  size_t common = 0;
  while (common < from.size() && common < out.size() && from[common].second == out[common].second) {
    ++common;
  }
  RowCopy scores(*origin_.from, out_, "scores"), values(*origin_.from, out_, "score_values");
  for (size_t i = common; i < from.size(); ++i) {
    bool known = false;
    for (size_t j = common; j < out.size(); ++j) known |= out[j].second == from[i].second;
    if (known) continue;
    gained_ = true;
    scores.copy({"id = ?", {from[i].first}}, {{"attempt_id", out_attempt}});
    values.copy({"score_id = ?", {from[i].first}}, {{"score_id", out_.last_insert_id()}});
  }
}

int64_t RunCopy::copy_text(int64_t id) {
  const auto known = texts_.find(id);
  if (known != texts_.end()) return known->second;
  Statement source(*origin_.from, "SELECT sha256 FROM texts WHERE id = ?");
  source.bind(id);
  if (!source.step()) {
    throw Error(ErrorCode::kIo,
                origin_.from->path().string() + ": stored text " + std::to_string(id) + " is lost",
                "The file was changed after it was written. Restore it from a copy.");
  }
  Statement there(out_, "SELECT id FROM texts WHERE sha256 = ?");
  there.bind(source.text(0));
  int64_t out_id = 0;
  if (there.step()) {
    out_id = there.integer(0);
  } else {
    RowCopy(*origin_.from, out_, "texts").copy({"id = ?", {id}}, {});
    out_id = out_.last_insert_id();
  }
  texts_[id] = out_id;
  return out_id;
}

// A cell's turns come from whoever owns it. Until then its place is kept by a waiting turn.
void RunCopy::copy_queue() {
  Statement rows(*origin_.from,
                 "SELECT q.ordinal, q.cell_key, q.again_of, q.state FROM queue q JOIN cells c "
                 "ON c.run_id = q.run_id AND c.key = q.cell_key WHERE q.run_id = ? AND c.shard = ? "
                 "ORDER BY q.ordinal");
  rows.bind(origin_.run_id).bind(origin_.shard);
  RowCopy queue(*origin_.from, out_, "queue");
  std::map<std::string, int64_t> seen;   // turns of a cell so far
  std::map<int64_t, int64_t> ordinals;   // from -> out
  std::map<std::string, bool> repeated;  // cells that others have turns of
  while (rows.step()) {
    const std::string cell = rows.text(1);
    if (seen[cell] == 0) {
      repeated[cell] = integer(out_,
                               "SELECT count(*) FROM launches WHERE run_id = ? AND cell_key = ? "
                               "AND part <> ?",
                               {target_.run_id, cell, target_.part}) > 0;
    }
    if (repeated[cell] && !target_.fresh) continue;
    const int64_t k = seen[cell]++;
    Statement there(out_,
                    "SELECT ordinal, state FROM queue WHERE run_id = ? AND cell_key = ? "
                    "ORDER BY ordinal LIMIT 1 OFFSET ?");
    there.bind(target_.run_id).bind(cell).bind(k);
    const auto again = ordinals.find(rows.integer(2));
    Replaced replaced = {{"run_id", target_.run_id}};
    replaced["again_of"] = again == ordinals.end() ? int64_t{-1} : again->second;
    const Condition this_turn = {"run_id = ? AND ordinal = ?", {origin_.run_id, rows.integer(0)}};
    if (!repeated[cell] && there.step()) {
      replaced["ordinal"] = there.integer(0);
      ordinals[rows.integer(0)] = there.integer(0);
      if (there.text(1) != "waiting" || rows.text(3) == "waiting") continue;
      gained_ = true;
      queue.overwrite(this_turn, replaced,
                      {"run_id = ? AND ordinal = ?", {target_.run_id, there.integer(0)}});
    } else {
      const int64_t ordinal =
          integer(out_, "SELECT 1 + coalesce(max(ordinal), -1) FROM queue WHERE run_id = ?",
                  {target_.run_id});
      ordinals[rows.integer(0)] = ordinal;
      replaced["ordinal"] = ordinal;
      gained_ = true;
      queue.copy(this_turn, replaced);
    }
  }
}

void delete_run(Database& database, const std::string& run_id) {
  const auto remove = [&](const std::string& sql) {
    Statement statement(database, "DELETE FROM " + sql, "join the databases");
    statement.bind(run_id).run();
  };
  const std::string attempts = "(SELECT id FROM attempts WHERE run_id = ?)";
  remove("score_values WHERE score_id IN (SELECT id FROM scores WHERE attempt_id IN " + attempts +
         ")");
  remove("scores WHERE attempt_id IN " + attempts);
  for (const char* table : kOfAttempt) {
    remove(std::string(table) + " WHERE attempt_id IN " + attempts);
  }
  remove("exchanges WHERE attempt_id IN " + attempts);
  remove("traces WHERE attempt_id IN " + attempts);
  for (const char* table : kOfLaunch) {
    remove(std::string(table) + " WHERE launch_id IN (SELECT id FROM launches WHERE run_id = ?)");
  }
  for (const char* table : {"attempts", "launches", "queue", "planned_cases", "cells"}) {
    remove(std::string(table) + " WHERE run_id = ?");
  }
  remove("runs WHERE id = ?");
}

std::span<const char* const> merged_tables() {
  static constexpr const char* kTables[] = {
      "runs",      "parts",          "baselines", "cells",       "planned_cases", "queue",
      "launches",  "launch_samples", "texts",     "attempts",    "events",        "samples",
      "exchanges", "traces",         "scores",    "score_values"};
  return kTables;
}

}  // namespace ds4::reports
