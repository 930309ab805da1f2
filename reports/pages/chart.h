// A chart of the page: a question, its answer in a sentence, and the data. Renderers without
// pictures give the answer and, where asked, the table; nothing is said by the picture alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/pages/table.h"
#include "reports/stats/stats.h"

namespace ds4::reports {

struct ChartAxis {
  std::string title;                         // with its unit
  bool log = false;                          // only positive values are drawn then
  std::optional<double> min = {}, max = {};  // else from the data; bars and areas begin at 0
  std::vector<std::string> categories = {};  // of a y axis whose values are 0, 1, ... downwards
};

struct ChartPoint {
  double x = 0, y = 0;
  std::optional<Interval> x_interval = {}, y_interval = {};  // 95 %
  std::string label = {};                                    // drawn beside the mark
  std::string note = {};  // read out with the exact values when the mark is chosen
  std::string cell = {};  // label of the cell it belongs to: marked on every chart and table
  bool faint = false;     // present but not part of the answer: raw values, dominated points
};

enum class ChartForm {
  kLine,    // through the points; their intervals as a band
  kPoints,  // marks, with crosses for their intervals
  kSteps,   // a frontier: across, then up or down
  kArea,    // stacked on the areas before it; all areas of a chart have the same x
  kBars,    // from 0 along x, one for each category of y
  kCrosses  // something ended here
};

struct ChartSeries {
  std::string name;  // "K160 · FP8 KV"
  /// What gives the colour: the same key looks the same on every chart of the page. "" is grey.
  std::string key;
  ChartForm form = ChartForm::kLine;
  std::vector<ChartPoint> points = {};
  std::string shape_key = {};  // gives the mark's shape; "": the cell where several share `key`
  bool dashed = false;         // not measured: from a data sheet, predicted, published
};

/// A line across the chart, with its value written on it.
struct ChartGuide {
  bool vertical = false;  // at a value of x
  double at = 0;
  std::string label;
  Tone tone = Tone::kMuted;
};

/// A stretch of x with a name behind the data: a phase.
struct ChartBand {
  double from = 0, to = 0;
  std::string label;
};

struct Chart {
  std::string id;      // unique on the page; letters, digits, '-'
  std::string title;   // the question
  std::string answer;  // a sentence
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  std::vector<ChartGuide> guides = {};
  std::vector<ChartBand> bands = {};
  Table table = {};  // everything drawn, exactly
};

/// Thins a line to at most `most` points: the stretch of x is cut into most / 2 equal parts, and
/// each keeps its lowest and its highest point, so that no peak is lost. Points ascend in x.
std::vector<ChartPoint> thinned(std::vector<ChartPoint> points, size_t most);

/// The charts for the page's script: one JSON object, safe inside a <script> element.
std::string charts_json(const std::vector<const Chart*>& charts);

}  // namespace ds4::reports
