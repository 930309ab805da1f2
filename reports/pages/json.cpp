// The page as one JSON object: verdict, cells and every figure with the rows behind it.
#include <nlohmann/json.hpp>

#include "reports/outcomes/outcome.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

constexpr int kFormat = 1;

const char* kind_name(FigureKind kind) {
  switch (kind) {
    case FigureKind::kScore:
      return "score";
    case FigureKind::kMedian:
      return "median";
    case FigureKind::kMaximum:
      return "maximum";
  }
  return "";
}

const char* decision_name(Decision decision) {
  switch (decision) {
    case Decision::kPass:
      return "pass";
    case Decision::kFail:
      return "fail";
    case Decision::kInconclusive:
      return "inconclusive";
  }
  return "";
}

ordered_json optional_number(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json figure_json(const FigureData& figure) {
  return {{"cell", figure.about.cell_key},
          {"suite", figure.about.suite},
          {"tags", figure.about.tags},
          {"name", figure.name},
          {"kind", kind_name(figure.kind)},
          {"unit", figure.unit},
          {"value", optional_number(figure.value)},
          {"lo", figure.interval ? ordered_json(figure.interval->lo) : ordered_json(nullptr)},
          {"hi", figure.interval ? ordered_json(figure.interval->hi) : ordered_json(nullptr)},
          {"n", figure.n},
          {"n_invalid", figure.n_invalid},
          {"attempts", figure.attempt_ids},
          {"launches", figure.launches}};
}

// null for a text that is no JSON, such as an empty one.
ordered_json parsed(const std::string& text) {
  ordered_json value = ordered_json::parse(text, nullptr, false);
  return value.is_discarded() ? ordered_json(nullptr) : value;
}

ordered_json gate_json(const GateResult& result) {
  return {
      {"source", result.gate.source},
      {"suite", result.suite},
      {"figure", result.gate.figure},
      {"tags", result.gate.tags},
      {"min", optional_number(result.gate.min)},
      {"max", optional_number(result.gate.max)},
      {"baseline", result.gate.baseline},
      {"not_worse_by", result.gate.not_worse_by},
      {"outcome", result.gate.outcome},
      {"min_n", result.gate.min_n},
      {"cell", result.cell_key},
      {"decision", decision_name(result.decision)},
      {"reason", result.reason},
      {"value", result.figure ? optional_number((*result.figure)->value) : ordered_json(nullptr)}};
}

ordered_json difference_json(const Difference& difference) {
  return {{"axis", difference.axis},
          {"reference", difference.reference_key},
          {"cell", difference.cell_key},
          {"suite", difference.suite},
          {"score", difference.score},
          {"n", difference.n},
          {"reference_value", difference.reference},
          {"value", difference.value},
          {"change", difference.change},
          {"interval", {difference.interval.lo, difference.interval.hi}},
          {"lost", difference.lost},
          {"gained", difference.gained},
          {"mcnemar_mid_p", difference.test.mid_p}};
}

ordered_json load_json(const LoadSummary& load) {
  ordered_json json = {{"cell", load.cell_key},
                       {"suite", load.suite},
                       {"launch", load.launch},
                       {load.way, std::stod(load.level)},
                       {"offered", load.offered},
                       {"answered", load.answered},
                       {"with_verdict", load.with_verdict},
                       {"correct", load.correct},
                       {"cached", load.cached},
                       {"invalid", load.invalid_reason()},
                       {"dispatch_lag_p99", load.lag.lag_p99_s},
                       {"knee", load.is_knee},
                       {"slo_point", load.is_slo_point},
                       {"attempts", load.attempt_ids}};
  if (load.window) json["steady_window"] = {load.window->begin_s, load.window->end_s};
  json["figures"] = ordered_json::array();
  for (const LoadFigure& figure : load.figures) {
    json["figures"].push_back({{"convention", figure.convention},
                               {"name", figure.name},
                               {"unit", figure.unit},
                               {"n", figure.n},
                               {"mean", figure.mean},
                               {"std", optional_number(figure.std_dev)},
                               {"p50", optional_number(figure.p50)},
                               {"p90", optional_number(figure.p90)},
                               {"p99", optional_number(figure.p99)}});
  }
  return json;
}

ordered_json frontier_json(const FrontierStep& step) {
  return {{"cell", step.cell_key},
          {"launch", step.launch},
          {"attempt", step.attempt_id},
          {"ctx_tokens", step.ctx_tokens},
          {"prefill_tokens", step.prefill_tokens},
          {"prefill_rate", optional_number(step.prefill_rate)},
          {"gen_tokens", step.gen_tokens},
          {"decode_rate", optional_number(step.decode_rate)},
          {"kv_bytes", step.kv_bytes ? ordered_json(*step.kv_bytes) : ordered_json(nullptr)},
          {"remark", step.remark}};
}

// JSON kept as text in the store; a text that is none stays a string.
ordered_json embedded(const std::string& text) {
  ordered_json json = ordered_json::parse(text, nullptr, false);
  return json.is_discarded() ? ordered_json(text) : json;
}

}  // namespace

