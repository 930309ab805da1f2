// The section of equal prompts: do answers that should be one agree, what did a cache save, and
// does a setting pay? docs/design/agreement.md.
#include <algorithm>
#include <map>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/figures/twins.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr size_t kMostLabels = 24;    // of one suite in one cell
constexpr size_t kMostPartings = 12;  // opened, of all
constexpr size_t kSeen = 40;          // bytes shown of each answer where they part

using Tags = std::map<std::string, std::string>;

// What the later of two has for a tag where the first has something else.
Tags differing_tags(const Twins& twins) {
  Tags tags;
  for (const auto& [name, value] : twins.later->tags) {
    const auto found = twins.first->tags.find(name);
    if (found == twins.first->tags.end() || found->second != value) tags[name] = value;
  }
  return tags;
}

std::string named(const Tags& tags) {
  std::string text;
  for (const auto& [name, value] : tags) {
    text += (text.empty() ? "" : ", ") + name + " " + value;
  }
  return text.empty() ? "asked again" : text;
}

// The figure's cells of a row; it is listed among the page's figures.
void add_figure(PageContext& context, const std::optional<Figure>& figure,
                std::vector<TableCell>& row, bool tell_below_one = false) {
  if (!figure) {
    row.insert(row.end(), {nothing(), nothing()});
    return;
  }
  const FigureData& data = **figure;
  const bool broken = tell_below_one && data.value && *data.value < 1;
  row.push_back({data.unit.empty() ? format_value(data) : format_number(*data.value),
                 broken ? Tone::kBad : Tone::kPlain});
  row.push_back(data.unit.empty() || !data.interval
                    ? TableCell{format_interval(data)}
                    : TableCell{format_number(data.interval->lo) + " to " +
                                format_number(data.interval->hi)});
  context.figures.push_back(*figure);
}

TableCell median_share_cached(const std::vector<Twins>& pairs) {
  std::vector<double> shares;
  for (const Twins& twins : pairs) {
    if (const auto share = attempt_metric(*twins.later, "cached_share")) shares.push_back(*share);
  }
  const auto middle = median(shares);
  return middle ? TableCell{format_number(*middle)} : nothing();
}

// Twins are of one suite, for a prompt of another is another prompt.
std::map<std::string, std::vector<Twins>> by_suite(const std::vector<Twins>& pairs) {
  std::map<std::string, std::vector<Twins>> suites;
  for (const Twins& twins : pairs) suites[twins.later->suite].push_back(twins);
  return suites;
}

