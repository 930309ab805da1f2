// Charts of decoding with drafts: how many are kept, on which texts, and whether it pays.
#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostCells = 8;  // of a chart: the first of the sweep that have drafts
constexpr int kMostPlaces = 5;    // metrics acceptance_rate_1 to _5
constexpr size_t kMostFamilies = 40;
constexpr size_t kMostVerdicts = 3;  // of the answer; the table beside the chart has all

std::vector<const CellRow*> cells_with_drafts(PageContext& context, size_t& n_all) {
  std::vector<const CellRow*> cells;
  for (const CellRow& cell : context.run.cells) {
    const auto attempts = timed_attempts(context.run, cell.key);
    const bool any = std::any_of(attempts.begin(), attempts.end(), [](const StoredAttempt* a) {
      return attempt_metric(*a, "acceptance_length").has_value();
    });
    if (!any) continue;
    if (++n_all <= kMostCells) cells.push_back(&cell);
  }
  return cells;
}

std::string of_all(size_t n_all) {
  if (n_all <= kMostCells) return "";
  return " The first " + std::to_string(kMostCells) + " of " + std::to_string(n_all) + " cells.";
}

void add_row(Table& table, const std::string& first, const CellRow& cell, const FigureData& data) {
  table.rows.push_back({{first},
                        {cell.label},
                        {format_number(*data.value)},
                        data.interval ? TableCell{format_number(data.interval->lo) + " to " +
                                                  format_number(data.interval->hi)}
                                      : nothing(),
                        {std::to_string(data.n)}});
}

// The share of drafts that were kept, by their place behind the drawn token.
void add_places(PageContext& context, const std::vector<const CellRow*>& cells, size_t n_all,
                Section& section) {
  Chart chart;
  chart.id = "acceptance-place";
  chart.title = "How many drafts are kept, by their place?";
  chart.x = {"place of the draft behind the drawn token", false, 0, kMostPlaces + 1};
  chart.y = {"share kept", false, 0, 1};
  chart.table = {"Medians over answers." + of_all(n_all),
                 {{"place"}, {"cell"}, {"share kept", true}, {"95 %", true}, {"n", true}},
                 {}};
  for (const CellRow* cell : cells) {
    ChartSeries series{cell->label, chart_key(context.run, *cell)};
    for (int place = 1; place <= kMostPlaces; ++place) {
      const Figure* figure =
          context.figure({cell->key, "", {}}, "acceptance_rate_" + std::to_string(place));
      if (!figure) continue;
      const FigureData& data = **figure;
      series.points.push_back({static_cast<double>(place), *data.value});
      series.points.back().y_interval = data.interval;
      series.points.back().note = "n = " + std::to_string(data.n);
      series.points.back().cell = cell->label;
      add_row(chart.table, std::to_string(place), *cell, data);
    }
    if (series.points.empty()) continue;
    series.points.back().label = cell->label;
    chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return;
  const auto best = std::max_element(chart.series.begin(), chart.series.end(),
                                     [](const ChartSeries& a, const ChartSeries& b) {
                                       return a.points.front().y < b.points.front().y;
                                     });
  chart.answer =
      best->name + " keeps " + format_number(best->points.front().y) + " of its first drafts";
  if (best->points.size() > 1) {
    chart.answer += " and " + format_number(best->points.back().y) + " of those at place " +
                    format_number(best->points.back().x, 1);
  }
  chart.answer += chart.series.size() > 1 ? ": the largest share of first drafts of " +
                                                std::to_string(chart.series.size()) + " cells."
                                          : ".";
  section.charts.push_back(std::move(chart));
}

// Tokens a round gave, by family of texts.
void add_families(PageContext& context, const std::vector<const CellRow*>& cells, size_t n_all,
                  Section& section) {
  std::set<std::string> families;
  for (const CellRow* cell : cells) {
    for (const std::string& name : tag_values(context.run, {cell->key, "", {}}, "family")) {
      families.insert(name);
    }
  }
  if (families.size() < 2 || families.size() > kMostFamilies) return;
  Chart chart;
  chart.id = "acceptance-family";
  chart.title = "On which texts are drafts kept?";
  chart.x = {"tokens a round gave", false, 0};
  chart.y.categories.assign(families.begin(), families.end());
  chart.table = {"Medians over answers." + of_all(n_all),
                 {{"family"}, {"cell"}, {"tokens a round", true}, {"95 %", true}, {"n", true}},
                 {}};
  const ChartPoint* best = nullptr;
  std::string best_cell;
  for (const CellRow* cell : cells) {
    chart.series.push_back({cell->label, chart_key(context.run, *cell), ChartForm::kPoints});
    ChartSeries& series = chart.series.back();
    series.shape_key = cell->label;
    for (size_t i = 0; i < chart.y.categories.size(); ++i) {
      const std::string& family = chart.y.categories[i];
      const Figure* figure =
          context.figure({cell->key, "", {{"family", family}}}, "acceptance_length");
      if (!figure) continue;
      const FigureData& data = **figure;
      series.points.push_back({*data.value, static_cast<double>(i)});
      series.points.back().x_interval = data.interval;
      series.points.back().note = "n = " + std::to_string(data.n);
      series.points.back().cell = cell->label;
      add_row(chart.table, family, *cell, data);
    }
  }
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (best && point.x <= best->x) continue;
      best = &point;
      best_cell = series.name;
    }
  }
  if (!best) return;
  size_t n_others = 0, n_below = 0;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      n_others += &point != best;
      n_below +=
          best->x_interval && point.x_interval && point.x_interval->hi < best->x_interval->lo;
    }
  }
  chart.answer = "A round gives most on " +
                 chart.y.categories[static_cast<size_t>(std::llround(best->y))] + ", " +
                 format_number(best->x) + " tokens in " + best_cell +
                 "; not separable from it: " + std::to_string(n_others - n_below) + " of " +
                 std::to_string(n_others) + " others. 1 is what decoding without drafts gives.";
  chart.guides.push_back({true, 1, "no drafts"});
  section.charts.push_back(std::move(chart));
}

}  // namespace

