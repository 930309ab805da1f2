// Compared traces as tables and as JSON.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "reports/compare/traces.h"
#include "reports/compare/traces_text.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostForks = 5;  // shown of each suite, the clearest first

std::string brief(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string brief(const std::optional<Interval>& interval) {
  return interval ? brief(interval->lo) + " to " + brief(interval->hi) : "–";
}

TableCell optional_cell(const std::optional<double>& value) {
  return value ? TableCell{brief(*value)} : nothing();
}

Table overview(const std::vector<TraceChange>& changes) {
  Table table{"", {{"cell"}, {"suite"}}, {}};
  for (const char* title : {"cases", "positions", "same top-1", "95 %", "KL ≥ (nats)", "95 %", "JS",
                            "top-k shared", "|Δ| mean", "max", "forks", "near ties",
                            "answers equal", "perplexity base", "new", "ratio", "95 %"}) {
    table.columns.push_back({title, true});
  }
  for (const TraceChange& change : changes) {
    const TraceSummary& s = change.summary;
    std::vector<TableCell> row = {{change.cell},
                                  {change.suite},
                                  {std::to_string(s.cases.size())},
                                  {std::to_string(s.n_positions)},
                                  {format_value("", s.top1.value)},
                                  {brief(s.top1.interval)},
                                  {brief(s.kl.value)},
                                  {brief(s.kl.interval)},
                                  {brief(s.js)},
                                  {format_value("", s.overlap)},
                                  {brief(s.mean_delta)},
                                  {brief(s.max_delta)},
                                  {std::to_string(s.forks)},
                                  {std::to_string(s.low_margin_forks)}};
    row.push_back(s.answers > 0 ? TableCell{std::to_string(s.equal_answers) + " of " +
                                            std::to_string(s.answers)}
                                : nothing());
    row.push_back(optional_cell(s.base_perplexity));
    row.push_back(optional_cell(s.now_perplexity));
    row.push_back(s.perplexity_ratio ? TableCell{brief(s.perplexity_ratio->value)} : nothing());
    row.push_back(s.perplexity_ratio ? TableCell{brief(s.perplexity_ratio->interval)} : nothing());
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table depth_table(const TraceChange& change) {
  Table table{"By depth: " + change.cell + " " + change.suite,
              {{"positions"},
               {"n", true},
               {"same top-1", true},
               {"KL ≥ (nats)", true},
               {"perplexity base", true},
               {"new", true},
               {"ratio", true}},
              {}};
  for (const DepthLine& line : change.summary.depths) {
    std::optional<double> ratio;
    if (line.base_perplexity && line.now_perplexity) {
      ratio = *line.now_perplexity / *line.base_perplexity;
    }
    table.rows.push_back(
        {{std::to_string(line.range.begin) + " to " + std::to_string(line.range.end - 1)},
         {std::to_string(line.n)},
         {format_value("", line.top1)},
         {brief(line.kl)},
         optional_cell(line.base_perplexity),
         optional_cell(line.now_perplexity),
         optional_cell(ratio)});
  }
  return table;
}

Table forks_table(const TraceChange& change) {
  std::vector<const CaseLine*> forked;
  for (const CaseLine& line : change.summary.cases) {
    if (line.first_fork) forked.push_back(&line);
  }
  std::stable_sort(forked.begin(), forked.end(), [](const CaseLine* a, const CaseLine* b) {
    return a->first_fork->margin() > b->first_fork->margin();
  });
  if (forked.size() > kMostForks) forked.resize(kMostForks);
  Table table{"First forks: " + change.cell + " " + change.suite,
              {{"case"},
               {"position", true},
               {"base's likeliest"},
               {"new's"},
               {"margin base", true},
               {"new", true}},
              {}};
  for (const CaseLine* line : forked) {
    const Fork& fork = *line->first_fork;
    table.rows.push_back({{line->case_id},
                          {std::to_string(fork.position)},
                          {"\"" + fork.base + "\""},
                          {"\"" + fork.now + "\""},
                          {brief(fork.base_margin)},
                          {brief(fork.now_margin)}});
  }
  return table;
}

ordered_json number(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json interval(const std::optional<Interval>& value) {
  return value ? ordered_json({value->lo, value->hi}) : ordered_json(nullptr);
}

ordered_json fork_json(const std::optional<Fork>& fork) {
  if (!fork) return nullptr;
  return {{"position", fork->position},
          {"base", fork->base},
          {"new", fork->now},
          {"margin_base", fork->base_margin},
          {"margin_new", fork->now_margin}};
}

ordered_json case_json(const CaseLine& line) {
  return {{"case", line.case_id},
          {"positions", line.n},
          {"same_top1", line.top1_equal},
          {"kl_sum", line.sum_kl},
          {"kl_max", line.max_kl},
          {"kl_max_at", line.max_kl_at},
          {"text_tokens", line.n_text},
          {"nll_base", line.base_nll},
          {"nll_new", line.now_nll},
          {"answer_base", line.base_answer},
          {"answer_new", line.now_answer},
          {"answer_common", line.common_answer},
          {"first_fork", fork_json(line.first_fork)},
          {"remark", line.remark}};
}

ordered_json change_json(const TraceChange& change) {
  const TraceSummary& s = change.summary;
  ordered_json json = {
      {"cell", change.cell},
      {"suite", change.suite},
      {"positions", s.n_positions},
      {"top1_agreement", s.top1.value},
      {"top1_interval", interval(s.top1.interval)},
      {"kl", s.kl.value},
      {"kl_interval", interval(s.kl.interval)},
      {"js_distance", s.js},
      {"topk_overlap", s.overlap},
      {"delta_mean", s.mean_delta},
      {"delta_max", s.max_delta},
      {"forks", s.forks},
      {"low_margin_forks", s.low_margin_forks},
      {"answers", s.answers},
      {"answers_equal", s.equal_answers},
      {"first_tokens_equal", s.equal_first_tokens},
      {"answer_common_mean", s.mean_common_answer},
      {"perplexity_base", number(s.base_perplexity)},
      {"perplexity_new", number(s.now_perplexity)},
      {"perplexity_ratio", s.perplexity_ratio ? ordered_json(s.perplexity_ratio->value) : nullptr},
      {"perplexity_ratio_interval",
       s.perplexity_ratio ? interval(s.perplexity_ratio->interval) : nullptr}};
  json["depths"] = ordered_json::array();
  for (const DepthLine& line : s.depths) {
    json["depths"].push_back({{"begin", line.range.begin},
                              {"end", line.range.end},
                              {"positions", line.n},
                              {"top1_agreement", line.top1},
                              {"kl", line.kl},
                              {"perplexity_base", number(line.base_perplexity)},
                              {"perplexity_new", number(line.now_perplexity)}});
  }
  json["cases"] = ordered_json::array();
  for (const CaseLine& line : s.cases) json["cases"].push_back(case_json(line));
  return json;
}

}  // namespace

Section traces_section(const std::vector<TraceChange>& changes) {
  Section section{"traces", "Log-probabilities, token by token", {}, {overview(changes)}, {}};
  for (const TraceChange& change : changes) {
    if (!change.summary.depths.empty()) section.tables.push_back(depth_table(change));
    if (change.summary.forks > 0) section.tables.push_back(forks_table(change));
    for (const CaseLine& line : change.summary.cases) {
      if (!line.remark.empty()) {
        section.paragraphs.push_back(change.suite + "/" + line.case_id + ": " + line.remark);
      }
    }
  }
  section.paragraphs.push_back(
      "KL is a lower bound: what lies outside of both lists of likeliest tokens counts as little "
      "as "
      "it can. A near tie is a fork where one side's likeliest token leads by no more than " +
      brief(kLowMargin) + ". Intervals are over cases. docs/traces.md");
  return section;
}

std::string traces_json(const std::vector<TraceChange>& changes) {
  ordered_json list = ordered_json::array();
  for (const TraceChange& change : changes) list.push_back(change_json(change));
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string trace_file_text(const TraceFileComparison& comparison, bool colour) {
  std::string out;
  const Section section = traces_section(comparison.traces);
  out += section.title + "\n";
  for (const Table& table : section.tables) {
    if (!table.caption.empty()) out += "  " + clean_line(table.caption) + "\n";
    out += terminal_table(table, colour);
  }
  for (const std::string& line : section.paragraphs) out += "  " + clean_line(line) + "\n";
  for (const std::string& line : comparison.not_compared) {
    out += "  not compared: " + clean_line(line) + "\n";
  }
  return out + "\nrun " + comparison.now.id.substr(0, 8) + " (new) against " +
         clean_line(comparison.file) + " (base), from " + clean_line(comparison.source) + "\n";
}

std::string trace_file_json(const TraceFileComparison& comparison) {
  ordered_json json = {{"format", "ds4-traces-compare-1"},
                       {"base", comparison.file},
                       {"source", comparison.source},
                       {"new", comparison.now.id},
                       {"traces", ordered_json::parse(traces_json(comparison.traces))},
                       {"not_compared", comparison.not_compared}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
