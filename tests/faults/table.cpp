#include "tests/faults/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <regex>

namespace ds4::faults {
namespace {

constexpr size_t kNamedChecks = 3;  // the rest is counted

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

/// The checks that fail, those with the fewest mechanisms first: they say most. Those without any
/// say least.
std::string caught_by(const SelftestReport& report) {
  std::vector<const SelftestCheck*> failed;
  for (const SelftestCheck& check : report.checks) {
    if (!check.passed) failed.push_back(&check);
  }
  std::stable_sort(failed.begin(), failed.end(), [](const auto* a, const auto* b) {
    return a->mechanisms.size() - 1 < b->mechanisms.size() - 1;  // 0 - 1 is the largest
  });
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(failed.size(), kNamedChecks); ++i) {
    names.push_back(failed[i]->name);
  }
  std::string text = joined(names, ", ");
  if (failed.size() > kNamedChecks) {
    text += " and " + std::to_string(failed.size() - kNamedChecks) + " more";
  }
  return text;
}

/// The largest error of a logit among the failed checks that have a bound above zero, and the
/// multiple of the bound; promises have none: there every difference counts.
std::string size(const SelftestReport& report) {
  double error = 0;
  double times = 0;
  for (const SelftestCheck& check : report.checks) {
    if (check.passed || !(check.bound > 0) || !std::isfinite(check.error)) continue;
    error = std::max(error, check.error);
    times = std::max(times, check.error / check.bound);
  }
  if (error == 0) return "bits";
  char text[64];
  std::snprintf(text, sizeof text, "%.0e, %.0e x bound", error, times);
  return text;
}

constexpr const char* kHead = R"(# Deliberate faults and what catches them

Written by `test_faults` (built with `-DDS4_FAULTS=ON`, never part of a release): each fault is a bug that engines of this
model really had, put into the working engine at one of three seams, and `ds4-sweep selftest` is run on it. The test fails when a fault
is not caught, when its mechanism is not among those the self-test names, or when this page is out of date; it is made anew by

    DS4_UPDATE_GOLDEN=1 build/dev/tests/faults/test_faults --gtest_filter=*EachIsCaughtAndNamed

*Size*: the largest error of a logit in a failed check, relative to the largest golden logit, and how many times the check's bound that
is; *bits*: only promises of equal bits, draws or guesses are broken.

*Answers* is the other half of the picture: %d prompts of the suites (smoke, arithmetic, tool_calls, needle at 512 tokens) answered by
`checkpoints/tiny` with the fault, greedily: how many answers are wrong, and how many differ at all from the working engine's. **unseen**:
not one differs; only logits show the fault. These counts are made by
`DS4_UPDATE_GOLDEN=1 test_faults --gtest_also_run_disabled_tests --gtest_filter=*WriteAnswers` (20 s on two cores) and kept in
`tests/faults/answers.json`; every test run repeats a few of them. Answers are decoded without drafts, so faults of drafting cannot show.

)";

std::string answered(const std::map<std::string, Answered>& answers, const std::string& fault) {
  const auto found = answers.find(fault);
  if (found == answers.end()) return "not run";
  const Answered& a = found->second;
  if (a.changed == 0) return "**unseen**";
  return std::to_string(a.wrong) + " wrong, " + std::to_string(a.changed) + " changed";
}

}  // namespace

std::string table(const std::vector<Fault>& faults, const std::vector<SelftestReport>& reports,
                  const std::map<std::string, Answered>& answers) {
  char head[4096];
  std::snprintf(head, sizeof head, kHead, answers.empty() ? 0 : answers.begin()->second.cases);
  std::string page = head;
  size_t shown = 0;
  for (const Fault& fault : faults) {
    const auto found = answers.find(fault.name);
    shown += found != answers.end() && found->second.changed > 0;
  }
  page += std::to_string(faults.size()) + " faults, all caught; answers show " +
          std::to_string(shown) + " of them.\n\n";
  page += "| fault | seam | mechanism named | caught by | size | answers |\n";
  page += "|---|---|---|---|---|---|\n";
  for (size_t i = 0; i < faults.size(); ++i) {
    page += "| " + faults[i].name + " | " + seam_name(faults[i].seam) + " | " +
            joined(reports[i].suspects, "; ") + " | " + caught_by(reports[i]) + " | " +
            size(reports[i]) + " | " + answered(answers, faults[i].name) + " |\n";
  }
  return page;
}

std::string without_sizes(const std::string& page) {
  return std::regex_replace(page, std::regex(R"(\| [0-9e+.-]+, [0-9e+.-]+ x bound \|)"), "| |");
}

}  // namespace ds4::faults
