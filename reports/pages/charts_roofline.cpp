// The roofline chart of a cell (S. Williams et al., Commun. ACM 52:4, 2009): operations per byte
// against operations per second, under the roofs that the run measured.
#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/base/units.h"
#include "reports/figures/roofline.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostCells = 4;  // with a chart of their own; the tables have all
constexpr double kGiga = 1e9;     // of the axis: GFLOP/s

// A mark: what was done per byte, and how fast.
struct Mark {
  std::string name;
  const char* phase;
  double intensity, rate, share;
  bool whole = false;
};

std::vector<Mark> marks_of(const CellRoofline& under) {
  std::vector<Mark> marks;
  for (const RooflineRow& row : under.passes) {
    if (!row.share() || row.flops <= 0) continue;
    const double passes_s = *(*row.measured)->value / row.tokens;
    marks.push_back({std::string(name_of(row.pass)) + " at " + format_count(row.context),
                     name_of(row.pass), row.flops / row.bytes, row.flops * passes_s, *row.share(),
                     true});
  }
  for (const Step& step : under.steps) {
    for (const OperationRow& row : step.operations) {
      if (row.flops <= 0 || row.seconds <= 0) continue;
      marks.push_back({row.name + " at " + format_count(step.context),
                       step.decode ? "decode" : "prefill", row.flops / row.bytes,
                       row.flops / row.seconds, row.share()});
    }
  }
  return marks;
}

ChartSeries roof_line(const char* name, double read_rate, double product_rate, double from,
                      double to, bool dashed) {
  ChartSeries line{name, "", ChartForm::kLine};
  line.dashed = dashed;
  const auto add = [&](double x) {
    const double by_bytes = x * read_rate;
    line.points.push_back(
        {x, (product_rate > 0 ? std::min(by_bytes, product_rate) : by_bytes) / kGiga});
  };
  add(from);
  const double ridge = product_rate / read_rate;
  if (ridge > from && ridge < to) add(ridge);
  add(to);
  return line;
}

std::string answer_of(const std::vector<Mark>& marks) {
  std::string text;
  for (const Mark& mark : marks) {
    if (!mark.whole) continue;
    text += (text.empty() ? "" : "; ") + mark.name + " reaches " + format_number(100 * mark.share) +
            " % of its roof";
  }
  if (text.empty()) return "No whole pass was measured.";
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

}  // namespace

void add_roofline_charts(const PageContext& context, Section& section) {
  for (const CellRoofline& under : context.page.rooflines) {
    const Roof& roof = under.roof;
    if (roof.projected || section.charts.size() == kMostCells) continue;
    const std::vector<Mark> marks = marks_of(under);
    if (marks.empty()) continue;
    const CellRow& cell = *context.run.cells.find(under.cell_key);
    const auto [least, most] =
        std::minmax_element(marks.begin(), marks.end(),
                            [](const Mark& a, const Mark& b) { return a.intensity < b.intensity; });
    const double ridge = roof.product_rate > 0 ? roof.product_rate / roof.read_rate : 1;
    const double from = std::pow(10, std::floor(std::log10(std::min(least->intensity, ridge))));
    const double to = std::pow(10, std::ceil(std::log10(std::max(most->intensity, 2 * ridge))));

    Chart chart;
    chart.id = "roofline-" + cell.key;
    chart.title = "How near to the machine's roof does the engine come?";
    if (context.many_cells()) chart.title += " (" + cell.label + ")";
    chart.answer = answer_of(marks);
    chart.x = {"FLOP per byte", true};
    chart.y = {"GFLOP/s", true};
    chart.table = {"Every mark of the chart.",
                   {{"pass or operation"},
                    {"phase"},
                    {"FLOP/byte", true},
                    {"GFLOP/s", true},
                    {"of the nearest roof", true}},
                   {}};
    chart.series.push_back(
        roof_line("measured roof", roof.read_rate, roof.product_rate, from, to, false));
    if (roof.memory_peak > 0 && roof.product_peak > 0) {
      chart.series.push_back(
          roof_line("datasheet", roof.memory_peak, roof.product_peak, from, to, true));
    }
    for (const Mark& mark : marks) {
      const std::string name =
          std::string(mark.phase) + (mark.whole ? ", whole pass" : ", operation");
      auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                 [&](const ChartSeries& s) { return s.name == name; });
      if (series == chart.series.end()) {
        chart.series.push_back({name, chart_key(context.run, cell), ChartForm::kPoints});
        series = chart.series.end() - 1;
        series->shape_key = mark.phase;
      }
      ChartPoint point{mark.intensity, mark.rate / kGiga};
      if (mark.whole) point.label = mark.name;
      point.note = mark.name + ", " + format_number(100 * mark.share) + " % of the roof";
      point.cell = cell.label;
      point.faint = !mark.whole;
      series->points.push_back(std::move(point));
      chart.table.rows.push_back({{mark.name},
                                  {mark.phase},
                                  {format_number(mark.intensity)},
                                  {format_number(mark.rate / kGiga)},
                                  {format_number(100 * mark.share) + " %"}});
    }
    section.charts.push_back(std::move(chart));
  }
}

}  // namespace ds4::reports
