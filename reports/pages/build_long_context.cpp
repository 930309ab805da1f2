// The section of long context: heat maps of a score by length and depth, and by length and residue,
// for each checkpoint, and what each has more or less than the first one. Tables whose cells are
// coloured: the number stands in each.
#include <algorithm>
#include <cmath>
#include <set>

#include "reports/figures/cell_choices.h"
#include "reports/figures/format.h"
#include "reports/outcomes/outcome.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMaxTagValues = 40;  // a tag with more values names cases, not a report axis
constexpr size_t kMostMaps = 12;      // cells whose maps are shown

// The tags a map has as its rows, by what they are called in it.
struct Rows {
  const char* tag;
  const char* title;
};
constexpr Rows kRows[] = {
    {"depth", "depth"}, {"residue128", "length modulo 128"}, {"residue", "residue of the length"}};

using Tags = std::map<std::string, std::string>;

// The cells whose maps are shown: the first of each checkpoint, then the second of each, ...
std::vector<const CellRow*> shown_cells(const RunData& run) {
  std::map<std::string, size_t> n_of;
  std::vector<std::pair<size_t, const CellRow*>> order;
  for (const CellRow& cell : run.cells) {
    order.emplace_back(n_of[cell.checkpoint_path]++, &cell);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const CellRow*> shown;
  for (size_t i = 0; i < std::min(order.size(), kMostMaps); ++i) shown.push_back(order[i].second);
  return shown;
}

// Why the cases of a suite that have no answer have none, by length and row: the worst that
// happened to one of them.
class Endings {
 public:
  Endings(const RunData& run, const CellRow& cell, const std::string& suite,
          const std::string& row_tag)
      : row_tag_(row_tag) {
    std::map<std::string, std::string> outcomes;  // by case, of its newest try without an answer
    for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
      if (attempt.suite != suite) continue;
      if (attempt.status != "ok") outcomes[attempt.case_id] = attempt.outcome;
    }
    for (const LaunchRow& launch : run.launches.of(cell.key)) {  // "prefill: needle/c0, needle/c1"
      if (launch.outcome == "ok") continue;
      const size_t colon = launch.phase.find(": ");
      for (size_t at = colon == std::string::npos ? colon : colon + 2; at < launch.phase.size();) {
        const size_t end = std::min(launch.phase.find(", ", at), launch.phase.size());
        const std::string name = launch.phase.substr(at, end - at);
        if (name.starts_with(suite + "/")) outcomes[name.substr(suite.size() + 1)] = launch.outcome;
        at = end + 2;
      }
    }
    for (const PlannedCase& planned : cell.cases) {
      const auto found = outcomes.find(planned.case_id);
      if (planned.suite == suite && found != outcomes.end()) note(planned.tags, found->second);
    }
  }

  // Never the colour of zero: a sign and the class.
  TableCell at(const std::string& length, const std::string& row) const {
    const auto found = worst_.find({length, row});
    if (found == worst_.end()) return {"not run", Tone::kMuted};
    const std::string& outcome = found->second;
    if (outcome == "TIMEOUT") return {"◷ timed out", Tone::kUnsure};
    if (is_watchdog_kill(outcome) || ran_out_of_memory(outcome)) {
      return {"✗ " + outcome, Tone::kBad};
    }
    return {outcome.empty() ? "no answer" : outcome, Tone::kUnsure};
  }

 private:
  void note(const Tags& tags, const std::string& outcome) {
    const auto length = tags.find("length"), row = tags.find(row_tag_);
    if (length == tags.end() || row == tags.end()) return;
    std::string& worst = worst_[{length->second, row->second}];
    if (worst.empty() || worst == "TIMEOUT") worst = outcome;
  }

  const std::string row_tag_;
  std::map<std::pair<std::string, std::string>, std::string> worst_;
};

// What a map is about.
struct Map {
  std::string suite, score;
  Rows rows;
  std::vector<std::string> lengths, values;  // columns; of the rows' tag

  Selection at(const CellRow& cell, const std::string& length, const std::string& value) const {
    return {cell.key, suite, {{"length", length}, {rows.tag, value}}};
  }
  Table table(const std::string& caption) const {
    Table table{caption, {{rows.title}}, {}};
    for (const std::string& length : lengths) table.columns.push_back({length, true});
    return table;
  }
};

// Nothing where the suite has no such tags, or one row that all of its cases are in.
std::optional<Map> map_of(const PageContext& context, const CellRow& cell, const std::string& suite,
                          const Rows& rows) {
  const std::vector<std::string> scores = context.scores_of(suite);
  const Selection whole{cell.key, suite, {}};
  Map map{suite, scores.empty() ? "" : scores.front(), rows,
          tag_values(context.run, whole, "length"), tag_values(context.run, whole, rows.tag)};
  const bool is_depth = std::string(rows.tag) == "depth";
  if (map.lengths.empty() || map.lengths.size() > kMaxTagValues) return std::nullopt;
  if (map.values.size() < (is_depth ? 1u : 2u) || map.values.size() > kMaxTagValues) {
    return std::nullopt;
  }
  return map;
}

