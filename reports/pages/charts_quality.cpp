// Charts of quality: each suite's score with its interval, cell beside cell, and the cases on which
// checkpoints disagree.
#include <algorithm>
#include <set>

#include "reports/figures/difference.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostCells = 24;       // of a chart: those with the best scores
constexpr size_t kMostCheckpoints = 6;  // of the table of disagreements
constexpr size_t kMostCases = 20;       // of a suite in it

// A row of a chart: one suite of one cell.
struct Row {
  std::string label;
  const CellRow* cell;
  std::string suite;
  std::vector<const Figure*> figures;  // of the filters
};

// How a suite's answers are read: its headline, or a strict and a flexible filter side by side.
std::vector<std::string> filters_of(const PageContext& context, const std::string& suite) {
  const std::vector<std::string> scores = context.scores_of(suite);
  const auto has = [&](const char* name) {
    return std::find(scores.begin(), scores.end(), name) != scores.end();
  };
  if (has("strict") && has("flexible")) return {"strict", "flexible"};
  return scores.empty() ? scores : std::vector<std::string>{scores.front()};
}

// The headline's value; what is compared and sorted by.
double headline(const PageContext& context, const Row& row) {
  const std::vector<std::string> filters = filters_of(context, row.suite);
  const std::string first = context.scores_of(row.suite).front();
  const auto at = std::find(filters.begin(), filters.end(), first);
  const auto i = at == filters.end() ? 0 : static_cast<size_t>(at - filters.begin());
  return *(*row.figures[i])->value;
}

// Nothing without a verdict by each filter.
std::optional<Row> row_of(PageContext& context, const CellRow& cell, const std::string& suite,
                          const std::string& label) {
  Row row{label, &cell, suite, {}};
  for (const std::string& filter : filters_of(context, suite)) {
    const Figure* figure = context.figure({cell.key, suite, {}}, filter);
    if (!figure || !(*figure)->value) return std::nullopt;
    row.figures.push_back(figure);
  }
  return row.figures.empty() ? std::nullopt : std::optional(std::move(row));
}

// One series for each checkpoint and filter, a mark in each of its rows.
void draw(const PageContext& context, const std::vector<Row>& rows, Chart& chart) {
  chart.x = {"score", false, 0, 1};
  chart.table.columns = {{"suite and cell"}, {"score"},   {"value", true},
                         {"95 %", true},     {"n", true}, {"invalid", true}};
  for (size_t i = 0; i < rows.size(); ++i) {
    chart.y.categories.push_back(rows[i].label);
    const std::string key = chart_key(context.run, *rows[i].cell);
    for (const Figure* figure : rows[i].figures) {
      const FigureData& data = **figure;
      const bool several = rows[i].figures.size() > 1;
      const std::string name = several ? key + ", " + data.name : key;
      auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                 [&](const ChartSeries& s) { return s.name == name; });
      if (series == chart.series.end()) {
        chart.series.push_back({name, key, ChartForm::kPoints});
        series = chart.series.end() - 1;
        if (several && data.name == "flexible") series->shape_key = data.name;
      }
      series->points.push_back({*data.value, static_cast<double>(i)});
      ChartPoint& point = series->points.back();
      point.x_interval = data.interval;
      point.note = data.name + ", n = " + std::to_string(data.n);
      point.cell = rows[i].cell->label;
      chart.table.rows.push_back({{rows[i].label},
                                  {data.name},
                                  {format_value(data)},
                                  {format_interval(data)},
                                  {std::to_string(data.n)},
                                  {std::to_string(data.n_invalid)}});
    }
  }
}

std::string score_text(const PageContext& context, const Row& row) {
  return format_value("", headline(context, row));
}

// One cell: its suites beside each other.
void add_suites_chart(PageContext& context, const CellRow& cell, Section& section) {
  std::vector<Row> rows;
  for (const std::string& suite : suites_of(context.run, cell.key)) {
    if (auto row = row_of(context, cell, suite, suite)) rows.push_back(std::move(*row));
  }
  if (rows.empty()) return;
  Chart chart;
  chart.id = "quality-suites";
  chart.title = "Which suites does it get right?";
  const auto [low, high] = std::minmax_element(
      rows.begin(), rows.end(),
      [&](const Row& a, const Row& b) { return headline(context, a) < headline(context, b); });
  chart.answer = high->suite + " best, " + score_text(context, *high);
  if (rows.size() > 1) {
    chart.answer += "; of " + std::to_string(rows.size()) + " suites " + low->suite + " least, " +
                    score_text(context, *low);
  }
  chart.answer += ".";
  chart.table.caption = "Scores by suite: means over cases with a verdict.";
  draw(context, rows, chart);
  section.charts.push_back(std::move(chart));
}

