// The section of ceilings and of the engine against them: figures/roofline.h as tables.
#include <algorithm>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/figures/roofline.h"
#include "reports/pages/build.h"
#include "reports/published/published.h"

namespace ds4::reports {
namespace {

// Curves and long lists, which `probe` shows.
constexpr const char* kLeftOut[] = {"working_set_rate", "gemv_rate",   "gemv_plain_rate",
                                    "read_share",       "sgemm_share", "memory_peak",
                                    "tensor_peak"};

std::string rate_text(const std::string& metric, double value) {
  if (metric == "tensor_rate" || metric == "sgemm_rate") {
    return value >= 1e12 ? format_number(value / 1e12, 4) + " TFLOP/s"
                         : format_number(value / 1e9, 4) + " GFLOP/s";
  }
  if (metric == "launch_time") return format_value("s", value);
  if (metric == "dispatch_share") return format_number(100 * value) + " %";
  return format_number(value / 1e9, 4) + " GB/s";
}

std::string percent(double share) {
  return format_number(100 * share) + " %";
}

// The share of what the chip's own numbers allow.
TableCell of_peak(const ProbeSeries& series, const std::vector<ProbeSeries>& all) {
  const bool tensor = series.metric == "tensor_rate";
  const bool memory = series.metric.ends_with("_rate") && series.metric != "path_rate";
  const std::string type = series.of.substr(0, series.of.find(','));
  const ProbeSeries* peak = tensor   ? best_series(all, "tensor_peak", type)
                            : memory ? best_series(all, "memory_peak")
                                     : nullptr;
  return peak ? TableCell{percent(series.value / peak->value)} : nothing();
}

void start_row(const PageContext& context, const CellRow& cell, std::vector<TableCell>& row) {
  if (context.many_cells()) row.push_back({cell.label});
}

Table table_of(const PageContext& context, std::string caption, std::vector<TableColumn> columns,
               bool in_terminal) {
  Table table{std::move(caption), {}, {}, in_terminal};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  return table;
}

// What a pass needs and the most it can give; in front of what was measured of it.
std::vector<TableColumn> pass_columns(const std::vector<TableColumn>& measured) {
  std::vector<TableColumn> columns = {{"suite", false, false},
                                      {"context", true},
                                      {"pass"},
                                      {"GB", true},
                                      {"GFLOP", true, false},
                                      {"bound by"},
                                      {"most tok/s", true}};
  columns.insert(columns.end(), measured.begin(), measured.end());
  return columns;
}

void add_ceilings(const PageContext& context, const CellRow& cell,
                  const std::vector<ProbeSeries>& all, Table& table) {
  for (const ProbeSeries& series : all) {
    if (std::find(std::begin(kLeftOut), std::end(kLeftOut), series.metric) != std::end(kLeftOut)) {
      continue;
    }
    std::vector<TableCell> row;
    start_row(context, cell, row);
    row.push_back({series.metric});
    row.push_back({series.of});
    row.push_back({rate_text(series.metric, series.value)});
    row.push_back(series.interval
                      ? TableCell{rate_text(series.metric, series.interval->lo) + " to " +
                                  rate_text(series.metric, series.interval->hi)}
                      : nothing());
    row.push_back({std::to_string(series.n)});
    row.push_back(of_peak(series, all));
    row.push_back({series.discarded == 0 ? ""
                   : series.n == 0       ? "every pass was disturbed: their median"
                                         : std::to_string(series.discarded) + " thrown out",
                   Tone::kMuted});
    table.rows.push_back(std::move(row));
  }
}

void add_passes(PageContext& context, const CellRow& cell, const std::vector<RooflineRow>& rows,
                const Roof& roof, Table& table) {
  for (const RooflineRow& pass : rows) {
    if (!pass.component.empty()) continue;
    std::vector<TableCell> row;
    start_row(context, cell, row);
    row.push_back({pass.suite});
    row.push_back({format_count(pass.context)});
    row.push_back({name_of(pass.pass)});
    row.push_back({format_number(pass.bytes / 1e9, 4)});
    row.push_back({format_number(pass.flops / 1e9, 4)});
    row.push_back({bound_by(pass.bytes, pass.flops, roof)});
    row.push_back({format_number(pass.most, 4)});
    if (pass.measured && !roof.projected) {
      const FigureData& figure = **pass.measured;
      context.figure(figure.about, figure.name);
      row.push_back({format_number(*figure.value, 4)});
      row.push_back({format_interval(figure)});
      row.push_back({std::to_string(figure.n)});
      row.push_back({percent(*pass.share())});
    } else if (!roof.projected) {
      row.insert(row.end(), 4, nothing());
    }
    table.rows.push_back(std::move(row));
  }
}

// What the least time of a pass goes to, at the longest context of each kind.
void add_components(const PageContext& context, const CellRow& cell,
                    const std::vector<RooflineRow>& rows, const Roof& roof, Table& table) {
  for (const RooflineRow& part : rows) {
    if (part.component.empty()) continue;
    double all_s = 0;
    bool longest = true;
    for (const RooflineRow& other : rows) {
      longest = longest && (other.pass != part.pass || other.context <= part.context);
      const bool same = other.suite == part.suite && other.context == part.context &&
                        other.pass == part.pass && !other.component.empty();
      if (same) all_s += other.least_s;
    }
    if (!longest) continue;
    std::vector<TableCell> row;
    start_row(context, cell, row);
    row.insert(row.end(), {{format_count(part.context)},
                           {name_of(part.pass)},
                           {part.component},
                           {format_number(part.bytes / 1e6, 4)},
                           {format_number(part.flops / 1e9, 4)},
                           {bound_by(part.bytes, part.flops, roof)},
                           {format_value("s", part.least_s)},
                           {percent(part.least_s / all_s)}});
    table.rows.push_back(std::move(row));
  }
}

void add_operations(const PageContext& context, const CellRow& cell, const std::vector<Step>& steps,
                    const Roof& roof, Table& table) {
  for (const Step& step : steps) {
    const auto add = [&](const std::string& name, double seconds, double bytes, double flops,
                         double least_s, const TableCell& share) {
      std::vector<TableCell> row;
      start_row(context, cell, row);
      row.insert(row.end(), {{format_count(step.context)},
                             {step.decode ? "decode" : "prefill, " + step.rows},
                             {name},
                             {format_value("s", seconds)},
                             share,
                             {format_number(bytes / seconds / 1e9)},
                             {format_number(flops / seconds / 1e9)},
                             {bound_by(bytes, flops, roof)},
                             {percent(least_s / seconds)}});
      table.rows.push_back(std::move(row));
    };
    double bytes = 0, flops = 0;
    for (const OperationRow& row : step.operations) bytes += row.bytes, flops += row.flops;
    add("all, as it runs", step.seconds, bytes, flops, least_seconds(bytes, flops, roof),
        nothing());
    for (const OperationRow& row : step.operations) {
      add(row.name, row.seconds, row.bytes, row.flops, row.least_s,
          {percent(row.seconds / step.watched_s())});
    }
  }
}

// `*` in a published row's name stands for anything.
bool named(const std::string& of, const std::string& pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return of == pattern;
  return of.size() + 1 >= pattern.size() && of.starts_with(pattern.substr(0, star)) &&
         of.ends_with(pattern.substr(star + 1));
}

// As `probe --against`.
void add_published(const PageContext& context, const CellRow& cell,
                   const std::vector<ProbeSeries>& all, const Published& published, Table& table) {
  for (const PublishedFigure& figure : published.figures) {
    const auto here = std::find_if(all.begin(), all.end(), [&](const ProbeSeries& series) {
      return series.metric == figure.figure && named(series.of, figure.of);
    });
    if (here == all.end()) continue;
    std::vector<TableCell> row;
    start_row(context, cell, row);
    row.insert(row.end(), {{figure.definition},
                           {rate_text(figure.figure, figure.value)},
                           {rate_text(figure.figure, here->value)},
                           {format_number(here->value / figure.value) + " x"}});
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

Section roofline_section(PageContext& context) {
  Section section{"roofline", "Roofline", {}, {}, {}};
  if (std::none_of(context.run.attempts.begin(), context.run.attempts.end(),
                   [](const auto& attempt) { return attempt.suite == kProbeSuite; })) {
    return section;
  }
  const Published& published = find_published("spark-bandwidth");
  const Roof spark = published_spark();
  Table ceilings = table_of(context,
                            "What the machine of each cell can do, measured by probes in the same "
                            "run, before the engine was loaded.",
                            {{"ceiling"},
                             {"of"},
                             {"measured", true},
                             {"95 %", true},
                             {"n", true},
                             {"of the datasheet", true},
                             {"remark"}},
                            false);
  Table passes = table_of(
      context,
      "The most tokens per second that this machine can give for the checkpoint, "
      "and what the engine gave.",
      pass_columns({{"measured", true}, {"95 %", true, false}, {"n", true}, {"of the most", true}}),
      true);
  Table components =
      table_of(context,
               "What the least time of a pass goes to, by component of the model, at the longest "
               "context.",
               {{"context", true},
                {"pass"},
                {"component"},
                {"MB", true},
                {"GFLOP", true},
                {"bound by"},
                {"least time", true},
                {"share", true}},
               false);
  Table operations = table_of(
      context,
      "Steps of the engine, operation by operation: the part of each one's time that its bytes or "
      "operations take at the ceilings. They are watched one by one, which takes longer than "
      "the step as it runs.",
      {{"context", true},
       {"step"},
       {"operation"},
       {"time", true},
       {"share", true},
       {"GB/s", true},
       {"GFLOP/s", true},
       {"bound by"},
       {"least / time", true}},
      false);
  Table projection =
      table_of(context,
               "A projection: the same passes on " + spark.machine +
                   " at the read "
                   "ceiling of " +
                   format_number(spark.read_rate / 1e9) + " GB/s that " + spark.source +
                   " published. This program never ran there; its product rate was not "
                   "published, so arithmetic binds nothing here.",
               pass_columns({}), false);
  Table against =
      table_of(context,
               "The ceilings beside those that " + published.source + " published of " +
                   published.hardware + ".",
               {{"published as"}, {"there", true}, {"here", true}, {"here / there", true}}, false);
  bool disturbed = false;
  context.page.rooflines = rooflines(context.run);
  for (const CellRoofline& under : context.page.rooflines) {
    const CellRow& cell = *context.run.cells.find(under.cell_key);
    if (under.roof.projected) {
      add_passes(context, cell, under.passes, under.roof, projection);
      continue;
    }
    disturbed = disturbed || under.roof.disturbed;
    add_ceilings(context, cell, under.ceilings, ceilings);
    add_published(context, cell, under.ceilings, published, against);
    add_passes(context, cell, under.passes, under.roof, passes);
    add_components(context, cell, under.passes, under.roof, components);
    add_operations(context, cell, under.steps, under.roof, operations);
  }
  if (ceilings.rows.empty()) return section;
  section.paragraphs = {
      "A ceiling is what a kernel that does nothing else reached. A pass cannot take less than its "
      "bytes at the read ceiling or its operations at the product ceiling, whichever is longer: "
      "every weight it needs and every cached row, once, activations left out. A drafted round is "
      "counted with the tokens that rounds gave here, and with experts chosen evenly and "
      "independently, which real text stays below."};
  if (disturbed) {
    section.paragraphs.push_back(
        "Warning: every pass of a ceiling was disturbed, by other processes or by clocks held "
        "down. "
        "Such a ceiling is a lower bound, and shares of it are too high. Measure again on a "
        "machine "
        "that does nothing else.");
  }
  for (Table* table : {&passes, &ceilings, &operations, &components, &projection, &against}) {
    if (!table->rows.empty()) section.tables.push_back(std::move(*table));
  }
  add_roofline_charts(context, section);
  return section;
}

}  // namespace ds4::reports
