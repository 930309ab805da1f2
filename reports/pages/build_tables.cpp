// Sections of numbers: speed, memory and quality.
#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/checkpoint_name.h"
#include "engine/base/units.h"
#include "probes/metric.h"
#include "reports/figures/ceilings.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxTagValues = 40;  // a tag with more values names cases, not a report axis

// Value and interval in two table cells; the unit is the column's.
void add_figure(std::vector<TableCell>& row, const Figure* figure) {
  if (!figure || !(*figure)->value) {
    row.push_back(nothing());
    row.push_back(nothing());
    return;
  }
  const FigureData& data = **figure;
  const bool rate = data.unit == "tok/s";
  row.push_back({rate ? format_number(*data.value) : format_value(data)});
  if (!data.interval) {
    row.push_back(nothing());
  } else if (rate) {
    row.push_back({format_number(data.interval->lo) + " to " + format_number(data.interval->hi)});
  } else {
    row.push_back({format_interval(data)});
  }
}

// Prompt tokens as observed: what a suite calls 2048 is not what was read.
TableCell observed_tokens(const RunData& run, const Selection& selection) {
  int64_t least = -1, most = -1;
  for (const StoredAttempt& attempt : run.attempts.of(selection.cell_key)) {
    if (attempt.status != "ok" || !selection.matches(attempt.suite, attempt.tags)) continue;
    if (least < 0 || attempt.prompt_tokens < least) least = attempt.prompt_tokens;
    most = std::max(most, attempt.prompt_tokens);
  }
  if (most < 0) return nothing();
  const auto text = [](int64_t n) { return format_count(n); };
  return {least == most ? text(most) : text(least) + "–" + text(most)};
}

void speed_row(PageContext& context, Table& table, const CellRow& cell, const Selection& selection,
               const std::string& length) {
  std::vector<TableCell> row;
  row.push_back({selection.suite + (length.empty() ? "" : " @ " + length)});
  if (context.many_cells()) row.push_back({cell.label});
  row.push_back(observed_tokens(context.run, selection));
  const Figure* ttft = context.figure(selection, "ttft");
  row.push_back(ttft ? TableCell{std::to_string((*ttft)->n)} : nothing());
  add_figure(row, ttft);
  add_figure(row, context.figure(selection, "prefill_rate"));
  add_figure(row, context.figure(selection, "decode_rate"));
  table.rows.push_back(std::move(row));
}

// Planned cases of a suite that have no answer.
int64_t missing_cases(const RunData& run, const CellRow& cell, const std::string& suite) {
  std::set<std::string> answered;
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (attempt.suite == suite && attempt.status == "ok") {
      answered.insert(attempt.case_id);
    }
  }
  return std::count_if(cell.cases.begin(), cell.cases.end(), [&](const PlannedCase& planned) {
    return planned.suite == suite && !answered.contains(planned.case_id);
  });
}

// One row per suite of a cell and score; all scores or the headline alone.
Table scores_table(PageContext& context, bool headline_only) {
  Table table{headline_only ? "The headline score of each suite: mean over cases with a verdict."
                            : "Every score of every suite.",
              {},
              {}};
  table.columns = {{"suite"}, {"score"}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  for (const char* title : {"value", "95 %", "n", "invalid", "no answer"}) {
    table.columns.push_back({title, true});
  }
  table.in_terminal = headline_only;
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      const int64_t n_missing = missing_cases(context.run, cell, suite);
      for (const std::string& score : context.scores_of(suite)) {
        const Selection selection{cell.key, suite, {}};
        const Figure* figure = context.figure(selection, score);
        std::vector<TableCell> row = {{suite}, {score}};
        if (context.many_cells()) row.push_back({cell.label});
        add_figure(row, figure);
        row.push_back({std::to_string(figure ? (*figure)->n : 0)});
        const int64_t n_invalid = figure ? (*figure)->n_invalid : 0;
        row.push_back({std::to_string(n_invalid), n_invalid > 0 ? Tone::kUnsure : Tone::kPlain});
        row.push_back({std::to_string(n_missing), n_missing > 0 ? Tone::kBad : Tone::kPlain});
        table.rows.push_back(std::move(row));
        if (headline_only) break;
      }
    }
  }
  return table;
}

