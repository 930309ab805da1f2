#include "tests/browser/example_page.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

const std::vector<std::string> kCells = {"K144", "K160", "K180"};
constexpr double kLengths[] = {512, 2048, 8192, 32768, 131072, 200000};
constexpr double kGiB = 1073741824;

// Reproducible disorder in [-1, 1].
double noise(int i) {
  return std::sin(i * 12.9898) * std::cos(i * 78.233);
}

std::string fixed(double value, int digits = 1) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

Chart lines_with_bands() {
  Chart chart{"decode",
              "Does decode slow down as the context grows?",
              "At 200,000 prompt tokens K144 writes fastest of 3 cells: 17.5 tok/s, 0.85 of its "
              "rate at 512.",
              {"prompt tokens", true},
              {"decode tok/s"},
              {}};
  chart.y.min = 0;
  chart.table = {"Medians by prompt length.",
                 {{"cell"}, {"prompt tokens", true}, {"tok/s", true}, {"95 %", true}},
                 {}};
  for (size_t k = 0; k < kCells.size(); ++k) {
    ChartSeries line{kCells[k], kCells[k]};
    ChartSeries raw{kCells[k] + ", each answer", kCells[k], ChartForm::kPoints};
    for (const double length : kLengths) {
      const double rate = 20 - 2.5 * static_cast<double>(k) - length / 60000;
      ChartPoint point{length, rate};
      point.y_interval = Interval{rate - 0.8, rate + 0.6};
      point.cell = kCells[k];
      point.note = "median of 40";
      line.points.push_back(point);
      chart.table.rows.push_back({{kCells[k]},
                                  {fixed(length, 0)},
                                  {fixed(rate)},
                                  {fixed(rate - 0.8) + " to " + fixed(rate + 0.6)}});
      for (int i = 0; i < 12; ++i) {
        raw.points.push_back({length * (1 + 0.02 * noise(i)), rate + 1.6 * noise(i + 7)});
        raw.points.back().faint = true;
        raw.points.back().cell = kCells[k];
      }
    }
    chart.series.insert(chart.series.begin() + static_cast<ptrdiff_t>(k), line);
    chart.series.push_back(raw);
  }
  return chart;
}

Chart pareto() {
  Chart chart{"pareto-memory",
              "Which cell gives the most quality for its memory?",
              "K160 and K144 are not separable; K180 does not fit the budget.",
              {"peak memory, GiB"},
              {"quality"},
              {}};
  ChartSeries steps{"frontier", "", ChartForm::kSteps};
  for (int i = 0; i < 9; ++i) {
    const size_t k = static_cast<size_t>(i) / 3;
    ChartSeries mark{kCells[k] + (i % 3 == 0   ? " · FP8 KV"
                                  : i % 3 == 1 ? " · BF16 KV"
                                               : " · FP8 KV · 1M"),
                     kCells[k],
                     ChartForm::kPoints,
                     {},
                     std::to_string(i % 3)};
    ChartPoint point{76.0 + 12.5 * static_cast<double>(k) + 3.1 * (i % 3),
                     0.78 + 0.05 * static_cast<double>(k) + 0.004 * (i % 3)};
    point.x_interval = Interval{point.x - 0.4, point.x + 0.4};
    point.y_interval = Interval{point.y - 0.03, point.y + 0.025};
    point.label = mark.name;
    point.cell = kCells[k];
    point.faint = i % 3 == 2;
    if (i % 3 == 0) steps.points.push_back({point.x, point.y});
    mark.points.push_back(point);
    chart.series.push_back(mark);
  }
  chart.series.push_back(steps);
  chart.guides.push_back({true, 96, "budget 96 GiB"});
  chart.table = {"Peak memory and quality.", {{"cell"}, {"GiB", true}, {"quality", true}}, {}};
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& p : series.points) {
      chart.table.rows.push_back({{series.name}, {fixed(p.x)}, {fixed(p.y, 3)}});
    }
  }
  return chart;
}

