// The section of walks along one text, and the same rows as the table of ds4-bench.
#include <cstdio>

#include "reports/figures/format.h"
#include "reports/pages/build.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

const std::string& label_of(const Page& page, const std::string& key) {
  static const std::string none;
  for (const CellRow& cell : page.cells) {
    if (cell.key == key) return cell.label;
  }
  return none;
}

bool many_launches(const std::vector<FrontierStep>& steps) {
  for (const FrontierStep& step : steps) {
    if (step.cell_key == steps.front().cell_key && step.launch != steps.front().launch) return true;
  }
  return false;
}

TableCell rate(const std::optional<double>& value) {
  return value ? TableCell{format_value("tok/s", *value)} : nothing();
}

// As C prints %.2f; "" without a value.
std::string decimals(const std::optional<double>& value) {
  if (!value) return "";
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", *value);
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

}  // namespace

Section frontier_section(PageContext& context) {
  Section section{"frontier", "One text, further and further", {}, {}, {}};
  context.page.frontiers = frontier_steps(context.run);
  const std::vector<FrontierStep>& steps = context.page.frontiers;
  if (steps.empty()) return section;
  const bool launches = many_launches(steps);
  Table table{
      "Each row reads the text on from the row before, then decodes and forgets what it decoded. "
      "`ds4-sweep report RUN --format ds4-bench -o -` gives the same as CSV.",
      {},
      {}};
  if (context.many_cells()) table.columns.push_back({"cell"});
  if (launches) table.columns.push_back({"launch", true});
  table.columns.insert(table.columns.end(), {{"context", true},
                                             {"prefilled", true},
                                             {"prefill", true},
                                             {"decoded", true},
                                             {"decode", true},
                                             {"KV cache", true},
                                             {"remark"}});
  for (const FrontierStep& step : steps) {
    std::vector<TableCell> row;
    if (context.many_cells()) row.push_back({label_of(context.page, step.cell_key)});
    if (launches) row.push_back({std::to_string(step.launch)});
    row.insert(row.end(), {{std::to_string(step.ctx_tokens)},
                           {std::to_string(step.prefill_tokens)},
                           rate(step.prefill_rate),
                           {std::to_string(step.gen_tokens)},
                           rate(step.decode_rate)});
    row.push_back(step.kv_bytes ? TableCell{format_value("B", static_cast<double>(*step.kv_bytes))}
                                : nothing());
    row.push_back({step.remark, Tone::kMuted});
    table.rows.push_back(std::move(row));
  }
  section.tables.push_back(std::move(table));
  return section;
}

std::string render_ds4_bench(const Page& page) {
  const bool cells = page.cells.size() > 1, launches = many_launches(page.frontiers);
  std::string text = std::string(cells ? "cell," : "") + (launches ? "launch," : "") +
                     "ctx_tokens,prefill_tokens,prefill_tps,gen_tokens,gen_tps,kvcache_bytes\n";
  for (const FrontierStep& step : page.frontiers) {
    if (cells) text += quoted(label_of(page, step.cell_key)) + ",";
    if (launches) text += std::to_string(step.launch) + ",";
    text += std::to_string(step.ctx_tokens) + "," + std::to_string(step.prefill_tokens) + "," +
            decimals(step.prefill_rate) + "," + std::to_string(step.gen_tokens) + "," +
            decimals(step.decode_rate) + "," +
            (step.kv_bytes ? std::to_string(*step.kv_bytes) : "") + "\n";
  }
  return text;
}

}  // namespace ds4::reports
