// Charts of latency as distributions: the share of answers, or tokens, that took no longer.
#include <algorithm>
#include <map>
#include <set>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/load/percentile.h"
#include "reports/load/trace.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostCurves = 8;    // of a chart
constexpr size_t kMostPoints = 100;  // of a curve: so many ranks at equal distances, with both ends

using Values = std::vector<double>;  // seconds

struct Curve {
  std::string name, key;
  const CellRow* cell = nullptr;  // none of a level of a load
  Values values = {};
};

// Time to the token after each but the first; a piece of several tokens gives each an equal part.
void add_token_times(const std::vector<EventRow>& events, Values& values) {
  for (size_t i = 1; i < events.size(); ++i) {
    const int n = std::max(events[i].n_tokens, 1);
    const double gap = (events[i].time_s - events[i - 1].time_s) / n;
    values.insert(values.end(), static_cast<size_t>(n), gap);
  }
}

ChartSeries series_of(const Curve& curve) {
  ChartSeries series{curve.name, curve.key};
  const size_t n = curve.values.size();
  const size_t n_points = std::min(n, kMostPoints);
  for (size_t i = 0; i < n_points; ++i) {
    const size_t rank = n_points == 1 ? n - 1 : i * (n - 1) / (n_points - 1);
    series.points.push_back(
        {curve.values[rank], static_cast<double>(rank + 1) / static_cast<double>(n)});
    if (curve.cell) series.points.back().cell = curve.cell->label;
  }
  return series;
}

// "K160 is the quickest of 3: half within 812 ms, 95 of 100 within 1.40 s."
std::string answer_of(const std::vector<Curve>& curves, const std::string& what) {
  const auto quickest =
      std::min_element(curves.begin(), curves.end(), [](const Curve& a, const Curve& b) {
        return percentile_linear(a.values, 0.5) < percentile_linear(b.values, 0.5);
      });
  std::string text = "Half of the " + what + " of " + quickest->name + " came within " +
                     format_value("s", percentile_linear(quickest->values, 0.5)) +
                     ", 95 of 100 within " +
                     format_value("s", percentile_linear(quickest->values, 0.95));
  if (curves.size() > 1) {
    text += "; its median is the lowest of the " + std::to_string(curves.size()) + " drawn";
  }
  return text + ".";
}

// Sorts the values; of many curves those with the lowest medians stay.
void keep_quickest(std::vector<Curve>& curves) {
  std::erase_if(curves, [](const Curve& c) { return c.values.empty(); });
  for (Curve& curve : curves) std::sort(curve.values.begin(), curve.values.end());
  if (curves.size() <= kMostCurves) return;
  std::stable_sort(curves.begin(), curves.end(), [](const Curve& a, const Curve& b) {
    return a.values[a.values.size() / 2] < b.values[b.values.size() / 2];
  });
  curves.resize(kMostCurves);
}

// The chart of curves with sorted values; `left_out` says what is not among them.
void add_chart(Chart chart, const std::vector<Curve>& curves, const std::string& what,
               const std::string& left_out, Section& section) {
  if (curves.empty()) return;
  chart.answer = answer_of(curves, what);
  chart.x.log = true;
  chart.y = {"share of " + what, false, 0, 1};
  chart.table = {"Percentiles, interpolated between neighbours; a curve is drawn at up to " +
                     std::to_string(kMostPoints) + " ranks at equal distances." + left_out,
                 {{"curve"}, {"n", true}},
                 {}};
  for (const char* title : {"least", "p50", "p90", "p95", "p99", "most"}) {
    chart.table.columns.push_back({title, true});
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    const Curve& curve = curves[i];
    chart.series.push_back(series_of(curve));
    // Cells of one checkpoint have one colour: each curve bears its name, at a height of its own.
    std::vector<ChartPoint>& points = chart.series.back().points;
    points[(i + 1) * points.size() / (curves.size() + 1)].label = curve.name;
    std::vector<TableCell> row = {{curve.name}, {format_count(std::ssize(curve.values))}};
    for (const double share : {0.0, 0.5, 0.9, 0.95, 0.99, 1.0}) {
      row.push_back({format_value("s", percentile_linear(curve.values, share))});
    }
    chart.table.rows.push_back(std::move(row));
  }
  section.charts.push_back(std::move(chart));
}

Chart chart_of(const std::string& id, const std::string& title, const std::string& axis) {
  Chart chart;
  chart.id = id;
  std::replace(chart.id.begin(), chart.id.end(), '_', '-');
  chart.title = title;
  chart.x = {axis};
  return chart;
}