std::string render_json(const Page& page) {
  const RunRow& run = page.run;
  const Verdict& verdict = page.verdict;
  ordered_json json = {{"format", kFormat}, {"tool", "ds4-sweep"}, {"version", run.version}};
  json["run"] = {{"id", run.id},
                 {"profile", run.profile_name},
                 {"profile_path", run.profile_path},
                 {"commit", run.commit},
                 {"dirty", run.dirty},
                 {"checkpoint", run.checkpoint_path},
                 {"checkpoint_identity", run.checkpoint_identity},
                 {"machine", embedded(run.machine)},
                 {"command_line", run.command_line},
                 {"started_at", run.started_at},
                 {"finished_at", run.finished_at}};
  ordered_json gates = ordered_json::array();
  for (const GateResult& gate : verdict.gates) gates.push_back(gate_json(gate));
  json["verdict"] = {{"decision", decision_name(verdict.decision)},
                     {"reason", verdict.reason},
                     {"next_step", verdict.next_step},
                     {"exit_code", verdict.exit_code()},
                     {"gates", gates}};
  json["cells"] = ordered_json::array();
  for (size_t i = 0; i < page.cells.size(); ++i) {
    const CellRow& cell = page.cells[i];
    const CellStatus& status = page.statuses[i];
    json["cells"].push_back({{"key", cell.key},
                             {"label", cell.label},
                             {"semantics", embedded(cell.semantics)},
                             {"checkpoint", cell.checkpoint_path},
                             {"checkpoint_identity", cell.checkpoint_identity},
                             {"outcome", status.outcome},
                             {"launches", status.n_launches},
                             {"seconds", status.seconds},
                             {"cases_planned", status.n_planned},
                             {"cases_answered", status.n_ok},
                             {"correct", status.n_correct},
                             {"wrong", status.n_wrong},
                             {"invalid", status.n_invalid}});
  }
  json["launches"] = ordered_json::array();
  for (const LaunchRow& launch : page.launches) {
    json["launches"].push_back({{"cell", launch.cell_key},
                                {"number", launch.number},
                                {"outcome", launch.outcome},
                                {"scope", outcome_class(launch.outcome).scope},
                                {"remedy", outcome_class(launch.outcome).remedy},
                                {"phase", launch.phase},
                                {"exit_code", launch.exit_code},
                                {"signal", launch.signal},
                                {"message", launch.message},
                                {"notes", launch.notes},
                                {"log_tail", launch.log_tail},
                                {"target", parsed(launch.target)},
                                {"skipped", launch.skipped},
                                {"seconds", launch.seconds},
                                {"started_at", launch.started_at}});
  }
  json["attempts"] = ordered_json::array();
  for (const StoredAttempt& attempt : page.unusual_attempts) {
    json["attempts"].push_back({{"id", attempt.id},
                                {"cell", attempt.cell_key},
                                {"suite", attempt.suite},
                                {"case", attempt.case_id},
                                {"number", attempt.number},
                                {"outcome", attempt.outcome},
                                {"scope", outcome_class(attempt.outcome).scope},
                                {"remedy", outcome_class(attempt.outcome).remedy},
                                {"error", attempt.error},
                                {"note", attempt.note}});
  }
  json["figures"] = ordered_json::array();
  for (const Figure& figure : page.figures) json["figures"].push_back(figure_json(*figure));
  json["differences"] = ordered_json::array();
  for (const Difference& d : page.differences) json["differences"].push_back(difference_json(d));
  json["loads"] = ordered_json::array();
  for (const LoadSummary& load : page.loads) json["loads"].push_back(load_json(load));
  json["frontiers"] = ordered_json::array();
  for (const FrontierStep& step : page.frontiers) json["frontiers"].push_back(frontier_json(step));
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