Table within_table(PageContext& context, std::vector<Twins>& apart) {
  Table table{
      "Within a cell: each answer against the first to the same prompt in its launch, by "
      "what else differs. TTFT ratio: its TTFT / the first one's.",
      {{"suite"}},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(), {{"against the first"},
                                             {"pairs", true},
                                             {"prompts", true},
                                             {"equal", true},
                                             {"95 %", true},
                                             {"from cache", true},
                                             {"TTFT ratio", true},
                                             {"95 %", true, false}});
  for (const CellRow& cell : context.run.cells) {
    const auto pairs_of = by_suite(twins_within(context.run, {cell.key, "", {}}));
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      const auto of_suite = pairs_of.find(suite);
      if (of_suite == pairs_of.end()) continue;
      std::map<Tags, std::vector<Twins>> groups;
      for (const Twins& twins : of_suite->second) {
        groups[differing_tags(twins)].push_back(twins);
        if (!twins.agree()) apart.push_back(twins);
      }
      if (groups.size() > kMostLabels) {
        std::vector<Twins> all;
        for (const auto& [tags, pairs] : groups) all.insert(all.end(), pairs.begin(), pairs.end());
        groups = {{Tags{}, std::move(all)}};
      }
      for (const auto& [tags, pairs] : groups) {
        const Selection about{cell.key, suite, tags};
        const auto agreement = twin_figure(pairs, about, "agreement");
        std::vector<TableCell> row = {{suite}};
        if (context.many_cells()) row.push_back({cell.label});
        row.insert(
            row.end(),
            {{named(tags)}, {std::to_string(pairs.size())}, {std::to_string((*agreement)->n)}});
        add_figure(context, agreement, row, true);
        row.push_back(median_share_cached(pairs));
        add_figure(context, twin_figure(pairs, about, "ttft_ratio"), row);
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

// How finely a cache reuses: what it gave to a prompt that shares so many tokens with another.
Table granularity_table(PageContext& context) {
  Table table{
      "Prompts that share a prefix with one asked before: tokens that both begin with, and "
      "tokens that came from the cache.",
      {{"suite"}},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(table.columns.end(),
                       {{"shared", true}, {"from cache", true}, {"prompt tokens", true}});
  for (const CellRow& cell : context.run.cells) {
    for (const StoredAttempt& attempt : context.run.attempts.of(cell.key)) {
      const auto shared = attempt.tags.find("shared");
      const auto phase = attempt.tags.find("phase");
      if (attempt.status != "ok" || attempt.number != 1 || shared == attempt.tags.end() ||
          phase == attempt.tags.end() || phase->second != "shared") {
        continue;
      }
      std::vector<TableCell> row = {{attempt.suite}};
      if (context.many_cells()) row.push_back({cell.label});
      row.insert(row.end(), {{shared->second},
                             {std::to_string(attempt.cached_tokens)},
                             {std::to_string(attempt.prompt_tokens)}});
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

// A cell and the one it is held against, by the axis in which they differ.
struct NamedPairing {
  const CellRow& reference;
  const CellRow& cell;
  std::string axis;
};

std::vector<NamedPairing> named_pairings(const PageContext& context) {
  std::vector<NamedPairing> pairs;
  const std::vector<Axis>& axes = context.judging.axes;
  for (const CellPairing& pairing : pairings(context.run)) {
    pairs.push_back({context.run.cells[pairing.reference], context.run.cells[pairing.cell],
                     pairing.axis < axes.size() ? axes[pairing.axis].key : "setting"});
  }
  return pairs;
}

Table across_table(PageContext& context, std::vector<Twins>& apart) {
  Table table{
      "Across cells: each answer against the one to the same prompt in the cell with the "
      "setting's first value. Decode ratio: its decode tok/s / the other's.",
      {{"suite"},
       {"cell"},
       {"setting"},
       {"prompts", true},
       {"equal", true},
       {"95 %", true},
       {"decode ratio", true},
       {"95 %", true, false}},
      {}};
  for (const NamedPairing& pairing : named_pairings(context)) {
    const auto pairs_of =
        by_suite(twins_across(context.run, {pairing.cell.key, "", {}}, pairing.reference.key));
    for (const std::string& suite : suites_of(context.run, pairing.cell.key)) {
      const Selection about{pairing.cell.key, suite, {}};
      const auto of_suite = pairs_of.find(suite);
      if (of_suite == pairs_of.end()) continue;
      const std::vector<Twins>& pairs = of_suite->second;
      const auto parity = twin_figure(pairs, about, "parity");
      if (!parity) continue;
      for (const Twins& twins : pairs) {
        if (!twins.agree()) apart.push_back(twins);
      }
      std::vector<TableCell> row = {
          {suite}, {pairing.cell.label}, {pairing.axis}, {std::to_string((*parity)->n)}};
      add_figure(context, parity, row, true);
      add_figure(context, twin_figure(pairs, about, "decode_ratio"), row);
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

TableCell ratio_cell(const PayoffPoint& point) {
  const bool shown = point.interval && (point.interval->lo > 1 || point.interval->hi < 1);
  return {format_number(point.ratio), !shown            ? Tone::kPlain
                                      : point.ratio > 1 ? Tone::kGood
                                                        : Tone::kBad};
}

// Suites that ask by family and length say where a setting pays.
void add_payoff(PageContext& context, const NamedPairing& pairing, const std::string& suite,
                Table& verdicts, Table& table, std::vector<PayoffLine>& lines) {
  const Selection whole{pairing.cell.key, suite, {}};
  std::vector<std::string> families = tag_values(context.run, whole, "family");
  if (families.empty()) return;
  const std::vector<std::string> lengths = tag_values(context.run, whole, "length");
  if (lengths.empty()) return;
  families.insert(families.begin(), "");
  for (const std::string& family : families) {
    std::vector<PayoffPoint> points;
    for (const std::string& length : lengths) {
      Selection selection{pairing.cell.key, suite, {{"length", length}}};
      if (!family.empty()) selection.tags["family"] = family;
      const auto point = payoff_point(context.run, pairing.reference.key, selection);
      if (!point) continue;
      points.push_back(*point);
      const Figure* kept = context.figure(selection, "acceptance_length");
      std::vector<TableCell> row = {{suite},
                                    {pairing.cell.label},
                                    {family.empty() ? std::string("all") : family},
                                    {length},
                                    {std::to_string(point->n)}};
      row.push_back(kept ? TableCell{format_number(*(*kept)->value)} : nothing());
      row.push_back(ratio_cell(*point));
      row.push_back(point->interval ? TableCell{format_number(point->interval->lo) + " to " +
                                                format_number(point->interval->hi)}
                                    : nothing());
      table.rows.push_back(std::move(row));
    }
    if (points.empty()) continue;
    Payoff payoff = payoff_of(std::move(points));
    verdicts.rows.push_back({{suite},
                             {pairing.cell.label},
                             {pairing.reference.label},
                             {family.empty() ? std::string("all") : family},
                             {payoff.verdict}});
    if (family.empty()) lines.push_back({suite, &pairing.cell, std::move(payoff)});
  }
}

// Without the beginnings that both have, and not from inside a character.
size_t parting(const std::string& a, const std::string& b) {
  size_t at = 0;
  while (at < std::min(a.size(), b.size()) && a[at] == b[at]) ++at;
  while (at > 0 && at < a.size() && (a[at] & 0xc0) == 0x80) --at;
  return at;
}

std::string seen(const std::string& text, size_t at) {
  size_t end = std::min(text.size(), at + kSeen);
  while (end < text.size() && end > at && (text[end] & 0xc0) == 0x80) --end;
  return at == text.size() ? "(end)" : text.substr(at, end - at);
}

Table partings_table(PageContext& context, const std::vector<Twins>& apart) {
  Table table{
      "Where answers to equal prompts part: bytes that both begin with, and what follows. "
      "The first " +
          std::to_string(kMostPartings) + " of " + std::to_string(apart.size()) + ".",
      {{"case"}, {"against"}, {"equal bytes", true}, {"there"}, {"here"}},
      {}};
  for (size_t i = 0; i < std::min(apart.size(), kMostPartings); ++i) {
    StoredAttempt first = *apart[i].first, later = *apart[i].later;
    context.store.load_texts(first);
    context.store.load_texts(later);
    const size_t at = parting(first.text, later.text);
    const auto label = [&](const StoredAttempt& attempt) {
      if (first.cell_key != later.cell_key) {
        const CellRow* cell = context.run.cells.find(attempt.cell_key);
        return attempt.suite + "/" + attempt.case_id + ", " + cell->label;
      }
      return attempt.suite + "/" + attempt.case_id + ", attempt " + std::to_string(attempt.number);
    };
    table.rows.push_back({{label(later)},
                          {label(first)},
                          {std::to_string(at)},
                          {seen(first.text, at)},
                          {seen(later.text, at)}});
  }
  return table;
}

}  // namespace

Section twins_section(PageContext& context) {
  Section section{"twins", "Equal prompts", {}, {}, {}};
  std::vector<Twins> apart;
  std::vector<Table> tables;
  tables.push_back(within_table(context, apart));
  tables.push_back(granularity_table(context));
  tables.push_back(across_table(context, apart));
  Table verdicts{
      "Does the setting pay? Decode tok/s against the cell with its first value; the "
      "break-even lies between the measured lengths around it.",
      {{"suite"}, {"cell"}, {"against"}, {"family"}, {"verdict"}},
      {}};
  Table payoff{
      "Decode tok/s against the cell with the setting's first value, by family and length "
      "of prompts. The interval takes launches as the unit.",
      {{"suite"},
       {"cell"},
       {"family"},
       {"length", true},
       {"n", true},
       {"tokens a round", true},
       {"decode ratio", true},
       {"95 %", true}},
      {}};
  std::vector<PayoffLine> lines;
  for (const NamedPairing& pairing : named_pairings(context)) {
    for (const std::string& suite : suites_of(context.run, pairing.cell.key)) {
      add_payoff(context, pairing, suite, verdicts, payoff, lines);
    }
  }
  add_payoff_chart(context, lines, section);
  tables.push_back(std::move(verdicts));
  tables.push_back(std::move(payoff));
  if (!apart.empty()) tables.push_back(partings_table(context, apart));
  for (Table& table : tables) {
    if (!table.rows.empty()) section.tables.push_back(std::move(table));
  }
  return section;
}

}  // namespace ds4::reports