// The headline score of a suite by each value of each of its tags.
Table tags_table(PageContext& context, const CellRow& cell, const std::string& suite) {
  std::map<std::string, bool> tags;
  for (const StoredAttempt& attempt : context.run.attempts.of(cell.key)) {
    if (attempt.suite != suite) continue;
    for (const auto& [tag, value] : attempt.tags) tags[tag] = true;
  }
  const std::vector<std::string> scores = context.scores_of(suite);
  Table table{suite + " by tag" + (context.many_cells() ? ", cell " + cell.label : "") + ".",
              {{"tag"},
               {scores.empty() ? "score" : scores.front(), true},
               {"95 %", true},
               {"n", true},
               {"invalid", true}},
              {}};
  table.in_terminal = false;
  if (scores.empty()) return table;
  for (const auto& [tag, present] : tags) {
    const auto values = tag_values(context.run, {cell.key, suite, {}}, tag);
    if (values.size() < 2 || values.size() > kMaxTagValues) continue;
    for (const std::string& value : values) {
      const Figure* figure = context.figure({cell.key, suite, {{tag, value}}}, scores.front());
      std::vector<TableCell> row = {{tag + " = " + value}};
      add_figure(row, figure);
      row.push_back({std::to_string(figure ? (*figure)->n : 0)});
      row.push_back({std::to_string(figure ? (*figure)->n_invalid : 0)});
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

// What speculation gave, where an answer was decoded with drafts.
Table speculation_table(PageContext& context) {
  Table table{
      "Decoding with drafts, medians over the answered cases: tokens a round gave, and the share "
      "of "
      "drafts that were kept, by their place behind the drawn token.",
      {{"suite"}},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(),
                       {{"n", true}, {"tokens a round", true}, {"95 %", true, false}});
  std::vector<std::string> rates;
  for (int place = 1; place <= 5; ++place) {
    rates.push_back("acceptance_rate_" + std::to_string(place));
    table.columns.push_back({"draft " + std::to_string(place), true});
  }
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      const Selection selection{cell.key, suite, {}};
      const Figure* length = context.figure(selection, "acceptance_length");
      if (!length) continue;
      const FigureData& data = **length;
      std::vector<TableCell> row = {{suite}};
      if (context.many_cells()) row.push_back({cell.label});
      row.push_back({std::to_string(data.n)});
      row.push_back({format_number(*data.value)});
      row.push_back(data.interval ? TableCell{format_number(data.interval->lo) + " to " +
                                              format_number(data.interval->hi)}
                                  : nothing());
      for (const std::string& rate : rates) {
        const Figure* figure = context.figure(selection, rate);
        row.push_back(figure ? TableCell{format_number(*(*figure)->value)} : nothing());
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace

Section speed_section(PageContext& context) {
  Section section{"speed", "Speed", {}, {}, {}};
  Table table{"Medians over the answered cases, by suite and prompt length.", {{"suite"}}, {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(), {{"prompt tokens", true},
                                             {"n", true},
                                             {"TTFT", true},
                                             {"95 %", true, false},
                                             {"prefill tok/s", true},
                                             {"95 %", true, false},
                                             {"decode tok/s", true},
                                             {"95 %", true, false}});
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      if (suite == kProbeSuite) continue;
      const Selection whole{cell.key, suite, {}};
      const auto lengths = tag_values(context.run, whole, "length");
      if (lengths.size() < 2) speed_row(context, table, cell, whole, "");
      if (lengths.size() < 2 || lengths.size() > kMaxTagValues) continue;
      for (const std::string& length : lengths) {
        speed_row(context, table, cell, {cell.key, suite, {{"length", length}}}, length);
      }
    }
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  Table speculation = speculation_table(context);
  if (!speculation.rows.empty()) section.tables.push_back(std::move(speculation));
  add_speed_charts(context, section);
  add_latency_charts(context, section);
  add_speculation_charts(context, section);
  return section;
}

// A plan and what was taken in its stead.
struct PlannedMemory {
  const char* planned;
  const char* taken;
  double share;    // that may be wrong,
  double bytes;    // or so many bytes
  bool both_ways;  // less than planned is a fault as well
  const char* whose;
  const char* bounds;
};

// A process fills its caches as it uses them; of the GPU everything planned is taken at once.
constexpr PlannedMemory kPlans[] = {{"planned_memory", "peak_memory", 0.03, 256.0 * 1024 * 1024,
                                     false, "the process", "3 % and 256 MiB"},
                                    {"planned_device_memory", "device_memory", 0.02,
                                     256.0 * 1024 * 1024, true, "the GPU", "2 % and 256 MiB"}};

// The plan is held to what was taken: a plan that is broken must not be trusted to say what fits.
void add_plan_warning(PageContext& context, const CellRow& cell, Section& section) {
  for (const PlannedMemory& plan : kPlans) {
    const Figure* planned = context.figure({cell.key, "", {}}, plan.planned);
    const Figure* taken = context.figure({cell.key, "", {}}, plan.taken);
    if (!planned || !taken) continue;
    const double expected = (*planned)->value.value_or(0);
    const double excess = (*taken)->value.value_or(0) - expected;
    const double wrong = plan.both_ways ? std::abs(excess) : excess;
    if (wrong <= std::max(plan.share * expected, plan.bytes)) continue;
    section.paragraphs.push_back(std::string("Warning: ") + plan.whose + " of cell " + cell.label +
                                 " took " + format_bytes(static_cast<int64_t>(wrong)) +
                                 (excess > 0 ? " more" : " less") + " than planned, beyond " +
                                 plan.bounds +
                                 ". Do not rely on this plan, and please report it with "
                                 "`ds4-sweep plan --json`.");
  }
}

Section memory_section(PageContext& context) {
  Section section{"memory", "Memory and start", {}, {}, {}};
  Table table{"Readings of each cell's worker process.", {{"cell"}}, {}};
  std::vector<std::string> metrics;
  std::set<std::string_view> measured;  // of the worker, not of what surrounds it
  for (const LaunchSample& s : context.run.launch_samples) {
    if (s.sample.phase != "before" && s.sample.phase != "after") measured.insert(s.sample.metric);
  }
  for (const probes::Metric& metric : probes::all_metrics()) {
    const std::string name(metric.name);
    if (name.starts_with("course_")) continue;  // readings at a time: drawn, not summed up
    if (is_launch_metric(name) && measured.contains(name)) {
      metrics.push_back(name);
      std::string title = name;
      std::replace(title.begin(), title.end(), '_', ' ');
      table.columns.push_back({title, true});
    }
  }
  if (metrics.empty()) return section;
  for (const CellRow& cell : context.run.cells) {
    std::vector<TableCell> row = {{cell.label}};
    for (const std::string& metric : metrics) {
      const Figure* figure = context.figure({cell.key, "", {}}, metric);
      row.push_back(figure ? TableCell{format_value(**figure)} : nothing());
    }
    table.rows.push_back(std::move(row));
    add_plan_warning(context, cell, section);
  }
  section.tables.push_back(std::move(table));
  add_memory_charts(context, section);
  return section;
}

Section quality_section(PageContext& context) {
  Section section{"quality", "Quality", {}, {}, {}};
  Table headline = scores_table(context, true);
  if (headline.rows.empty()) return section;
  if (is_synthetic_identity(context.run.run.checkpoint_identity)) {
    section.paragraphs.push_back("These scores mean nothing: " + std::string(kSyntheticNote) + ".");
  }
  section.tables.push_back(std::move(headline));
  section.tables.push_back(scores_table(context, false));
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      Table table = tags_table(context, cell, suite);
      if (!table.rows.empty()) section.tables.push_back(std::move(table));
    }
  }
  add_quality_charts(context, section);
  add_quality_items(context, section);
  return section;
}

}  // namespace ds4::reports