Chart roofline() {
  Chart chart{"roofline",
              "What bounds each operation: memory or arithmetic?",
              "Decode runs at 71 % of the measured bandwidth roof; prefill at 44 % of FP8.",
              {"FLOP/byte", true},
              {"TFLOP/s", true},
              {}};
  chart.series = {{"measured roof", "", ChartForm::kLine, {{0.3, 1.2}, {250, 1000}, {8000, 1000}}},
                  {"data sheet", "", ChartForm::kLine, {{0.3, 1.44}, {410, 1979}, {8000, 1979}}}};
  chart.series[1].dashed = true;
  const struct {
    const char *name, *phase;
    double x, y;
  } marks[] = {{"decode attention", "decode", 1.1, 2.7},   {"indexer", "decode", 0.9, 2.2},
               {"expert GEMM", "decode", 2.0, 5.5},        {"dense GEMM", "decode", 2.1, 6.9},
               {"prefill attention", "prefill", 900, 310}, {"prefill experts", "prefill", 700, 440},
               {"whole decode step", "decode", 1.9, 5.2}};
  for (const auto& mark : marks) {
    ChartSeries series{mark.phase, "K160", ChartForm::kPoints, {{mark.x, mark.y}}, mark.phase};
    series.points[0].label = mark.name;
    series.points[0].note = "71 % of the nearest roof";
    chart.series.push_back(series);
  }
  chart.table = {"Operations.", {{"operation"}, {"FLOP/byte", true}, {"TFLOP/s", true}}, {}};
  for (const auto& mark : marks) {
    chart.table.rows.push_back({{mark.name}, {fixed(mark.x)}, {fixed(mark.y)}});
  }
  return chart;
}

Chart memory_timeline() {
  Chart chart{"memory-time",
              "Who held the memory, and when did the guard step in?",
              "The peak was 97.2 GiB in prefill; the guard ended the worker 1.2 GiB below its "
              "floor.",
              {"seconds since the launch"},
              {"GiB"},
              {}};
  const char* owners[] = {"weights",     "raw KV",    "compressed KV",   "indexer keys",
                          "activations", "workspace", "runtime context", "unattributed"};
  for (size_t k = 0; k < std::size(owners); ++k) {
    ChartSeries area{owners[k], k + 1 == std::size(owners) ? "" : owners[k], ChartForm::kArea};
    for (int t = 0; t <= 60; ++t) {
      const double full = k == 0 ? 78 : 1.5 + static_cast<double>(k) * 0.4;
      const double share = k == 0 ? std::min(1.0, t / 18.0) : std::clamp((t - 20) / 35.0, 0.1, 1.0);
      area.points.push_back({t * 2.0, full * share});
    }
    chart.series.push_back(area);
  }
  chart.series.push_back({"ended by the guard", "", ChartForm::kCrosses, {{120, 97.2}}});
  chart.series.back().points[0].label = "+1.2 GiB";
  chart.guides = {{false, 119.7, "capacity 119.7 GiB"},
                  {false, 96.0, "guard's limit 96.0 GiB", Tone::kBad}};
  chart.bands = {{0, 38, "load"}, {38, 44, "warm-up"}, {44, 100, "prefill"}, {100, 120, "decode"}};
  chart.table = {"Peak by owner.", {{"owner"}, {"GiB", true}}, {}};
  for (const ChartSeries& series : chart.series) {
    chart.table.rows.push_back({{series.name}, {fixed(series.points.back().y)}});
  }
  return chart;
}

