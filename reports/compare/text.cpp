// A comparison on a terminal: what differs between the runs, then every line with its numbers, the
// verdict last.
#include <algorithm>
#include <cstdio>

#include "reports/compare/page.h"
#include "reports/compare/traces_text.h"
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

TableCell verdict_cell(Change change) {
  switch (change) {
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

// "used to finish" is what a reader looks for first.
Table endings_table(const Comparison& comparison) {
  Table table{"", {{"verdict"}, {"cell"}, {"what"}, {"outcome"}, {"cases", true}, {"message"}}, {}};
  for (const Ending& ending : comparison.endings) {
    const bool worse = ending.change == Change::kRegression;
    table.rows.push_back(
        {verdict_cell(ending.change),
         {ending.cell},
         {ending.kind + (worse ? ", used to finish" : " in base, finishes now")},
         {ending.outcome + (ending.phase.empty() ? "" : " (" + ending.phase + ")")},
         {std::to_string(ending.n_cases)},
         ending.message.empty() ? nothing() : TableCell{ending.message}});
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
        {line.headline ? verdict_cell(line.test.change) : TableCell{"  described", Tone::kMuted},
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
  table.columns = {{"verdict"},
                   {"cell"},
                   {"suite"},
                   {"metric"},
                   {"base", true},
                   {"new", true},
                   {"change", true},
                   {confidence(comparison.settings), true},
                   {"n base", true},
                   {"n new", true},
                   {"launches", true},
                   {"p", true},
                   {"adjusted p", true},
                   {"detectable", true}};
  for (const SampleChange& line : comparison.samples) {
    table.rows.push_back(
        {verdict_cell(line.test.change),
         {line.cell},
         line.suite.empty() ? TableCell{"worker", Tone::kMuted} : TableCell{line.suite},
         {line.metric},
         {format_value(line.unit, line.base)},
         {format_value(line.unit, line.now)},
         line.change ? TableCell{percent_change(*line.change)} : nothing(),
         line.interval ? TableCell{percent_change(line.interval->lo) + " to " +
                                   percent_change(line.interval->hi)}
                       : nothing(),
         {std::to_string(line.n_base())},
         {std::to_string(line.n_now())},
         {std::to_string(line.base_launches.size()) + ", " +
          std::to_string(line.now_launches.size())},
         {p_value(line.test.p)},
         adjusted_cell(line.test),
         line.test.detectable ? TableCell{percent(*line.test.detectable)} : nothing()});
  }
  return table;
}

// What the verdicts on times rest on where launches were not repeated.
std::string noise_note(const Comparison& comparison) {
  const bool assumed = std::any_of(comparison.samples.begin(), comparison.samples.end(),
                                   [](const auto& line) { return !line.measured_noise; });
  if (!assumed) return "";
  return "Where a side has one launch, launches are taken to differ by " +
         percent(comparison.settings.launch_noise) +
         " (--launch-noise), not seen to: repeat both runs to measure it.";
}

std::string counted(int n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

std::vector<Section> sections_of(const Comparison& comparison) {
  std::vector<Section> sections;
  Section environment{"environment", "Environment", {}, {}, {}};
  if (comparison.environment.empty()) {
    environment.paragraphs = {"the same checkpoint, settings, machine and build"};
  } else {
    environment.tables = {environment_table(comparison)};
  }
  sections.push_back(std::move(environment));
  if (!comparison.endings.empty()) {
    sections.push_back({"outcomes", "Outcomes", {}, {endings_table(comparison)}, {}});
  }
  if (!comparison.scores.empty()) {
    sections.push_back({"scores", "Scores", {}, {scores_table(comparison)}, {}});
  }
  if (!comparison.samples.empty()) {
    Section samples{"samples", "Times and memory", {}, {samples_table(comparison)}, {}};
    if (std::string note = noise_note(comparison); !note.empty()) samples.paragraphs = {note};
    sections.push_back(std::move(samples));
  }
  if (!comparison.traces.empty()) sections.push_back(traces_section(comparison.traces));
  const auto& missing = comparison.not_compared;
  if (missing.empty()) return sections;
  const auto n_named = static_cast<std::ptrdiff_t>(std::min(missing.size(), kMaxNamed));
  Section rest{
      "not-compared", "Not compared", {missing.begin(), missing.begin() + n_named}, {}, {}};
  if (missing.size() > kMaxNamed) {
    rest.paragraphs.push_back("and " + std::to_string(missing.size() - kMaxNamed) +
                              " more; --json names all");
  }
  sections.push_back(std::move(rest));
  return sections;
}

Conclusion conclude(const Comparison& comparison) {
  const int worse = comparison.count(Change::kRegression);
  const int better = comparison.count(Change::kImprovement);
  Conclusion conclusion = worse > 0    ? Conclusion{"✗ REGRESSION", Tone::kBad, ""}
                          : better > 0 ? Conclusion{"✓ IMPROVEMENT", Tone::kGood, ""}
                                       : Conclusion{"= NOT SEPARABLE", Tone::kMuted, ""};
  conclusion.sentence = comparison.now.profile_name + ", run " + comparison.now.id.substr(0, 8) +
                        " against " + comparison.base.id.substr(0, 8) + ": " +
                        counted(worse, "regression", "regressions") + ", " +
                        counted(better, "improvement", "improvements") + " in " +
                        counted(comparison.n_tests, "test", "tests") + " that could show one";
  if (!comparison.not_compared.empty()) {
    conclusion.sentence += "; " + std::to_string(comparison.not_compared.size()) + " not compared";
  }
  conclusion.sentence += ".";
  return conclusion;
}

std::string comparison_text(const Comparison& comparison, bool colour) {
  std::string out;
  for (const Section& section : sections_of(comparison)) {
    out += section.title + "\n";
    for (const Table& table : section.tables) {
      if (!table.caption.empty()) out += "  " + clean_line(table.caption) + "\n";
      out += terminal_table(table, colour);
    }
    for (const std::string& paragraph : section.paragraphs) {
      out += "  " + clean_line(paragraph) + "\n";
    }
    out += "\n";
  }
  const Conclusion conclusion = conclude(comparison);
  return out + terminal_text(conclusion.word, conclusion.tone, colour) + "  " +
         clean_line(conclusion.sentence) + "\n";
}

std::string comparison_markdown(const Comparison& comparison) {
  const Conclusion conclusion = conclude(comparison);
  std::string out = "# " + conclusion.word + "\n\n" + escape_markdown(conclusion.sentence) + "\n\n";
  for (const Section& section : sections_of(comparison)) out += markdown_section(section);
  return out;
}

}  // namespace ds4::reports
