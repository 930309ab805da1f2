// The section of texts whose tokens were told of: perplexity by depth. How two runs differ token by
// token is the comparison's business.
#include <cmath>
#include <cstdio>

#include "reports/pages/build.h"
#include "reports/trace/depth.h"

namespace ds4::reports {
namespace {

struct Sums {
  int64_t n = 0, texts = 0;
  double logprob = 0;
};

// Of the texts of one suite in one cell, by the beginning of the range.
std::map<int64_t, Sums> by_depth(PageContext& context, const std::string& cell,
                                 const std::string& suite) {
  std::map<int64_t, Sums> depths;
  for (const StoredAttempt& attempt : context.run.attempts.of(cell)) {
    if (attempt.suite != suite || attempt.status != "ok" || !attempt.has_trace) continue;
    const Trace trace = trace_from_json(context.store.trace(attempt.id),
                                        "the trace of attempt " + std::to_string(attempt.id));
    const Sums* last = nullptr;
    for (const AtDepth& token : told_tokens(trace)) {
      Sums& sums = depths[depth_range_at(token.position).begin];
      ++sums.n;
      sums.texts += &sums != last;
      sums.logprob += token.logprob;
      last = &sums;
    }
  }
  return depths;
}

std::string brief(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

Section trace_section(PageContext& context) {
  Section section{"depth", "Perplexity by depth", {}, {}, {}};
  Table table{
      "How well a text is foreseen, by how far it has been read. What is lost on the way shows as "
      "growth; `ds4-sweep compare` holds two runs against each other token by token.",
      {},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  table.columns.insert(
      table.columns.end(),
      {{"suite"}, {"positions"}, {"texts", true}, {"tokens", true}, {"perplexity", true}});
  for (const CellRow& cell : context.run.cells) {
    for (const std::string& suite : suites_of(context.run, cell.key)) {
      for (const auto& [begin, sums] : by_depth(context, cell.key, suite)) {
        std::vector<TableCell> row;
        if (context.many_cells()) row.push_back({cell.label});
        row.insert(row.end(), {{suite},
                               {std::to_string(begin) + " to " +
                                std::to_string(depth_range_at(begin).end - 1)},
                               {std::to_string(sums.texts)},
                               {std::to_string(sums.n)},
                               {brief(std::exp(-sums.logprob / static_cast<double>(sums.n)))}});
        table.rows.push_back(std::move(row));
      }
    }
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  return section;
}

}  // namespace ds4::reports
