// The section of loads: a row per level, the knee, and every tool's figures of the same trace.
#include <map>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

std::string name_of(const LoadSummary& load, bool many_launches) {
  std::string name = load.suite + " " + (load.way == "rate" ? load.level + "/s" : load.level);
  if (load.way != "rate") name += " at a time";
  return many_launches ? name + ", launch " + std::to_string(load.launch) : name;
}

const CellRow& cell_of(const PageContext& context, const LoadSummary& load) {
  const CellRow* cell = context.run.cells.find(load.cell_key);
  return cell ? *cell : context.run.cells.front();
}

TableCell value_of(const LoadSummary& load, const char* name,
                   std::optional<double> LoadFigure::*part) {
  const LoadFigure* figure = find_figure(load.figures, "ds4", name);
  if (!figure || !(figure->*part)) return nothing();
  return {format_value(figure->unit, *(figure->*part))};
}

TableCell number_of(const LoadSummary& load, const char* name) {
  const LoadFigure* figure = find_figure(load.figures, "ds4", name);
  return figure ? TableCell{format_number(figure->mean)} : nothing();
}

TableCell remark_of(const LoadSummary& load) {
  if (const std::string reason = load.invalid_reason(); !reason.empty()) {
    return {"not valid: " + reason, Tone::kBad};
  }
  std::string text;
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (load.is_knee) add("knee");
  if (load.is_slo_point) add("SLO point");
  if (load.cached > 0) add(std::to_string(load.cached) + " prompts partly from a cache");
  return {text, Tone::kMuted};
}

TableCell share(int64_t part, int64_t of) {
  if (of == 0) return nothing();
  return {format_number(static_cast<double>(part) / static_cast<double>(of)) + " (" +
          std::to_string(of) + ")"};
}

Table levels_table(const PageContext& context, const std::vector<LoadSummary>& loads,
                   bool many_launches) {
  Table table{
      "Loads by level: requests that come together, times from when each was due, tokens of all "
      "together. Steady: between the moment all places are taken and the first that stays empty.",
      {{"load"}},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(), {{"answered", true},
                                             {"tok/s", true},
                                             {"steady tok/s", true},
                                             {"queue", true, false},
                                             {"TTFT", true},
                                             {"TTFT p90", true},
                                             {"TPOT", true},
                                             {"TPOT p90", true, false},
                                             {"E2EL", true, false},
                                             {"correct (n)", true},
                                             {"goodput /s", true, false},
                                             {"remark"}});
  for (const LoadSummary& load : loads) {
    std::vector<TableCell> row = {{name_of(load, many_launches)}};
    if (context.many_cells()) row.push_back({cell_of(context, load).label});
    row.push_back({std::to_string(load.answered) + "/" + std::to_string(load.offered),
                   load.answered < load.offered ? Tone::kBad : Tone::kPlain});
    row.push_back(number_of(load, "output_throughput"));
    row.push_back(number_of(load, "steady_output_throughput"));
    row.push_back(value_of(load, "queue_time", &LoadFigure::p50));
    for (const char* name : {"ttft", "tpot"}) {
      row.push_back(value_of(load, name, &LoadFigure::p50));
      row.push_back(value_of(load, name, &LoadFigure::p90));
    }
    row.push_back(value_of(load, "e2el", &LoadFigure::p50));
    row.push_back(share(load.correct, load.with_verdict));
    row.push_back(number_of(load, "goodput"));
    row.push_back(remark_of(load));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table conventions_table(const PageContext& context, const LoadSummary& load, bool many_launches) {
  Table table{"Every convention of the load " + name_of(load, many_launches) +
                  (context.many_cells() ? ", cell " + cell_of(context, load).label : "") + ".",
              {{"convention"},
               {"quantity"},
               {"n", true},
               {"mean", true},
               {"std", true},
               {"p50", true},
               {"p90", true},
               {"p99", true}},
              {}};
  table.in_terminal = false;
  for (const LoadFigure& figure : load.figures) {
    std::vector<TableCell> row = {{figure.convention}, {figure.name}};
    row.push_back({std::to_string(figure.n)});
    // A bare number, not a score, where there is no unit.
    row.push_back(
        {figure.unit == "1" ? format_number(figure.mean) : format_value(figure.unit, figure.mean)});
    for (const auto& value : {figure.std_dev, figure.p50, figure.p90, figure.p99}) {
      row.push_back(value ? TableCell{format_value(figure.unit, *value)} : nothing());
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

Section load_section(PageContext& context) {
  Section section{"load", "Load", {}, {}, {}};
  context.page.loads = summarise_loads(context.run);
  const std::vector<LoadSummary>& loads = context.page.loads;
  if (loads.empty()) return section;
  std::map<std::string, int> launch_of;  // of each cell the first
  bool many_launches = false;
  for (const LoadSummary& load : loads) {
    const auto [first, is_new] = launch_of.emplace(load.cell_key, load.launch);
    many_launches |= !is_new && first->second != load.launch;
  }
  section.paragraphs.push_back(
      "The knee is the last level up to which each step gave at least half of the growth in steady "
      "tok/s that proportion would give; the SLO point the last up to which 99 % of the offered "
      "requests kept every bound of the profile. docs/serving.md explains every column.");
  add_load_charts(context, section);
  section.tables.push_back(levels_table(context, loads, many_launches));
  for (const LoadSummary& load : loads) {
    section.tables.push_back(conventions_table(context, load, many_launches));
  }
  return section;
}

}  // namespace ds4::reports
