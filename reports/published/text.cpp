// A run beside published figures: as a section of a page, as text, Markdown and JSON.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"
#include "reports/published/published.h"

namespace ds4::reports {
namespace {

std::string difference(const PublishedLine& line) {
  const double now = *(*line.now)->value, was = line.published.value;
  char text[32];
  if (line.unit.empty()) {
    std::snprintf(text, sizeof text, "%+.3f", now - was);
  } else if (was > 0) {
    std::snprintf(text, sizeof text, "%+.1f %%", 100 * (now / was - 1));
  } else {
    return "–";
  }
  return text;
}

Table environment_table(const PublishedComparison& comparison) {
  Table table{"", {{"what"}, {"published"}, {"this run"}}, {}};
  for (const EnvironmentDifference& d : comparison.environment) {
    table.rows.push_back({{d.what}, {d.base}, d.now.empty() ? nothing() : TableCell{d.now}});
  }
  return table;
}

std::string conclusion(const PublishedComparison& comparison) {
  return comparison.now.profile_name + ", run " + comparison.now.id.substr(0, 8) +
         " beside published:" + comparison.base.name + ": " +
         std::to_string(comparison.lines.size()) +
         " figures shown, none judged: a published value " + "has no spread; " +
         std::to_string(comparison.n_without) + " published figures without a counterpart.";
}

Section environment_section(const PublishedComparison& comparison) {
  return {"environment", "Environment", {}, {environment_table(comparison)}, {}};
}

}  // namespace

Section published_section(const PublishedComparison& comparison) {
  Section section{"published", "Beside published figures", {}, {}, {}};
  const Published& base = comparison.base;
  Table table{base.name + ": " + base.what + ", " + base.hardware + " (" + base.source +
                  "). Single values without spread: shown, not judged.",
              {{"cell"},
               {"suite"},
               {"figure"},
               {"prompt tokens", true},
               {"published", true},
               {"n", true},
               {"this run", true},
               {"95 %", true},
               {"n", true},
               {"difference", true},
               {"published as"}},
              {}};
  for (const PublishedLine& line : comparison.lines) {
    const PublishedFigure& p = line.published;
    const FigureData& now = **line.now;
    table.rows.push_back(
        {{line.cell},
         p.suite.empty() ? nothing() : TableCell{p.suite},
         {p.figure},
         p.prompt_tokens > 0 ? TableCell{format_count(p.prompt_tokens)} : nothing(),
         {format_value(line.unit, p.value)},
         {p.n ? std::to_string(*p.n) : "unknown"},
         {format_value(now)},
         {format_interval(now)},
         {std::to_string(now.n)},
         {difference(line)},
         {p.definition, Tone::kMuted}});
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  section.paragraphs = base.caveats;
  return section;
}

std::string published_text(const PublishedComparison& comparison, bool colour) {
  std::string out;
  for (const Section& section : {environment_section(comparison), published_section(comparison)}) {
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
  return out + terminal_text("= NOT JUDGED", Tone::kMuted, colour) + "  " +
         clean_line(conclusion(comparison)) + "\n";
}

std::string published_markdown(const PublishedComparison& comparison) {
  return "# = NOT JUDGED\n\n" + escape_markdown(conclusion(comparison)) + "\n\n" +
         markdown_section(environment_section(comparison)) +
         markdown_section(published_section(comparison));
}

std::string published_json(const PublishedComparison& comparison) {
  using nlohmann::ordered_json;
  const Published& base = comparison.base;
  ordered_json json = {
      {"format", "ds4-published-1"},
      {"base", "published:" + base.name},
      {"source", base.source},
      {"hardware", base.hardware},
      {"caveats", base.caveats},
      {"new", {{"id", comparison.now.id}, {"profile", comparison.now.profile_name}}},
      {"without_counterpart", comparison.n_without}};
  json["environment"] = ordered_json::array();
  for (const EnvironmentDifference& d : comparison.environment) {
    json["environment"].push_back({{"what", d.what}, {"base", d.base}, {"new", d.now}});
  }
  json["figures"] = ordered_json::array();
  for (const PublishedLine& line : comparison.lines) {
    const FigureData& now = **line.now;
    json["figures"].push_back(
        {{"cell", line.cell},
         {"suite", line.published.suite},
         {"figure", line.published.figure},
         {"unit", line.unit},
         {"prompt_tokens", line.published.prompt_tokens},
         {"published", line.published.value},
         {"published_n",
          line.published.n ? ordered_json(*line.published.n) : ordered_json(nullptr)},
         {"definition", line.published.definition},
         {"value", *now.value},
         {"interval", now.interval ? ordered_json({now.interval->lo, now.interval->hi})
                                   : ordered_json(nullptr)},
         {"n", now.n}});
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
