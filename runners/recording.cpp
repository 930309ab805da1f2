#include "runners/recording.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/base/error.h"
#include "reports/store/store.h"
#include "runners/scoring.h"

namespace ds4::runners {
namespace {

struct Place {
  std::string file, run = "latest", cell = {};
};

// A file may have the character in its name: the longest beginning that exists is it.
Place place_of(const std::string& where) {
  std::vector<size_t> ends = {where.size()};
  for (size_t at = where.size(); ends.size() < 3;) {
    at = at == 0 ? where.npos : where.rfind('@', at - 1);
    if (at == where.npos) break;
    ends.push_back(at);
  }
  for (const size_t end : ends) {
    const std::string file = where.substr(0, end);
    if (!std::filesystem::is_regular_file(file)) continue;
    Place place{file};
    if (end == where.size()) return place;
    const std::string rest = where.substr(end + 1);
    const size_t second = rest.find('@');
    place.run = rest.substr(0, second);
    if (second != rest.npos) place.cell = rest.substr(second + 1);
    return place;
  }
  throw Error(ErrorCode::kProfile, "recording: there is no file " + where.substr(0, ends.back()),
              "Name the database of a run: recording = \"results.db\".");
}

// What a response was before it was stored; of the times of a load the harness makes its own.
bool of_the_load(const std::string& metric) {
  return metric == "scheduled_at" || metric == "sent_at" || metric == "dispatch_lag";
}

template <typename Row>
Response response_of(const Row& row) {
  Response response;
  response.answer = {row.text, row.reasoning, row.content, tool_calls_from_json(row.tool_calls),
                     row.finish_reason};
  response.prompt_tokens = row.prompt_tokens;
  response.completion_tokens = row.completion_tokens;
  response.cached_tokens = row.cached_tokens;
  response.first_token_s = row.first_token_s;
  response.end_s = row.end_s;
  for (const auto& event : row.events) response.events.push_back({event.time_s, event.n_tokens});
  return response;
}

Failure failure_of(const reports::AttemptRow& row) {
  if (row.status == "ok") return Failure::kNone;
  if (row.outcome == "STREAM_BROKEN") return Failure::kBroken;
  if (row.outcome == "TIMEOUT") return Failure::kLate;
  return Failure::kRefused;
}

RecordedCase case_of(const reports::AttemptRow& row) {
  RecordedCase recorded{row.suite + "/" + row.case_id, row.prompt, {{{}, response_of(row)}}};
  for (const reports::ExchangeRow& exchange : row.exchanges) {
    RecordedTurn turn{{}, response_of(exchange)};
    for (const reports::SaidRow& said : exchange.said) {
      ds4::Message message;
      message.role = said.role;
      message.content = said.content;
      turn.said.push_back(std::move(message));
    }
    recorded.turns.push_back(std::move(turn));
  }
  // The attempt has one error and the samples of all turns: they are those of the last.
  Response& last = recorded.turns.back().response;
  last.error = row.error;
  last.failure = failure_of(row);
  if (row.outcome == "MISCOUNTED") last.doubt = row.note.empty() ? "recorded so" : row.note;
  for (const probes::Sample& sample : row.samples) {
    if (!of_the_load(sample.metric)) last.samples.push_back(sample);
  }
  return recorded;
}

}  // namespace

Recording::Recording(const std::string& where) {
  const Place place = place_of(where);
  const auto store = reports::Store::open_read_only(place.file);
  const reports::RunRow run = store->run(place.run);
  std::set<std::string> cells;
  std::vector<reports::StoredAttempt> attempts = store->attempts(run.id, true);
  std::erase_if(attempts, [&](const reports::StoredAttempt& attempt) {
    return attempt.status == "cancelled" || !attempt.cell_key.starts_with(place.cell);
  });
  for (const reports::StoredAttempt& attempt : attempts) cells.insert(attempt.cell_key);
  if (cells.size() != 1) {
    std::string list;
    for (const std::string& cell : cells) list += (list.empty() ? "" : ", ") + cell;
    throw Error(ErrorCode::kProfile,
                "recording: run " + run.id.substr(0, 8) + " of " + place.file + " has " +
                    (cells.empty() ? "no answers" : "several cells with answers: " + list),
                cells.empty() ? "Name another run: recording = \"FILE@RUN\"."
                              : "Name one: recording = \"FILE@RUN@CELL\".");
  }
  for (const reports::StoredAttempt& attempt : attempts) {
    RecordedCase recorded = case_of(attempt);
    const auto [at, is_new] = by_name_.emplace(recorded.name, cases_.size());
    by_prompt_[recorded.prompt] = at->second;
    if (is_new) {
      cases_.push_back(std::move(recorded));
    } else {
      cases_[at->second] = std::move(recorded);  // tried again
    }
  }
  for (const reports::LaunchRow& launch : store->launches(run.id)) {
    if (launch.cell_key == *cells.begin() && !launch.target.empty()) target_ = launch.target;
  }
  description_ = "run " + run.id.substr(0, 8) + ", cell " + *cells.begin();
}

const RecordedCase* Recording::by_name(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &cases_[found->second];
}

const RecordedCase* Recording::by_prompt(const std::string& prompt) const {
  const auto found = by_prompt_.find(prompt);
  return found == by_prompt_.end() ? nullptr : &cases_[found->second];
}

}  // namespace ds4::runners
