#include "reports/pages/chart.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/pages/escape.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

ordered_json axis_json(const ChartAxis& axis) {
  ordered_json json = {{"title", clean_line(axis.title)}};
  if (axis.log) json["log"] = true;
  if (axis.min) json["min"] = *axis.min;
  if (axis.max) json["max"] = *axis.max;
  for (const std::string& name : axis.categories) json["categories"].push_back(clean_line(name));
  return json;
}

// The cell that all points of a series belong to; "" when there is none.
std::string common_cell(const ChartSeries& series) {
  if (series.points.empty()) return "";
  const std::string& cell = series.points[0].cell;
  const bool same = std::all_of(series.points.begin(), series.points.end(),
                                [&](const ChartPoint& point) { return point.cell == cell; });
  return same ? cell : "";
}

// Absent rather than empty or repeated: a page has thousands of points.
ordered_json point_json(const ChartPoint& point, const std::string& common_cell) {
  ordered_json json = {{"x", point.x}, {"y", point.y}};
  if (point.x_interval) json["xi"] = {point.x_interval->lo, point.x_interval->hi};
  if (point.y_interval) json["yi"] = {point.y_interval->lo, point.y_interval->hi};
  if (!point.label.empty()) json["label"] = clean_line(point.label);
  if (!point.note.empty()) json["note"] = clean_line(point.note);
  if (point.cell != common_cell) json["cell"] = clean_line(point.cell);
  if (point.faint) json["faint"] = true;
  return json;
}

const char* form_name(ChartForm form) {
  switch (form) {
    case ChartForm::kLine:
      return "line";
    case ChartForm::kPoints:
      return "points";
    case ChartForm::kSteps:
      return "steps";
    case ChartForm::kArea:
      return "area";
    case ChartForm::kBars:
      return "bars";
    case ChartForm::kCrosses:
      return "crosses";
  }
  return "";
}

// Numbers of keys in the order the page first names them; -1 for "".
class KeyNumbers {
 public:
  int of(const std::string& key) {
    if (key.empty()) return -1;
    return numbers_.emplace(key, static_cast<int>(numbers_.size())).first->second;
  }

 private:
  std::map<std::string, int> numbers_;
};

// What gives the shape: of several cells with one colour on a chart, the cell.
std::string shape_of(const ChartSeries& series, const Chart& chart) {
  if (!series.shape_key.empty()) return series.shape_key;
  const std::string cell = common_cell(series);
  const bool shared =
      std::any_of(chart.series.begin(), chart.series.end(), [&](const ChartSeries& other) {
        return other.key == series.key && !cell.empty() && common_cell(other) != cell;
      });
  return shared ? cell : series.key;
}

ordered_json series_json(const ChartSeries& series, const Chart& chart, KeyNumbers& colours,
                         KeyNumbers& shapes) {
  ordered_json json = {{"name", clean_line(series.name)}, {"form", form_name(series.form)}};
  json["colour"] = colours.of(series.key);
  json["shape"] = shapes.of(shape_of(series, chart));
  if (series.dashed) json["dashed"] = true;
  const std::string cell = common_cell(series);
  if (!cell.empty()) json["cell"] = clean_line(cell);
  json["points"] = ordered_json::array();
  for (const ChartPoint& point : series.points) json["points"].push_back(point_json(point, cell));
  return json;
}

}  // namespace

std::vector<ChartPoint> thinned(std::vector<ChartPoint> points, size_t most) {
  if (points.size() <= most || most < 2) return points;
  const size_t n_parts = most / 2;
  const double first = points.front().x;
  const double width = (points.back().x - first) / static_cast<double>(n_parts);
  std::vector<ChartPoint> kept;
  size_t begin = 0;
  for (size_t part = 0; part < n_parts && begin < points.size(); ++part) {
    size_t end = begin;
    while (end < points.size() &&
           (part + 1 == n_parts || points[end].x < first + width * static_cast<double>(part + 1))) {
      ++end;
    }
    if (end == begin) continue;
    const auto lower = [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; };
    const auto [low, high] =
        std::minmax_element(points.begin() + static_cast<ptrdiff_t>(begin),
                            points.begin() + static_cast<ptrdiff_t>(end), lower);
    kept.push_back(*std::min(low, high));
    if (low != high) kept.push_back(*std::max(low, high));
    begin = end;
  }
  return kept;
}

std::string charts_json(const std::vector<const Chart*>& charts) {
  ordered_json all = ordered_json::array();
  KeyNumbers colours, shapes;
  for (const Chart* chart : charts) {
    ordered_json json = {{"id", chart->id},
                         {"title", clean_line(chart->title)},
                         {"answer", clean_line(chart->answer)},
                         {"x", axis_json(chart->x)},
                         {"y", axis_json(chart->y)},
                         {"series", ordered_json::array()}};
    for (const ChartSeries& series : chart->series) {
      json["series"].push_back(series_json(series, *chart, colours, shapes));
    }
    for (const ChartGuide& guide : chart->guides) {
      json["guides"].push_back({{"vertical", guide.vertical},
                                {"at", guide.at},
                                {"label", clean_line(guide.label)},
                                {"bad", guide.tone == Tone::kBad}});
    }
    for (const ChartBand& band : chart->bands) {
      json["bands"].push_back(
          {{"from", band.from}, {"to", band.to}, {"label", clean_line(band.label)}});
    }
    all.push_back(std::move(json));
  }
  // ASCII alone, and nothing that could end the element it stands in.
  std::string out;
  for (const char c : all.dump(-1, ' ', true, ordered_json::error_handler_t::replace)) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace ds4::reports
