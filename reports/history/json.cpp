#include <nlohmann/json.hpp>

#include "reports/history/history.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

ordered_json run_json(const HistoryRun& run) {
  return {{"id", run.run.id},
          {"started_at", run.run.started_at},
          {"environment", run.environment},
          {"changed", run.changed}};
}

ordered_json value_json(const HistoryRun& run, const std::optional<FigureData>& figure) {
  if (!figure) return {{"run", run.run.id}, {"value", nullptr}};
  return {{"run", run.run.id},
          {"value", *figure->value},
          {"interval", figure->interval ? ordered_json({figure->interval->lo, figure->interval->hi})
                                        : ordered_json(nullptr)},
          {"n", figure->n}};
}

ordered_json figure_json(const History& history, const HistoryFigure& figure) {
  ordered_json json = {
      {"cell", figure.cell}, {"suite", figure.suite},           {"figure", figure.name},
      {"unit", figure.unit}, {"values", ordered_json::array()}, {"changes", ordered_json::array()}};
  for (size_t i = 0; i < figure.runs.size(); ++i) {
    json["values"].push_back(value_json(history.runs[i], figure.runs[i]));
  }
  for (const ChangePoint& change : figure.changes) {
    json["changes"].push_back({{"first_run", history.runs[change.at].run.id},
                               {"before", change.before},
                               {"after", change.after},
                               {"p", change.p}});
  }
  return json;
}

}  // namespace

std::string history_json(const History& history) {
  ordered_json json = {
      {"format", "ds4-history-1"},     {"profile", history.runs.back().run.profile_name},
      {"alpha", history.alpha},        {"tests", history.n_tests},
      {"runs", ordered_json::array()}, {"figures", ordered_json::array()}};
  for (const HistoryRun& run : history.runs) json["runs"].push_back(run_json(run));
  for (const HistoryFigure& figure : history.figures) {
    json["figures"].push_back(figure_json(history, figure));
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
