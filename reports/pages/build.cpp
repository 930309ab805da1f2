// Run -> Page: reads once, then builds section after section.
#include "reports/pages/build.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <unordered_set>
#include <utility>

#include "engine/base/side_by_side.h"
#include "reports/figures/cell_facts.h"
#include "reports/figures/format.h"
#include "reports/figures/machine.h"
#include "reports/figures/twins.h"
#include "reports/pages/limits.h"
#include "reports/published/published.h"

namespace ds4::reports {
namespace {

Tone tone_of(Decision decision) {
  switch (decision) {
    case Decision::kPass:
      return Tone::kGood;
    case Decision::kFail:
      return Tone::kBad;
    case Decision::kInconclusive:
      return Tone::kUnsure;
  }
  return Tone::kPlain;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

}  // namespace

const Figure* PageContext::figure(const Selection& selection, Name name) {
  std::string tags;
  for (const auto& [tag, value] : selection.tags) tags += tag + '\n' + value + '\n';
  const auto [place, is_new] =
      made.emplace(FigureKey{selection.cell_key, selection.suite, tags, name}, nullptr);
  if (is_new) {
    if (std::optional<Figure> figure = make_figure(run, selection, name)) {
      figures.push_back(std::move(*figure));
      place->second = &figures.back();
    }
  }
  return place->second;
}

std::vector<std::string> PageContext::scores_of(const std::string& suite) const {
  const auto known = judging.scores.find(suite);
  if (known != judging.scores.end() && !known->second.empty()) return known->second;
  std::set<std::string> names;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.suite != suite || !attempt.score) continue;
    for (const auto& [name, value] : attempt.score->values) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::string chart_key(const RunData& run, const CellRow& cell) {
  if (!facts_of(run).several_checkpoints) return cell.label;
  // As the profile names it: a sibling that was made from another lies in a folder of the cache.
  return std::filesystem::path(facts_of(run, cell.key).checkpoint).filename().string();
}

Section verdict_section(PageContext& context) {
  Section section{"verdict", "Gates", {}, {}, {}};
  const Verdict& verdict = context.page.verdict;
  if (verdict.gates.empty()) return section;
  Table table{"Each gate, held against what was measured.", {}, {}};
  table.columns = {{"verdict"}, {"gate"}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(
      table.columns.end(),
      {{"bound", true}, {"measured", true}, {"95 %", true}, {"n", true}, {"remark"}});
  for (const GateResult& gate : verdict.gates) {
    std::vector<TableCell> row = {
        {std::string(sign(gate.decision)) + " " + word(gate.decision), tone_of(gate.decision)},
        {(gate.suite.empty() ? "" : gate.suite + " ") + gate_name(gate.gate)}};
    if (context.many_cells()) row.push_back({gate.cell_label});
    row.push_back({gate.bound});
    const FigureData* figure = gate.figure ? &**gate.figure : nullptr;
    row.push_back(figure ? TableCell{format_value(*figure)} : nothing());
    row.push_back(figure ? TableCell{format_interval(*figure)} : nothing());
    row.push_back(figure ? TableCell{std::to_string(figure->n)} : nothing());
    row.push_back({gate.remark, Tone::kMuted});
    table.rows.push_back(std::move(row));
    if (figure) context.figure({gate.cell_key, gate.suite, gate.gate.tags}, gate.gate.figure);
  }
  section.tables.push_back(std::move(table));
  return section;
}

Section published_figures_section(PageContext& context) {
  Section section{"published", "Beside published figures", {}, {}, {}};
  for (const Published* published : corresponding(context.run.run)) {
    Section one = published_section(compare_with_published(*published, context.run));
    section.tables.insert(section.tables.end(), one.tables.begin(), one.tables.end());
    section.paragraphs.insert(section.paragraphs.end(), one.paragraphs.begin(),
                              one.paragraphs.end());
  }
  return section;
}

Section method_section(PageContext& context) {
  const RunRow& run = context.run.run;
  Section section{"method", "Method and provenance", {}, {}, {}};
  section.paragraphs = {
      "Every number on this page is made from rows of the results database when the page is "
      "written; the JSON form lists the attempts behind each.",
      "TTFT is the time from submitting a request to its first token. Prefill tok/s is the prompt "
      "tokens that were computed, divided by TTFT. Decode tok/s is the tokens after the first, "
      "divided by the time from the first token to the last. Building prompts, loading and scoring "
      "lie outside these times.",
      "Speeds are medians over the answered cases with a 95 % percentile bootstrap interval; "
      "scores "
      "are means over cases with a 95 % Wilson interval. Repeats of a case are averaged first. n "
      "is "
      "the number of cases behind a score, of attempts behind a speed.",
      "An answer that allows no verdict, for example one cut by the token limit before it came to "
      "the point, is invalid: it is counted and left out of the mean. A gate passes or fails by "
      "its "
      "point estimate when there are enough measurements and the invalid cases could not turn it; "
      "otherwise it is inconclusive."};
  Table table{"Where this page comes from.", {{"what"}, {"value"}}, {}};
  table.in_terminal = false;
  const auto add = [&](const std::string& name, const std::string& value) {
    table.rows.push_back({{name}, value.empty() ? nothing() : TableCell{value}});
  };
  add("ds4-sweep", run.version);
  add("commit", run.commit + (run.dirty ? " with uncommitted changes" : ""));
  add("run", run.id);
  const Machine machine = read_machine(run.machine);
  add("kernel", joined(machine.kernels));
  if (!machine.gpu_drivers.empty()) add("GPU driver", joined(machine.gpu_drivers));
  add("command", run.command_line);
  add("attempts stored", std::to_string(context.run.attempts.size()));
  add("this page again", "ds4-sweep report " + run.id.substr(0, 8) + " -o FOLDER");
  section.tables.push_back(std::move(table));
  return section;
}

namespace {

PageHead head_of(const RunRow& run, const Verdict& verdict) {
  const std::string subject = "run " + run.id.substr(0, 8);
  return {sign(verdict.decision),
          word(verdict.decision),
          tone_of(verdict.decision),
          run.profile_name,
          subject,
          verdict.reason,
          verdict.next_step,
          subject + ", started " + run.started_at + ", commit " + run.commit.substr(0, 12) +
              (run.dirty ? " with uncommitted changes" : "")};
}

using Build = Section (*)(PageContext&);
constexpr Build kSections[] = {verdict_section,      run_section,
                               tradeoff_section,     speed_section,
                               roofline_section,     load_section,
                               frontier_section,     memory_section,
                               long_context_section, trace_section,
                               quality_section,      changes_section,
                               twins_section,        published_figures_section,
                               outcomes_section,     method_section};
constexpr size_t kNumSections = std::size(kSections);
constexpr int kThreads = 2;  // each holds the tables of a section before they are cut: memory

bool is_empty(const Section& section) {
  return section.tables.empty() && section.charts.empty() && section.paragraphs.empty() &&
         section.items.empty();
}

// A section's figures behind those of the sections before it: `listed` has these, as `made` does.
void list_figures(PageContext& context, FiguresMade& listed) {
  listed.merge(context.made);
  std::unordered_set<const Figure*> again;
  for (const auto& [key, figure] : context.made) again.insert(figure);
  for (; !context.figures.empty(); context.figures.pop_front()) {
    Figure& figure = context.figures.front();
    if (!again.contains(&figure)) context.page.figures.push_back(std::move(figure));
  }
}

void add_sections(const PageContext& shared, Page& page) {
  std::vector<PageContext> contexts(kNumSections, shared);
  std::vector<Section> sections(kNumSections);
  const auto build = [&](size_t place) {
    const size_t i = kNumSections - 1 - place;  // equal prompts, which take longest, early
    sections[i] = kSections[i](contexts[i]);
    if (!shared.settings.full) limit_section(sections[i], full_command(page.run));
  };
  side_by_side(kNumSections, build, kThreads);
  FiguresMade listed;
  for (PageContext& context : contexts) list_figures(context, listed);
  std::erase_if(sections, is_empty);
  page.sections = std::move(sections);
}

}  // namespace

Page build_page(Store& store, const std::string& run_id, const PageSettings& settings) {
  RunData loaded = load_run(store, run_id, false);
  if (!settings.profile.empty()) loaded.run.resolved_profile = settings.profile;
  const RunData& run = loaded;  // indexes are forgotten by whoever may change a row
  const Judging judging = judging_of(run.run);
  Page page;
  page.run = run.run;
  page.verdict = judge(run, judging, compare_with_baselines(store, run_id, judging));
  page.head = head_of(page.run, page.verdict);
  for (const CellRow& cell : run.cells) {
    page.cells.push_back(without_cases(cell));
    page.cells.back().settings.clear();
    page.cells.back().settings.shrink_to_fit();
    page.statuses.push_back(cell_status(run, cell));
  }
  page.launches = run.launches;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.outcome == "ok" || (attempt.outcome.empty() && attempt.status == "ok")) continue;
    page.unusual_attempts.push_back(attempt);
    page.unusual_attempts.back().events = std::vector<EventRow>();
    page.unusual_attempts.back().samples = std::vector<probes::Sample>();
  }
  // What the run keeps once it is made: before the sections share it.
  make_indexes(run);
  facts_of(run);
  pairings(run);
  add_sections({run, judging, store, page, settings}, page);
  if (!settings.full) limit_page(page, full_command(page.run));
  return page;
}

}  // namespace ds4::reports