Chart bars() {
  Chart chart{"acceptance",
              "How often is a drafted token kept?",
              "Quotations are kept most often: 0.92 at depth 1.",
              {"share of drafted tokens kept"},
              {},
              {}};
  chart.x.max = 1;
  ChartSeries first{"depth 1", "depth 1", ChartForm::kBars};
  ChartSeries second{"depth 2", "depth 2", ChartForm::kBars};
  const char* families[] = {"quotation",       "code with long identifiers",
                            "tool calls",      "prose",
                            "arithmetic",      "translation",
                            "tables",          "lists",
                            "multi-turn chat", "names and numbers"};
  for (size_t i = 0; i < std::size(families); ++i) {
    chart.y.categories.push_back(families[i]);
    const double rate = 0.92 - 0.06 * static_cast<double>(i);
    first.points.push_back({rate, static_cast<double>(i)});
    first.points.back().x_interval = Interval{rate - 0.05, rate + 0.04};
    second.points.push_back({rate * 0.7, static_cast<double>(i)});
    chart.table.rows.push_back({{families[i]}, {fixed(rate, 3)}, {fixed(rate * 0.7, 3)}});
  }
  chart.series = {first, second};
  chart.table.caption = "Kept share by family.";
  chart.table.columns = {{"family"}, {"depth 1", true}, {"depth 2", true}};
  return chart;
}

Chart latency_curve() {
  Chart chart{"latency",
              "How long does a reader wait for the next token?",
              "Half of the tokens come within 52.0 ms, 99 % within 81.0 ms.",
              {"ms since the token before", true},
              {"share of tokens"},
              {}};
  chart.y.min = 0;
  chart.y.max = 1;
  for (size_t k = 0; k < kCells.size(); ++k) {
    ChartSeries curve{kCells[k], kCells[k], ChartForm::kSteps};
    for (int i = 1; i <= 200; ++i) {
      const double share = i / 200.0;
      curve.points.push_back(
          {45 + 6 * static_cast<double>(k) + 8 * -std::log(1.0001 - share * 0.99), share});
      curve.points.back().cell = kCells[k];
    }
    chart.series.push_back(curve);
  }
  chart.guides.push_back({false, 0.5, "half of them"});
  chart.table = {"Inter-token latency.", {{"cell"}, {"p50", true}, {"p99", true}}, {}};
  for (const std::string& cell : kCells)
    chart.table.rows.push_back({{cell}, {"52.0 ms"}, {"81.0 ms"}});
  return chart;
}

// Recall by depth and length; the longest contexts have every way of having no number.
Table needle_map(const std::string& cell, int damage, bool difference) {
  Table table{cell + ": recall by needle depth and context length.", {{"depth"}}, {}};
  table.diverging = difference;
  for (const double length : kLengths) table.columns.push_back({fixed(length, 0), true});
  for (int depth = 0; depth <= 100; depth += 25) {
    table.rows.push_back({{std::to_string(depth) + " %"}});
    for (size_t i = 0; i < std::size(kLengths); ++i) {
      auto& row = table.rows.back();
      if (i == 5 && depth >= 50) {
        const char* reasons[] = {"◷ timed out", "✗ killed", "not run"};
        const size_t which = static_cast<size_t>(depth) / 25 - 2;
        row.push_back({reasons[which], which == 2 ? Tone::kMuted : Tone::kBad});
        continue;
      }
      const double step = static_cast<double>(i) * damage / 100.0 * (1 + depth / 100.0);
      const double value = difference ? 0.3 * noise(static_cast<int>(i) + depth) : 1 - step;
      TableCell text{fixed(value, 2)};
      text.heat = difference ? value / 0.3 : value;
      row.push_back(text);
    }
  }
  return table;
}

Table speed_table() {
  Table table{
      "Speed by suite and prompt length.",
      {{"cell"}, {"suite"}, {"n", true}, {"TTFT", true}, {"decode tok/s", true}, {"peak", true}},
      {}};
  const char* times[] = {"980 ms", "1.20 s", "95.1 µs", "2.50 min", "12.0 ms", "—"};
  const char* sizes[] = {"900 MiB", "1.10 GiB", "64.0 KiB", "97.2 GiB", "512 B", "—"};
  for (int i = 0; i < 6; ++i) {
    table.rows.push_back({{kCells[static_cast<size_t>(i) % 3]},
                          {i % 2 ? "needle @ 2048" : "arithmetic"},
                          {std::to_string(7 * i + 3)},
                          {times[i]},
                          {i == 5 ? "—" : fixed(1234.5 * (i + 1))},
                          {sizes[i]}});
  }
  return table;
}

