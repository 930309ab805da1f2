// Charts of the speed section: prefill and decode against context length.
#include <algorithm>
#include <cctype>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostRawPoints = 400;  // of a series; more are thinned, the store has all
constexpr size_t kMostLengths = 40;     // more values of a tag name cases

struct Rate {
  const char* metric;
  const char* title;
  const char* verb;
};
constexpr Rate kRates[] = {
    {"prefill_rate", "Does prefill slow down as the prompt grows?", "reads"},
    {"decode_rate", "Does decode slow down as the context grows?", "writes"}};

// Every timed answer at its own prompt length.
ChartSeries raw_points(const PageContext& context, const CellRow& cell, const std::string& suite,
                       const std::string& metric) {
  ChartSeries series{cell.label + ", each answer", chart_key(context.run, cell),
                     ChartForm::kPoints};
  for (const StoredAttempt* attempt : timed_attempts(context.run, cell.key)) {
    if (attempt->suite != suite) continue;
    const std::optional<double> value = attempt_metric(*attempt, metric);
    if (!value) continue;
    series.points.push_back({static_cast<double>(attempt->prompt_tokens), *value});
    series.points.back().faint = true;
    series.points.back().cell = cell.label;
    series.points.back().note = attempt->case_id;
  }
  std::sort(series.points.begin(), series.points.end(),
            [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  series.points = thinned(std::move(series.points), kMostRawPoints);
  return series;
}

// Medians by length with their intervals.
ChartSeries medians(PageContext& context, const CellRow& cell, const std::string& suite,
                    const std::vector<std::string>& lengths, const std::string& metric,
                    Table& table) {
  ChartSeries series{cell.label, chart_key(context.run, cell)};
  for (const std::string& length : lengths) {
    const Selection selection{cell.key, suite, {{"length", length}}};
    const Figure* figure = context.figure(selection, metric);
    if (!figure || !(*figure)->value) continue;
    std::vector<double> tokens;
    for (const StoredAttempt* attempt : timed_attempts(context.run, cell.key)) {
      if (selection.matches(attempt->suite, attempt->tags)) {
        tokens.push_back(static_cast<double>(attempt->prompt_tokens));
      }
    }
    const std::optional<double> x = median(tokens);
    if (!x) continue;
    const FigureData& data = **figure;
    series.points.push_back({*x, *data.value});
    ChartPoint& point = series.points.back();
    point.y_interval = data.interval;
    point.note = "median of " + std::to_string(data.n);
    point.cell = cell.label;
    table.rows.push_back({{cell.label},
                          {format_count(static_cast<int64_t>(*x))},
                          {format_number(*data.value)},
                          {format_interval(data)},
                          {std::to_string(data.n)}});
  }
  // Cells of one checkpoint have one colour: their names tell them apart.
  if (!series.points.empty()) series.points.back().label = cell.label;
  return series;
}

// "At 3,041 prompt tokens K160 reads fastest of 3 cells: 812 tok/s, 0.91 of what it reads at 512."
std::string answer_of(const std::vector<ChartSeries>& lines, const char* verb) {
  const ChartSeries* best = nullptr;
  for (const ChartSeries& line : lines) {
    if (line.points.empty()) continue;
    if (!best || line.points.back().y > best->points.back().y) best = &line;
  }
  if (!best) return "Nothing was measured.";
  const ChartPoint& first = best->points.front();
  const ChartPoint& last = best->points.back();
  const auto tokens = [](double x) { return format_count(static_cast<int64_t>(x)); };
  std::string text = "At " + tokens(last.x) + " prompt tokens " + best->name + " " + verb + " ";
  if (lines.size() > 1) text += "fastest of " + std::to_string(lines.size()) + " cells: ";
  text += format_number(last.y) + " tok/s";
  if (best->points.size() > 1) {
    text += ", " + format_number(last.y / first.y) + " of its rate at " + tokens(first.x);
  }
  return text + ".";
}

}  // namespace

void add_speed_charts(PageContext& context, Section& section) {
  std::vector<std::string> suites;
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
    }
  }
  for (const std::string& suite : suites) {
    for (const Rate& rate : kRates) {
      Chart chart;
      chart.id = suite + "-" + rate.metric;
      std::replace(chart.id.begin(), chart.id.end(), '_', '-');
      chart.title = std::string(rate.title) + " (" + suite + ")";
      chart.x = {"prompt tokens", true};
      chart.y = {std::string(rate.metric == kRates[0].metric ? "prefill" : "decode") + " tok/s"};
      chart.y.min = 0;
      chart.table = {
          "Medians by prompt length.",
          {{"cell"}, {"prompt tokens", true}, {"tok/s", true}, {"95 %", true}, {"n", true}},
          {}};
      std::vector<ChartSeries> raw;
      for (const CellRow& cell : context.run.cells) {
        const auto lengths = tag_values(context.run, {cell.key, suite, {}}, "length");
        if (lengths.size() < 2 || lengths.size() > kMostLengths) continue;
        ChartSeries line = medians(context, cell, suite, lengths, rate.metric, chart.table);
        if (line.points.empty()) continue;
        chart.series.push_back(std::move(line));
        raw.push_back(raw_points(context, cell, suite, rate.metric));
      }
      if (chart.series.empty()) continue;
      chart.answer = answer_of(chart.series, rate.verb);
      chart.series.insert(chart.series.end(), raw.begin(), raw.end());
      section.charts.push_back(std::move(chart));
    }
  }
}

}  // namespace ds4::reports