Table heat_table(PageContext& context, const CellRow& cell, const Map& map) {
  Table table = map.table(map.suite + " " + map.score + " by " + map.rows.title +
                          " (rows) and length in tokens (columns), n in brackets" +
                          (context.many_cells() ? ", cell " + cell.label : "") + ".");
  table.in_terminal = map.rows.tag == std::string("depth");
  const Endings endings(context.run, cell, map.suite, map.rows.tag);
  for (const std::string& value : map.values) {
    std::vector<TableCell> row = {{value}};
    for (const std::string& length : map.lengths) {
      const Figure* figure = context.figure(map.at(cell, length, value), map.score);
      if (!figure) {
        row.push_back(endings.at(length, value));
      } else if (!(*figure)->value) {
        row.push_back({"invalid (" + std::to_string((*figure)->n_invalid) + ")", Tone::kUnsure});
      } else {
        row.push_back({format_value(**figure) + " (" + std::to_string((*figure)->n) + ")",
                       Tone::kPlain, (*figure)->value});
      }
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Only where both were measured.
Table difference_table(PageContext& context, const CellRow& reference, const CellRow& cell,
                       const Map& map) {
  Table table = map.table(map.suite + " " + map.score + " by " + map.rows.title +
                          " and length: " + cell.label + " less " + reference.label + ".");
  table.diverging = true;
  table.in_terminal = false;
  for (const std::string& value : map.values) {
    std::vector<TableCell> row = {{value}};
    for (const std::string& length : map.lengths) {
      const Figure* before = context.figure(map.at(reference, length, value), map.score);
      const Figure* now = context.figure(map.at(cell, length, value), map.score);
      if (!before || !now || !(*before)->value || !(*now)->value) {
        row.push_back(nothing());
        continue;
      }
      const double change = *(*now)->value - *(*before)->value;
      row.push_back({(change > 0 ? "+" : "") + format_value("", change), Tone::kPlain, change});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// A map of a cell that did not come to the suite says nothing: the table of cells tells of it.
void add_unless_blank(Table table, Section& section) {
  const bool blank = std::all_of(table.rows.begin(), table.rows.end(), [](const auto& row) {
    return std::all_of(row.begin() + 1, row.end(),
                       [](const TableCell& cell) { return cell.tone == Tone::kMuted; });
  });
  if (!blank) section.tables.push_back(std::move(table));
}

// The cell with the sweep's first checkpoint and else the settings of `cell`; nullptr for that one.
const CellRow* first_checkpoint_of(const PageContext& context, const Choices& choices,
                                   const CellRow& cell) {
  const std::vector<Axis>& axes = context.judging.axes;
  const auto axis =
      std::find_if(axes.begin(), axes.end(), [](const Axis& a) { return a.key == "checkpoint"; });
  if (axis == axes.end() || choices.empty() || choices.n_axes() != axes.size()) return nullptr;
  const auto at = static_cast<size_t>(&cell - &context.run.cells.front());
  const auto index = static_cast<size_t>(axis - axes.begin());
  const std::optional<size_t> reference = choices.reference_of(index, at);
  return reference ? &context.run.cells[*reference] : nullptr;
}

}  // namespace

Section long_context_section(PageContext& context) {
  Section section{"long-context", "Long context", {}, {}, {}};
  std::vector<size_t> n_values;
  for (const Axis& axis : context.judging.axes) n_values.push_back(axis.n_values);
  const Choices choices(context.run, n_values);
  const std::vector<const CellRow*> cells = shown_cells(context.run);
  std::vector<std::string> suites;
  for (const CellRow* cell : cells) {
    for (const std::string& suite : suites_of(context.run, cell->key)) {
      if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
    }
  }
  // Maps of one kind stand beside each other, and behind them what they differ by.
  for (const std::string& suite : suites) {
    for (const Rows& rows : kRows) {
      std::vector<Table> differences;
      for (const CellRow* cell : cells) {
        const std::optional<Map> map = map_of(context, *cell, suite, rows);
        if (!map) continue;
        add_unless_blank(heat_table(context, *cell, *map), section);
        const CellRow* reference = first_checkpoint_of(context, choices, *cell);
        if (reference) differences.push_back(difference_table(context, *reference, *cell, *map));
      }
      for (Table& table : differences) add_unless_blank(std::move(table), section);
    }
  }
  if (context.run.cells.size() > kMostMaps && !section.tables.empty()) {
    section.paragraphs.push_back("Maps of " + std::to_string(kMostMaps) + " of " +
                                 std::to_string(context.run.cells.size()) +
                                 " cells: the first of each checkpoint, then the second of each.");
  }
  return section;
}

}  // namespace ds4::reports
