// A comparison as checks for a CI system: one per line that was tested and per outcome that
// changed.
#include <cstdio>

#include "reports/compare/comparison.h"
#include "reports/figures/format.h"
#include "reports/pages/checks.h"

namespace ds4::reports {
namespace {

Decision decision_of(Change change) {
  return change == Change::kRegression ? Decision::kFail : Decision::kPass;
}

std::string tested(const TestResult& test) {
  char text[64];
  std::snprintf(text, sizeof text, "; adjusted p = %.3g", test.adjusted_p);
  return std::string(word(test.change)) + (test.counted ? text : "");
}

}  // namespace

CheckList checks_of(const Comparison& comparison) {
  CheckList list;
  list.name = "compare " + comparison.now.profile_name;
  list.started_at = comparison.now.started_at;
  for (const Ending& ending : comparison.endings) {
    const bool worse = ending.change == Change::kRegression;
    list.checks.push_back({ending.cell, "outcome", decision_of(ending.change),
                           ending.kind + (worse ? ", used to finish: " : " in base: ") +
                               ending.outcome + " (" + std::to_string(ending.n_cases) + " cases)",
                           ending.message, 0});
  }
  for (const ScoreChange& line : comparison.scores) {
    if (!line.headline) continue;
    const Difference& d = line.difference;
    list.checks.push_back({line.cell, d.suite + " " + d.score, decision_of(line.test.change),
                           format_value("", d.value) + " against " + format_value("", d.reference) +
                               ": " + tested(line.test),
                           "", 0});
  }
  for (const SampleChange& line : comparison.samples) {
    list.checks.push_back({line.cell,
                           (line.suite.empty() ? "worker" : line.suite) + " " + line.metric,
                           decision_of(line.test.change),
                           format_value(line.unit, line.now) + " against " +
                               format_value(line.unit, line.base) + ": " + tested(line.test),
                           "", 0});
  }
  for (const std::string& missing : comparison.not_compared) {
    list.output += "not compared: " + missing + "\n";
  }
  return list;
}

}  // namespace ds4::reports