// Several cells: a chart for each suite.
void add_cells_chart(PageContext& context, const std::string& suite, Section& section) {
  std::vector<Row> rows;
  for (const CellRow& cell : context.run.cells) {
    if (auto row = row_of(context, cell, suite, cell.label)) rows.push_back(std::move(*row));
  }
  if (rows.size() < 2) return;
  const size_t n_all = rows.size();
  if (n_all > kMostCells) {
    std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
      return headline(context, a) > headline(context, b);
    });
    rows.resize(kMostCells);
  }
  const auto best = std::max_element(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    return headline(context, a) < headline(context, b);
  });
  size_t n_worse = 0, n_ties = 0;
  for (const Row& row : rows) {
    if (row.cell == best->cell) continue;
    n_ties += headline(context, row) == headline(context, *best);
    const auto difference =
        score_difference({context.run, best->cell->key}, {context.run, row.cell->key}, suite,
                         context.scores_of(suite).front());
    n_worse += difference && difference->interval.hi < 0;
  }
  Chart chart;
  chart.id = "quality-" + suite;
  std::replace(chart.id.begin(), chart.id.end(), '_', '-');
  chart.title = "Does " + suite + " tell the cells apart?";
  chart.answer = best->label + " has the best " + context.scores_of(suite).front() + ", " +
                 score_text(context, *best) +
                 (n_ties > 0 ? " (and " + std::to_string(n_ties) + " more have it)" : "") +
                 "; others shown: " + std::to_string(n_worse) + " worse on the same cases, " +
                 std::to_string(rows.size() - 1 - n_worse) + " not separable from it.";
  chart.table.caption = "Scores of " + suite + " by cell.";
  if (n_all > rows.size()) {
    chart.table.caption += " The " + std::to_string(kMostCells) + " best of " +
                           std::to_string(n_all) + "; all are in the table of scores.";
  }
  draw(context, rows, chart);
  section.charts.push_back(std::move(chart));
}

// The newest grade of each case of a cell, by suite and case.
using Grades = std::map<std::string, std::map<std::string, std::string>>;
Grades grades_of(const RunData& run, const CellRow& cell) {
  Grades grades;
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (attempt.status != "ok" || !attempt.score) continue;
    grades[attempt.suite][attempt.case_id] = attempt.score->grade;
  }
  return grades;
}

TableCell grade_cell(const Grades& grades, const std::string& suite, const std::string& case_id) {
  const auto of_suite = grades.find(suite);
  if (of_suite == grades.end()) return nothing();
  const auto found = of_suite->second.find(case_id);
  if (found == of_suite->second.end()) return nothing();
  const std::string& grade = found->second;
  const Tone tone = grade == "correct" ? Tone::kGood
                    : grade == "wrong" ? Tone::kBad
                                       : Tone::kUnsure;
  return {(grade == "correct" ? "✓ " : grade == "wrong" ? "✗ " : "? ") + grade, tone};
}

// Cases that the first cell of some checkpoint has right and that of another wrong.
void add_disagreements(const PageContext& context, Section& section) {
  std::vector<const CellRow*> cells;
  std::set<std::string> checkpoints;
  for (const CellRow& cell : context.run.cells) {
    if (cells.size() < kMostCheckpoints && checkpoints.insert(cell.checkpoint_path).second) {
      cells.push_back(&cell);
    }
  }
  if (cells.size() < 2) return;
  Table table{"", {{"suite"}, {"case"}}, {}};
  table.in_terminal = false;
  std::vector<Grades> grades;
  for (const CellRow* cell : cells) {
    table.columns.push_back({cell->label});
    grades.push_back(grades_of(context.run, *cell));
  }
  size_t n_all = 0;
  for (const auto& [suite, cases] : grades.front()) {
    size_t n_of_suite = 0;
    for (const auto& [case_id, grade] : cases) {
      std::set<std::string> seen;
      for (const Grades& of_cell : grades) {
        const auto other = of_cell.find(suite);
        if (other == of_cell.end()) continue;
        const auto found = other->second.find(case_id);
        if (found != other->second.end()) seen.insert(found->second);
      }
      if (!seen.contains("correct") || !seen.contains("wrong")) continue;
      ++n_all;
      if (++n_of_suite > kMostCases) continue;
      std::vector<TableCell> row = {{suite}, {case_id}};
      for (const Grades& of_cell : grades) row.push_back(grade_cell(of_cell, suite, case_id));
      table.rows.push_back(std::move(row));
    }
  }
  if (table.rows.empty()) return;
  table.caption =
      "Cases on which checkpoints disagree, each by its first cell: right here, wrong "
      "there. " +
      std::to_string(table.rows.size()) + " of " + std::to_string(n_all) + ", at most " +
      std::to_string(kMostCases) + " of a suite.";
  section.tables.push_back(std::move(table));
}

}  // namespace

void add_quality_charts(PageContext& context, Section& section) {
  if (context.run.cells.size() == 1) {
    add_suites_chart(context, context.run.cells.front(), section);
    return;
  }
  for (const auto& [suite, scores] : context.judging.scores) {
    if (!scores.empty()) add_cells_chart(context, suite, section);
  }
  add_disagreements(context, section);
}

}  // namespace ds4::reports
