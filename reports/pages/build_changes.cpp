// The section that says what each setting of a sweep changes: every cell against the one that has
// the setting's first value and is otherwise the same, case by case.
#include <optional>

#include "reports/figures/cell_choices.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

std::string with_sign(double value) {
  return (value > 0 ? "+" : "") + format_value("", value);
}

TableCell change_cell(const Difference& difference) {
  const bool certain = difference.interval.lo > 0 || difference.interval.hi < 0;
  const Tone tone = !certain ? Tone::kPlain : difference.change > 0 ? Tone::kGood : Tone::kBad;
  return {with_sign(difference.change), tone};
}

void add_rows(PageContext& context, const Axis& axis, const CellRow& reference, const CellRow& cell,
              Table& table) {
  for (const std::string& suite : suites_of(context.run, cell.key)) {
    const std::vector<std::string> scores = context.scores_of(suite);
    if (scores.empty()) continue;
    auto difference = score_difference({context.run, reference.key}, {context.run, cell.key}, suite,
                                       scores.front());
    if (!difference) continue;
    difference->axis = axis.key;
    // Listed among the page's figures, so that the attempts behind both means can be traced.
    context.figure({reference.key, suite, {}}, scores.front());
    context.figure({cell.key, suite, {}}, scores.front());
    table.rows.push_back(
        {{cell.label},
         {suite},
         {format_value("", difference->reference)},
         {format_value("", difference->value)},
         change_cell(*difference),
         {with_sign(difference->interval.lo) + " to " + with_sign(difference->interval.hi)},
         {std::to_string(difference->n)},
         {std::to_string(difference->lost)},
         {std::to_string(difference->gained)},
         {format_value("", difference->test.mid_p)}});
    context.page.differences.push_back(std::move(*difference));
  }
}

}  // namespace

Section changes_section(PageContext& context) {
  Section section{"changes", "What each setting changes", {}, {}, {}};
  const ByCell<CellRow>& cells = context.run.cells;
  const std::vector<Axis>& axes = context.judging.axes;
  std::vector<size_t> n_values;
  for (const Axis& axis : axes) n_values.push_back(axis.n_values);
  const Choices choices(context.run, n_values);
  if (choices.empty() || choices.n_axes() != axes.size()) return section;
  for (size_t index = 0; index < axes.size(); ++index) {
    Table table{"Setting " + axes[index].key +
                    ": each cell against the one with its first value and all else the same, over "
                    "the cases that both answered. 95 % interval of the paired difference; p by "
                    "McNemar's test.",
                {{"cell"},
                 {"suite"},
                 {"before", true},
                 {"now", true},
                 {"change", true},
                 {"95 %", true},
                 {"n", true},
                 {"lost", true},
                 {"gained", true},
                 {"p", true}},
                {}};
    for (size_t at = 0; at < cells.size(); ++at) {
      const std::optional<size_t> reference = choices.reference_of(index, at);
      if (!reference) continue;
      add_rows(context, axes[index], cells[*reference], cells[at], table);
    }
    if (!table.rows.empty()) section.tables.push_back(std::move(table));
  }
  return section;
}

}  // namespace ds4::reports
