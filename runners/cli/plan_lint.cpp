#include "runners/cli/plan_lint.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace ds4::cli {

using runners::fit::Finding;

std::vector<std::vector<Finding>> lint_cells(const profiles::Plan& plan,
                                             const profiles::Machine* machine,
                                             const std::vector<CellFit>& fits) {
  std::vector<std::vector<Finding>> cells;
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    runners::fit::Subject subject{plan.cells[i].profile, machine};
    if (i < fits.size() && !fits[i].prediction.owners.empty()) {
      subject.prediction = &fits[i].prediction;
      subject.verdict = &fits[i].verdict;
    }
    cells.push_back(runners::fit::lint(subject));
  }
  return cells;
}

std::vector<std::vector<Finding>> lint_launches(const profiles::Plan& plan) {
  std::vector<std::vector<Finding>> cells;
  for (const profiles::Cell& cell : plan.cells) {
    cells.push_back(runners::fit::lint_launch({cell.profile}));
  }
  return cells;
}

void print_findings(const profiles::Plan& plan, const std::vector<std::vector<Finding>>& cells,
                    std::FILE* out) {
  struct Shown {
    Finding finding;
    std::vector<std::string> keys;  // of cells
  };
  std::vector<Shown> all;
  for (size_t i = 0; i < cells.size(); ++i) {
    for (const Finding& finding : cells[i]) {
      const auto same = std::find_if(all.begin(), all.end(), [&](const Shown& shown) {
        return shown.finding.rule == finding.rule &&
               shown.finding.change.value == finding.change.value &&
               shown.finding.change.key == finding.change.key;
      });
      if (same == all.end()) {
        all.push_back({finding, {plan.cells[i].key}});
      } else {
        same->keys.push_back(plan.cells[i].key);
      }
    }
  }
  if (!all.empty()) {
    std::fputs("\nwarnings: known to have gone wrong elsewhere (docs/lint.md)\n", out);
  }
  for (const Shown& shown : all) {
    const runners::fit::Rule& rule = *shown.finding.rule;
    std::fprintf(out, "%s: %s\n  %s\n  silent with %s = %s; source: %s\n", rule.id, rule.when,
                 rule.why, shown.finding.change.key.c_str(), shown.finding.change.value.c_str(),
                 rule.source);
    if (shown.keys.size() == plan.cells.size()) continue;
    std::fprintf(out, "  %zu of %zu cells, the first is %s\n", shown.keys.size(), plan.cells.size(),
                 shown.keys.front().c_str());
  }
}

nlohmann::json findings_json(const std::vector<Finding>& findings) {
  nlohmann::json json = nlohmann::json::array();
  for (const Finding& finding : findings) {
    json.push_back({{"rule", finding.rule->id},
                    {"when", finding.rule->when},
                    {"why", finding.rule->why},
                    {"source", finding.rule->source},
                    {"key", finding.change.key},
                    {"value", finding.change.value}});
  }
  return json;
}

}  // namespace ds4::cli
