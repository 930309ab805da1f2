// The page as one JSON object: verdict, cells and every figure with the rows behind it.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/base/side_by_side.h"
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

void add_interval(ordered_json& json, const std::optional<Interval>& interval) {
  json["lo"] = interval ? ordered_json(interval->lo) : ordered_json(nullptr);
  json["hi"] = interval ? ordered_json(interval->hi) : ordered_json(nullptr);
}

// Over the figure before it, which has the same members: a large sweep has 200,000 of them.
struct FigureJson {
  ordered_json json;

  const ordered_json& operator()(const Figure& of) {
    const FigureData& figure = *of;
    json["cell"] = figure.about.cell_key.text();
    json["suite"] = figure.about.suite.text();
    json["tags"] = figure.about.tags;
    json["name"] = figure.name.text();
    json["kind"] = kind_name(figure.kind);
    json["unit"] = figure.unit.text();
    json["value"] = optional_number(figure.value);
    add_interval(json, figure.interval);
    json["n"] = figure.n;
    json["n_invalid"] = figure.n_invalid;
    json["attempts"] = figure.attempt_ids;
    json["launches"] = figure.launches;
    return json;
  }
};

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

ordered_json ceiling_json(const ProbeSeries& series) {
  ordered_json json = {{"metric", series.metric}, {"of", series.of}, {"value", series.value}};
  add_interval(json, series.interval);
  json["n"] = series.n;
  json["discarded"] = series.discarded;
  json["attempt"] = series.attempt_id;
  return json;
}

ordered_json pass_json(const RooflineRow& pass, const Roof& roof) {
  const bool whole = pass.component.empty();
  ordered_json json = {{"suite", pass.suite},
                       {"context", pass.context},
                       {"pass", name_of(pass.pass)},
                       {"component", whole ? ordered_json(nullptr) : ordered_json(pass.component)},
                       {"bytes", pass.bytes},
                       {"flops", pass.flops},
                       {"bound_by", bound_by(pass.bytes, pass.flops, roof)},
                       {"tokens", pass.tokens},
                       {"least_s", pass.least_s},
                       {"most", pass.most}};
  if (!whole || roof.projected) return json;
  const FigureData* measured = pass.measured ? &**pass.measured : nullptr;
  json["measured"] = optional_number(measured ? measured->value : std::nullopt);
  add_interval(json, measured ? measured->interval : std::nullopt);
  json["n"] = measured ? measured->n : 0;
  json["share"] = optional_number(pass.share());
  return json;
}

ordered_json step_json(const Step& step, const Roof& roof) {
  ordered_json json = {{"context", step.context},
                       {"pass", step.decode ? "decode" : "prefill"},
                       {"rows", step.rows},
                       {"seconds", step.seconds}};
  json["operations"] = ordered_json::array();
  for (const OperationRow& row : step.operations) {
    json["operations"].push_back({{"name", row.name},
                                  {"seconds", row.seconds},
                                  {"bytes", row.bytes},
                                  {"flops", row.flops},
                                  {"bound_by", bound_by(row.bytes, row.flops, roof)},
                                  {"least_s", row.least_s}});
  }
  return json;
}

ordered_json roofline_json(const CellRoofline& under) {
  const Roof& roof = under.roof;
  ordered_json json = {{"cell", under.cell_key},
                       {"machine", roof.machine},
                       {"source", roof.source},
                       {"projected", roof.projected},
                       {"disturbed", roof.disturbed},
                       {"read_rate", roof.read_rate},
                       {"product_rate", roof.product_rate > 0 ? ordered_json(roof.product_rate)
                                                              : ordered_json(nullptr)},
                       {"product", roof.product}};
  for (const char* list : {"passes", "ceilings", "steps"}) json[list] = ordered_json::array();
  for (const RooflineRow& pass : under.passes) json["passes"].push_back(pass_json(pass, roof));
  for (const ProbeSeries& series : under.ceilings) json["ceilings"].push_back(ceiling_json(series));
  for (const Step& step : under.steps) json["steps"].push_back(step_json(step, roof));
  return json;
}

// JSON kept as text in the store; a text that is none stays a string.
ordered_json embedded(const std::string& text) {
  ordered_json json = ordered_json::parse(text, nullptr, false);
  return json.is_discarded() ? ordered_json(text) : json;
}

ordered_json cell_json(const CellRow& cell, const CellStatus& status) {
  return {{"key", cell.key},
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
          {"invalid", status.n_invalid}};
}

ordered_json launch_json(const LaunchRow& launch) {
  return {{"cell", launch.cell_key},
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
          {"started_at", launch.started_at}};
}

ordered_json attempt_json(const StoredAttempt& attempt) {
  return {{"id", attempt.id},
          {"cell", attempt.cell_key},
          {"suite", attempt.suite},
          {"case", attempt.case_id},
          {"number", attempt.number},
          {"outcome", attempt.outcome},
          {"scope", outcome_class(attempt.outcome).scope},
          {"remedy", outcome_class(attempt.outcome).remedy},
          {"error", attempt.error},
          {"note", attempt.note}};
}

ordered_json head_json(const Page& page) {
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
                     {"exit_code", verdict.exit_code()}};
  json["verdict"]["gates"] = std::move(gates);
  return json;
}

std::string dump(const ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

constexpr size_t kPiece = 10'000;  // rows written by one thread at a time
constexpr int kThreads = 2;

// A further member of the object that `out` ends in: one line for each row, so that a large sweep
// is never held as JSON all at once. Each piece is written by a converter of its own.
template <class Rows, class ToJson>
void append_rows(std::string& out, const char* name, const Rows& rows, const ToJson& to_json) {
  out += ",\n  \"" + std::string(name) + "\": [";
  std::vector<std::string> pieces((rows.size() + kPiece - 1) / kPiece);
  const auto write = [&](size_t number) {
    auto convert = to_json;
    const size_t end = std::min(rows.size(), (number + 1) * kPiece);
    for (size_t i = number * kPiece; i < end; ++i) {
      pieces[number] += i == 0 ? "\n    " : ",\n    ";
      pieces[number] += dump(convert(rows[i]), -1);
    }
  };
  side_by_side(pieces.size(), write, kThreads);
  for (std::string& piece : pieces) out += std::exchange(piece, {});
  out += rows.empty() ? "]" : "\n  ]";
}

}  // namespace

std::string render_json(const Page& page) {
  constexpr size_t kRowBytes =
      400;  // enough for most: grown by doubling, a large text is held twice
  std::string out;
  out.reserve(kRowBytes * (page.figures.size() + page.differences.size() + page.launches.size() +
                           page.unusual_attempts.size() + page.cells.size()));
  out += dump(head_json(page), 2);
  out.resize(out.size() - std::string_view("\n}").size());
  append_rows(out, "cells", page.cells, [&](const CellRow& cell) {
    return cell_json(cell, page.statuses[static_cast<size_t>(&cell - page.cells.data())]);
  });
  append_rows(out, "launches", page.launches, launch_json);
  append_rows(out, "attempts", page.unusual_attempts, attempt_json);
  append_rows(out, "figures", page.figures, FigureJson());
  append_rows(out, "differences", page.differences, difference_json);
  append_rows(out, "loads", page.loads, load_json);
  append_rows(out, "frontiers", page.frontiers, frontier_json);
  append_rows(out, "rooflines", page.rooflines, roofline_json);
  out += "\n}\n";
  return out;
}

}  // namespace ds4::reports