// The curves of the levels of a suite in a cell.
struct Levels {
  std::vector<Curve> first_token, between_tokens;
};

// Those of a level; what several launches ran of it is one curve.
Values& values_of(std::vector<Curve>& levels, const std::string& name) {
  const auto found = std::find_if(levels.begin(), levels.end(),
                                  [&](const Curve& curve) { return curve.name == name; });
  if (found != levels.end()) return found->values;
  return levels.emplace_back(Curve{name, name}).values;
}

}  // namespace

void add_latency_charts(PageContext& context, Section& section) {
  std::set<std::string> loads;  // requests that wait for each other: curves of their own
  for (const LoadTrace& trace : load_traces(context.run)) loads.insert(trace.suite);
  std::vector<Curve> first_token;
  for (const CellRow& cell : context.run.cells) {
    Curve& curve = first_token.emplace_back(Curve{cell.label, chart_key(context.run, cell), &cell});
    for (const StoredAttempt* attempt : timed_attempts(context.run, cell.key)) {
      if (loads.contains(attempt->suite)) continue;
      if (const auto ttft = attempt_metric(*attempt, "ttft")) curve.values.push_back(*ttft);
    }
  }
  const auto n_all = static_cast<size_t>(std::count_if(
      first_token.begin(), first_token.end(), [](const Curve& c) { return !c.values.empty(); }));
  keep_quickest(first_token);
  std::string left_out;
  if (n_all > kMostCurves) {
    left_out = " Shown are the " + std::to_string(kMostCurves) + " of " + std::to_string(n_all) +
               " cells with the lowest median TTFT.";
  }
  std::vector<Curve> between_tokens;  // of the same cells: a token each would be much of all
  for (const Curve& curve : first_token) {
    between_tokens.push_back({curve.name, curve.key, curve.cell});
    for (const StoredAttempt* attempt : timed_attempts(context.run, curve.cell->key)) {
      if (!loads.contains(attempt->suite)) {
        add_token_times(attempt->events, between_tokens.back().values);
      }
    }
  }
  keep_quickest(between_tokens);
  add_chart(chart_of("latency-ttft", "How long does the first token take?", "TTFT, s"), first_token,
            "answers", left_out, section);
  add_chart(chart_of("latency-itl", "How long does each token after it take?", "s per token"),
            between_tokens, "tokens", left_out, section);
}

void add_load_charts(PageContext& context, Section& section) {
  std::map<std::pair<std::string, std::string>, Levels> groups;  // by suite and cell
  for (const LoadTrace& trace : load_traces(context.run)) {
    if (!trace.valid_launch) continue;
    Levels& levels = groups[{trace.suite, trace.cell_key}];
    const std::string name = trace.way == "rate" ? trace.level + "/s" : trace.level + " at a time";
    Values& first = values_of(levels.first_token, name);
    Values& between = values_of(levels.between_tokens, name);
    for (const LoadRequest& request : trace.requests) {
      if (!request.timed()) continue;
      first.push_back(request.sent_s + request.first_token_s() - request.scheduled_s);
      add_token_times(request.events, between);
    }
  }
  size_t n = 0;
  for (auto& [group, levels] : groups) {
    if (++n > kMostCurves) break;
    const auto cell =
        std::find_if(context.run.cells.begin(), context.run.cells.end(),
                     [&key = group.second](const CellRow& c) { return c.key == key; });
    const std::string whose =
        group.first + (context.many_cells() ? ", " + cell->label : std::string());
    const std::string id = group.first + "-" + std::to_string(n);
    std::string left_out;
    if (levels.first_token.size() > kMostCurves) {
      left_out =
          " Shown are the " + std::to_string(kMostCurves) + " levels with the lowest medians.";
    }
    keep_quickest(levels.first_token);
    keep_quickest(levels.between_tokens);
    add_chart(chart_of("load-ttft-" + id,
                       "How long does the first token take under load? (" + whose + ")",
                       "s from when a request was due"),
              levels.first_token, "answers", left_out, section);
    add_chart(chart_of("load-itl-" + id,
                       "How long does each token after it take under load? (" + whose + ")",
                       "s per token"),
              levels.between_tokens, "tokens", left_out, section);
  }
  if (groups.size() > kMostCurves) {
    section.paragraphs.push_back("Curves are drawn of the first " + std::to_string(kMostCurves) +
                                 " of " + std::to_string(groups.size()) +
                                 " suites and cells; every load is in the tables.");
  }
}

}  // namespace ds4::reports
