// show_json() of show_run.h.
#include <nlohmann/json.hpp>

#include "reports/pages/show_run.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

ordered_json grading_json(const ScoreRow& score) {
  return {{"grade", score.grade},
          {"extracted", score.extracted},
          {"explanation", score.explanation},
          {"scores", score.values}};
}

ordered_json turn_json(const ExchangeRow& turn) {
  ordered_json said = ordered_json::array();
  for (const SaidRow& message : turn.said) {
    said.push_back({{"role", message.role},
                    {"content", message.content},
                    {"tool_call_id", message.tool_call_id}});
  }
  return {{"said", said},
          {"answer", turn.text},
          {"reasoning", turn.reasoning},
          {"tool_calls", turn.tool_calls},
          {"finish_reason", turn.finish_reason},
          {"prompt_tokens", turn.prompt_tokens},
          {"completion_tokens", turn.completion_tokens}};
}

ordered_json attempt_json(const StoredAttempt& attempt, bool with_texts) {
  ordered_json object = {{"id", attempt.id},
                         {"suite", attempt.suite},
                         {"case", attempt.case_id},
                         {"attempt", attempt.number},
                         {"launch", attempt.launch},
                         {"status", attempt.status},
                         {"outcome", attempt.outcome},
                         {"error", attempt.error},
                         {"note", attempt.note},
                         {"prompt_tokens", attempt.prompt_tokens},
                         {"completion_tokens", attempt.completion_tokens},
                         {"finish_reason", attempt.finish_reason}};
  object["grading"] = attempt.score ? grading_json(*attempt.score) : ordered_json(nullptr);
  if (!with_texts) return object;
  object["prompt"] = attempt.prompt;
  object["answer"] = attempt.text;
  object["reasoning"] = attempt.reasoning;
  object["tool_calls"] = attempt.tool_calls;
  object["expected"] = attempt.expected;
  object["turns"] = ordered_json::array();
  for (const ExchangeRow& turn : attempt.exchanges) object["turns"].push_back(turn_json(turn));
  return object;
}

ordered_json launch_json(const LaunchRow& launch) {
  return {
      {"number", launch.number},       {"outcome", launch.outcome}, {"phase", launch.phase},
      {"exit_code", launch.exit_code}, {"signal", launch.signal},   {"seconds", launch.seconds},
      {"message", launch.message},     {"notes", launch.notes},     {"log_tail", launch.log_tail}};
}

ordered_json cell_json(const RunData& run, size_t place, const Shown& shown) {
  const CellRow& cell = run.cells[place];
  const CellStatus status = cell_status(run, cell);
  ordered_json object = {
      {"number", place + 1},         {"label", cell.label},         {"key", cell.key},
      {"outcome", status.outcome},   {"planned", status.n_planned}, {"answered", status.n_ok},
      {"correct", status.n_correct}, {"wrong", status.n_wrong},     {"invalid", status.n_invalid},
      {"seconds", status.seconds}};
  object["launches"] = ordered_json::array();
  for (const LaunchRow& launch : run.launches) {
    if (launch.cell_key == cell.key) object["launches"].push_back(launch_json(launch));
  }
  object["attempts"] = ordered_json::array();
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key != cell.key) continue;
    const bool opened = shown.opens(attempt);
    if (!shown.case_prefix.empty() && !opened) continue;
    object["attempts"].push_back(attempt_json(attempt, opened));
  }
  return object;
}

}  // namespace

std::string show_json(const RunData& run, const Shown& shown) {
  ordered_json object = {{"format", "ds4-show-1"},
                         {"run", run.run.id},
                         {"profile", run.run.profile_name},
                         {"started_at", run.run.started_at},
                         {"finished_at", run.run.finished_at}};
  object["cells"] = ordered_json::array();
  for (const size_t place : shown.cells) object["cells"].push_back(cell_json(run, place, shown));
  return object.dump(2, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
