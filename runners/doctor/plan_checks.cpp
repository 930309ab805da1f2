// A plan against this program and this machine: its cases can be made, its cells fit.
#include <map>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "runners/doctor/checks.h"
#include "runners/fit/remedy.h"
#include "runners/fit/verdict.h"
#include "suites/suite.h"

namespace ds4::runners::doctor {

Findings check_datasets(const profiles::Plan& plan) {
  std::map<std::string, size_t> most;  // cases of a suite in the cell that has most of them
  for (const profiles::Cell& cell : plan.cells) {
    for (const profiles::SuiteSection& section : cell.profile.suites) {
      try {
        const size_t n = suites::find_suite(section.name)->plan(section.parameters).size();
        most[section.name] = std::max(most[section.name], n);
      } catch (const Error& error) {
        return {{Level::kProblem, "datasets", error.what(), error.hint()}};
      }
    }
  }
  std::string text, fetched;
  for (const auto& [suite, n] : most) {
    text += (text.empty() ? "" : ", ") + suite + " " + format_count(static_cast<int64_t>(n));
    const std::string dataset(suites::find_suite(suite)->dataset());
    if (!dataset.empty()) fetched += (fetched.empty() ? "" : ", ") + dataset;
  }
  text += fetched.empty() ? "; their texts are part of the program"
                          : "; data sets, their hashes right: " + fetched;
  return {{Level::kOk, "datasets", "cases: " + text, ""}};
}

Findings check_fit(const profiles::Plan& plan, const profiles::Machine& machine) {
  Findings findings;
  for (const profiles::Cell& cell : plan.cells) {
    const fit::Prediction prediction = fit::predict(cell.profile);
    if (prediction.owners.empty()) continue;
    const fit::Verdict verdict = fit::judge(prediction, machine, fit::floors_of(cell.profile, machine));
    std::string remedy;
    if (verdict.fit != fit::Fit::kFits) {
      const auto changes = fit::remedies(cell.profile, machine);
      remedy =
          changes.empty()
              ? "End what takes memory, or choose a smaller checkpoint: ds4-sweep plan PROFILE "
                "--machine this"
              : "--set " + changes.front().key + "=" + changes.front().value;
    }
    findings.push_back({verdict.fit == fit::Fit::kFits    ? Level::kOk
                        : verdict.fit == fit::Fit::kTight ? Level::kNote
                                                          : Level::kProblem,
                        "fit",
                        "cell " + cell.label + " " + fit::fit_name(verdict.fit) + ": it needs " +
                            format_bytes(verdict.need) + " of " + verdict.memory + " in " +
                            fit::phase_name(verdict.phase) + ", " +
                            (verdict.usable > 0 ? format_bytes(verdict.usable) : "nothing") +
                            " can be used above the floor",
                        remedy});
  }
  return findings;
}

}  // namespace ds4::runners::doctor
