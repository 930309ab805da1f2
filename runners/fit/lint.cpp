#include "runners/fit/lint.h"

#include "runners/fit/lint_tables.h"

namespace ds4::runners::fit {
namespace {

void check(std::span<const Rule> rules, const Subject& subject, std::vector<Finding>& findings) {
  for (const Rule& rule : rules) {
    if (rule.needs_machine && !(subject.machine && subject.prediction && subject.verdict)) continue;
    if (auto change = rule.check(subject)) findings.push_back({&rule, std::move(*change)});
  }
}

}  // namespace

std::span<const Rule> lint_rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> rules;
    for (const auto part : {engine_rules(), suite_rules(), launch_rules()}) {
      rules.insert(rules.end(), part.begin(), part.end());
    }
    return rules;
  }();
  return all;
}

std::vector<Finding> lint(const Subject& subject) {
  std::vector<Finding> findings;
  if (subject.cell.target == "engine") {
    check(engine_rules(), subject, findings);
    check(suite_rules(), subject, findings);
  }
  check(launch_rules(), subject, findings);
  return findings;
}

std::vector<Finding> lint_launch(const Subject& subject) {
  std::vector<Finding> findings;
  check(launch_rules(), subject, findings);
  return findings;
}

}  // namespace ds4::runners::fit
