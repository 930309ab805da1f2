// A comparison on a terminal: what differs between the runs, then every line with its numbers, the
// verdict last.
#include <algorithm>
#include <cstdio>

#include "reports/compare/comparison.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxValue = 64;  // a sha256; JSON has all of what is longer
constexpr size_t kMaxNamed = 20;  // cases named on a terminal; JSON has all

std::string with_sign(const std::string& text, double value) {
  return (value > 0 ? "+" : "") + text;
}

std::string share_change(double change) {
  return with_sign(format_value("", change), change);
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string percent_change(double share) {
  return with_sign(percent(share), share);
}

std::string p_value(double p) {
  return p < 0.0005 ? "<0.001" : format_value("", p);
}

std::string confidence(const CompareSettings& settings) {
  char text[32];
  std::snprintf(text, sizeof text, "%g %%", 100 * (1 - settings.alpha));
  return text;
}

TableCell verdict_cell(const TestResult& test) {
  switch (test.change) {
    case Change::kImprovement:
      return {"✓ improvement", Tone::kGood};
    case Change::kRegression:
      return {"✗ regression", Tone::kBad};
    case Change::kNotSeparable:
      return {"= not separable", Tone::kMuted};
  }
  return {};
}

TableCell adjusted_cell(const TestResult& test) {
  return test.counted ? TableCell{p_value(test.adjusted_p)} : nothing();
}

Table environment_table(const Comparison& comparison) {
  Table table{"", {{"what"}, {"base"}, {"new"}}, {}};
  for (const EnvironmentDifference& difference : comparison.environment) {
    const auto value = [](const std::string& text) {
      if (text.empty()) return nothing();
      return TableCell{text.size() <= kMaxValue ? text : text.substr(0, kMaxValue) + "…"};
    };
    table.rows.push_back({{difference.what}, value(difference.base), value(difference.now)});
  }
  return table;
}

Table scores_table(const Comparison& comparison) {
  Table table{"", {}, {}};
  table.columns = {{"verdict"},
                   {"cell"},
                   {"suite"},
                   {"score"},
                   {"base", true},
                   {"new", true},
                   {"change", true},
                   {confidence(comparison.settings), true},
                   {"n", true},
                   {"lost", true},
                   {"gained", true},
                   {"mid-p", true},
                   {"adjusted p", true},
                   {"detectable", true},
                   {"no worse by " + percent(comparison.settings.margin)}};
  for (const ScoreChange& line : comparison.scores) {
    const Difference& d = line.difference;
    table.rows.push_back(
        {line.headline ? verdict_cell(line.test) : TableCell{"  described", Tone::kMuted},
         {line.cell},
         {d.suite},
         {d.score},
         {format_value("", d.reference)},
         {format_value("", d.value)},
         {share_change(d.change)},
         {share_change(d.interval.lo) + " to " + share_change(d.interval.hi)},
         {std::to_string(d.n)},
         {std::to_string(d.lost)},
         {std::to_string(d.gained)},
         {p_value(d.test.mid_p)},
         adjusted_cell(line.test),
         line.test.detectable ? TableCell{format_value("", *line.test.detectable)} : nothing(),
         !line.headline        ? nothing()
         : line.no_worse.shown ? TableCell{"shown", Tone::kGood}
                               : TableCell{"not shown"}});
  }
  return table;
}

Table samples_table(const Comparison& comparison) {
  Table table{"", {}, {}};
  table.columns = {{"verdict"},         {"cell"},
                   {"suite"},           {"metric"},
                   {"base", true},      {"new", true},
                   {"change", true},    {confidence(comparison.settings), true},
                   {"n base", true},    {"n new", true},
                   {"p", true},         {"adjusted p", true},
                   {"detectable", true}};
  for (const SampleChange& line : comparison.samples) {
    table.rows.push_back(
        {verdict_cell(line.test),
         {line.cell},
         line.suite.empty() ? TableCell{"worker", Tone::kMuted} : TableCell{line.suite},
         {line.metric},
         {format_value(line.unit, line.base)},
         {format_value(line.unit, line.now)},
         line.change ? TableCell{percent_change(*line.change)} : nothing(),
         line.interval ? TableCell{percent_change(line.interval->lo) + " to " +
                                   percent_change(line.interval->hi)}
                       : nothing(),
         {std::to_string(line.base_samples.size())},
         {std::to_string(line.now_samples.size())},
         {p_value(line.test.p)},
         adjusted_cell(line.test),
         line.test.detectable ? TableCell{percent(*line.test.detectable)} : nothing()});
  }
  return table;
}

std::string counted(int n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

std::string comparison_text(const Comparison& comparison, bool colour) {
  std::string out = "Environment\n";
  if (comparison.environment.empty()) {
    out += "  the same checkpoint, settings, machine and build\n";
  } else {
    out += terminal_table(environment_table(comparison), colour);
  }
  if (!comparison.scores.empty()) {
    out += "\nScores\n" + terminal_table(scores_table(comparison), colour);
  }
  if (!comparison.samples.empty()) {
    out += "\nTimes and memory\n" + terminal_table(samples_table(comparison), colour);
  }
  const bool time_changed =
      std::any_of(comparison.samples.begin(), comparison.samples.end(),
                  [](const auto& line) { return line.test.change != Change::kNotSeparable; });
  if (time_changed) {
    out +=
        "  The answers of a launch share its conditions: repeat both runs before you believe a "
        "change of times.\n";
  }
  const auto& missing = comparison.not_compared;
  if (!missing.empty()) {
    out += "\nNot compared\n";
    for (size_t i = 0; i < missing.size() && i < kMaxNamed; ++i) {
      out += "  " + clean_line(missing[i]) + "\n";
    }
    if (missing.size() > kMaxNamed) {
      out += "  and " + std::to_string(missing.size() - kMaxNamed) + " more; --json names all\n";
    }
  }
  const int worse = comparison.count(Change::kRegression);
  const int better = comparison.count(Change::kImprovement);
  out += "\n";
  out += worse > 0    ? terminal_text("✗ REGRESSION", Tone::kBad, colour)
         : better > 0 ? terminal_text("✓ IMPROVEMENT", Tone::kGood, colour)
                      : terminal_text("= NOT SEPARABLE", Tone::kMuted, colour);
  out += "  " + clean_line(comparison.now.profile_name) + ", run " +
         clean_line(comparison.now.id.substr(0, 8)) + " against " +
         clean_line(comparison.base.id.substr(0, 8)) + ": " +
         counted(worse, "regression", "regressions") + ", " +
         counted(better, "improvement", "improvements") + " in " +
         counted(comparison.n_tests, "test", "tests") + " that could show one";
  if (!missing.empty()) {
    out += "; " + std::to_string(missing.size()) + " not compared";
  }
  return out + ".\n";
}

}  // namespace ds4::reports