Table cases_table() {
  Table table{"Every case.", {{"case"}, {"cell"}, {"grade"}, {"tokens", true}, {"time", true}}, {}};
  for (int i = 0; i < 2000; ++i) {
    const bool wrong = i % 17 == 0;
    table.rows.push_back({{"needle/" + std::to_string(i)},
                          {kCells[static_cast<size_t>(i) % 3]},
                          {wrong ? "✗ wrong" : "✓ correct", wrong ? Tone::kBad : Tone::kGood},
                          {std::to_string(100 + i * 37 % 4000)},
                          {std::to_string(10 + i % 90) + ".0 ms"}});
  }
  return table;
}

Table gates_table() {
  Table table{"Each gate, held against what was measured.",
              {{"verdict"}, {"gate"}, {"cell"}, {"bound", true}, {"measured", true}, {"remark"}},
              {}};
  table.rows = {{{"✓ PASS", Tone::kGood}, {"needle exact"}, {"K160"}, {"≥ 0.980"}, {"0.991"}, {""}},
                {{"✗ FAIL", Tone::kBad}, {"decode_rate"}, {"K180"}, {"≥ 15.0"}, {"14.2"}, {""}},
                {{"? INCONCLUSIVE", Tone::kUnsure},
                 {"no watchdog"},
                 {"K144"},
                 {"none"},
                 {"—", Tone::kMuted},
                 {"n = 3, of 20 wanted", Tone::kMuted}}};
  return table;
}

std::vector<Item> items() {
  std::vector<Item> items;
  const Tone tones[] = {Tone::kBad, Tone::kUnsure, Tone::kGood, Tone::kPlain};
  const char* grades[] = {"wrong", "invalid", "correct", "not graded"};
  for (size_t i = 0; i < 12; ++i) {
    const size_t kind = i / 3;
    items.push_back(
        {"needle/" + std::to_string(i) + ": " + grades[kind] + " (" + kCells[i % 3] + ")",
         tones[kind],
         {{"prompt", "Find the code.\n\tIndented line of the prompt\n" + std::string(600, 'x') +
                         "\nlast line"},
          {"answer", "The code is A-" + std::to_string(i) + "."},
          {"grading", "expected \"A-1\", extracted \"A-" + std::to_string(i) + "\""}}});
  }
  return items;
}

}  // namespace

Page example_page() {
  Page page;
  page.run = example_run("aaaaaaaa-1111");
  page.run.profile_name = "example-family";
  page.verdict.decision = Decision::kFail;
  page.verdict.reason = "1 gate is broken: K180 decode_rate is 14.2, the bound is ≥ 15.0.";
  page.verdict.next_step = "Look at it: ds4-sweep show aaaaaaaa needle";
  page.head = {"✗",
               "FAIL",
               Tone::kBad,
               page.run.profile_name,
               "run aaaaaaaa",
               page.verdict.reason,
               page.verdict.next_step,
               "run aaaaaaaa, started " + page.run.started_at,
               {"Deploy K180: it is the pick whether quality, memory or decode speed matters most "
                "(quality: best is K180; 2 shown to be worse)."}};
  page.sections = {
      {"verdict", "Gates", {}, {gates_table()}, {}},
      {"trade-off", "The trade-off", {}, {}, {}, {pareto()}},
      {"speed",
       "Speed",
       {"Medians with 95 % intervals."},
       {speed_table()},
       {},
       {lines_with_bands(), latency_curve(), roofline()}},
      {"memory", "Memory", {}, {}, {}, {memory_timeline()}},
      {"long-context",
       "Long context",
       {},
       {needle_map("K144", 9, false), needle_map("K160", 4, false), needle_map("K180", 2, false),
        needle_map("K160 less K144", 0, true)},
       {}},
      {"speculation", "Speculation", {}, {}, {}, {bars()}},
      {"quality", "Quality", {"12 of 2,000 answers open below."}, {cases_table()}, items()},
      {"method", "Method and provenance", {"Every number is made from stored rows."}, {}, {}}};
  return page;
}

}  // namespace ds4::reports