void add_speculation_charts(PageContext& context, Section& section) {
  size_t n_all = 0;
  const std::vector<const CellRow*> cells = cells_with_drafts(context, n_all);
  if (cells.empty()) return;
  add_places(context, cells, n_all, section);
  add_families(context, cells, n_all, section);
}

void add_payoff_chart(const PageContext& context, const std::vector<PayoffLine>& lines,
                      Section& section) {
  if (lines.empty()) return;
  Chart chart;
  chart.id = "payoff";
  chart.title = "Does the setting pay?";
  chart.x = {"prompt tokens", true};
  chart.y = {"decode tok/s / that without it"};
  chart.guides.push_back({false, 1, "as fast as without"});
  chart.table = {
      "Decode tok/s against the cell with the setting's first value, by length of "
      "prompts.",
      {{"suite"},
       {"cell"},
       {"prompt tokens", true},
       {"decode ratio", true},
       {"95 %", true},
       {"n", true}},
      {}};
  if (lines.size() > kMostCells) {
    chart.table.caption += " The first " + std::to_string(kMostCells) + " of " +
                           std::to_string(lines.size()) + " comparisons.";
  }
  for (size_t i = 0; i < std::min(lines.size(), kMostCells); ++i) {
    const PayoffLine& line = lines[i];
    if (i < kMostVerdicts) {
      chart.answer += (i == 0 ? "" : " ") + line.cell->label + " (" + line.suite + ") " +
                      line.payoff.verdict + ".";
    }
    ChartSeries series{line.cell->label + ", " + line.suite, chart_key(context.run, *line.cell)};
    series.shape_key = series.name;
    for (const PayoffPoint& point : line.payoff.points) {
      series.points.push_back({point.context, point.ratio});
      series.points.back().y_interval = point.interval;
      series.points.back().note = "n = " + std::to_string(point.n);
      series.points.back().cell = line.cell->label;
      chart.table.rows.push_back({{line.suite},
                                  {line.cell->label},
                                  {format_count(std::llround(point.context))},
                                  {format_number(point.ratio)},
                                  point.interval
                                      ? TableCell{format_number(point.interval->lo) + " to " +
                                                  format_number(point.interval->hi)}
                                      : nothing(),
                                  {std::to_string(point.n)}});
    }
    chart.series.push_back(std::move(series));
  }
  section.charts.push_back(std::move(chart));
}

}  // namespace ds4::reports
