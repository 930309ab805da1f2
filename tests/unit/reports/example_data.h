// Runs in memory, for the tests of figures, verdicts and pages.
#pragma once

#include <string>
#include <vector>

#include "reports/figures/figure.h"
#include "reports/figures/run_data.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {

/// resolved_profile as cell_to_json() writes it, with the given gates (JSON objects, comma
/// separated).
inline std::string example_profile(const std::string& gates) {
  return R"({"format":1,"key":"","label":"","semantics":"","profile":{"target":"engine",)"
         R"("engine":{"kv_dtype":"fp8","threads":2},"axes":[{"key":"engine.kv_dtype","values":[]}],)"
         R"("suites":[{"name":"needle","version":3,"scores":["exact","near"]}],"overrides":[],)"
         R"("gates":[)" +
         gates + "]}}";
}

inline std::string example_gate(const std::string& rest) {
  return R"({"suite":"needle","figure":"exact","tags":{},"min_n":1,"source":"p.toml:9",)" + rest +
         "}";
}

/// Builds RunData row by row: one cell "k1" with planned needle cases c0, c1, ...
class ExampleRun {
 public:
  explicit ExampleRun(int n_planned) {
    data.run = example_run("aaaaaaaa-1111");
    data.run.resolved_profile = example_profile("");
    CellRow cell = example_cell("k1", 0);
    cell.cases.clear();
    for (int i = 0; i < n_planned; ++i) {
      cell.cases.push_back({"needle", "c" + std::to_string(i), {{"length", "512"}}});
    }
    data.cells = {cell};
  }

  ExampleRun& launch(const std::string& outcome) {
    LaunchRow launch;
    launch.cell_key = "k1";
    launch.number = static_cast<int>(data.launches.size()) + 1;
    launch.outcome = outcome;
    launch.seconds = 2;
    if (outcome == "KERNEL_CRASH") {
      launch.phase = "prefill: needle/c0";
      launch.signal = 11;
      launch.message = "killed by SIGSEGV";
      launch.log_tail = "the last words";
    }
    data.launches.push_back(launch);
    return *this;
  }

  ExampleRun& sample(const std::string& metric, double value) {
    data.launch_samples.push_back(
        {"k1", static_cast<int>(data.launches.size()), {metric, value, 1.0, ""}});
    return *this;
  }

  /// An attempt at case c<i>; `grade` "" = not graded; the score "exact" has `value`.
  StoredAttempt& attempt(int i, const std::string& grade, double value = 1, int number = 1) {
    StoredAttempt attempt;
    static_cast<AttemptRow&>(attempt) = example_attempt("k1", "needle", "c" + std::to_string(i));
    attempt.id = static_cast<int64_t>(data.attempts.size()) + 1;
    attempt.number = number;
    if (!grade.empty()) {
      attempt.score.emplace();
      attempt.score->attempt_id = attempt.id;
      attempt.score->grade = grade;
      attempt.score->explanation = "why " + grade;
      if (grade != "invalid") attempt.score->values = {{"exact", value}, {"near", 0}};
    }
    data.attempts.push_back(attempt);
    return data.attempts.back();
  }

  /// The same rows in a store.
  void write(Store& store) const {
    store.add_run(data.run, data.cells);
    for (const LaunchRow& launch : data.launches) {
      std::vector<probes::Sample> samples;
      for (const LaunchSample& s : data.launch_samples) {
        if (s.launch == launch.number && s.cell_key == launch.cell_key) samples.push_back(s.sample);
      }
      store.add_launch(data.run.id, launch, samples);
    }
    for (const StoredAttempt& attempt : data.attempts) {
      store.add_attempt(data.run.id, attempt, attempt.score);
    }
  }

  RunData data;
};

}  // namespace ds4::reports
