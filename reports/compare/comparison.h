// Two runs compared: what differs between them, and for every score, time and size whether it
// improved, regressed or cannot be told apart. docs/method.md explains the statistics.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/compare/environment.h"
#include "reports/compare/pairs.h"
#include "reports/compare/traces.h"
#include "reports/figures/difference.h"
#include "reports/stats/launches.h"
#include "reports/store/store.h"

namespace ds4::reports {

struct CompareSettings {
  double alpha = 0.05;   // chance that any of the comparison's regressions is a false alarm
  double margin = 0.02;  // a loss that does not matter: share of a score, share of a time or size
  double power = 0.8;    // with which the smallest detectable change would be found
  /// Spread between launches (LaunchSettings::noise) that is assumed where a side has one only.
  double launch_noise = 0.05;
};

enum class Change { kImprovement, kRegression, kNotSeparable };
const char* word(Change change);  // "improvement", "regression", "not separable"

/// What a line's test says within the whole comparison.
struct TestResult {
  double p = 1;                      // of this test alone
  bool counted = false;              // some outcome of so many values could have been significant
  double adjusted_p = 1;             // Holm, over the counted tests; 1 where not counted
  std::optional<double> detectable;  // smallest change found with the stated power, if any is
  Change change = Change::kNotSeparable;
};

/// A score over the cases that both runs have a verdict on.
struct ScoreChange {
  std::string cell;  // label
  Difference difference;
  /// The suite's first score. Others are described only: they sort the same answers
  /// once more, and not all of them are better when higher.
  bool headline = false;
  NonInferiority no_worse;
  TestResult test;  // exact McNemar
};

/// A metric by its raw samples: of the answers to cases that both runs answered, or of launches.
struct SampleChange {
  std::string cell, suite;  // suite "" = of the workers
  std::string metric, unit;
  Launches base_launches, now_launches;
  double base = 0, now = 0;          // medians of all their samples
  std::optional<double> change;      // now / base - 1, where base is above 0
  std::optional<Interval> interval;  // of the change
  bool measured_noise = false;  // both sides have several launches; else their spread is assumed
  TestResult test;              // sample_test()

  size_t n_base() const;
  size_t n_now() const;
};

/// Two-sided p that the samples differ by more than the ratio now / base says (1: at all). A change
/// must be shown twice: among the samples (Mann-Whitney, base times ratio) and among the launches
/// they come from (launch_test()); the larger p counts.
double sample_test(const Launches& base, const Launches& now, double launch_noise, double ratio);

/// All samples of all launches.
std::vector<double> pooled(const Launches& launches);

/// Cases that a cell answered in one run and not in the other, where its worker failed. Not a test:
/// a fact.
struct Ending {
  std::string cell;
  std::string kind;  // "out of memory", "killed by the guard", "does not fit", "skipped", "failed"
  std::string outcome, phase, message;  // of the launch or attempt that failed
  int n_cases = 0;
  Change change = Change::kRegression;  // or kImprovement: base failed
};

struct Comparison {
  CompareSettings settings;
  RunRow base, now;
  std::vector<EnvironmentDifference> environment;
  std::vector<std::string> not_compared;  // cells, suites and cases, each with the reason
  std::vector<Ending> endings;
  std::vector<ScoreChange> scores;
  std::vector<SampleChange> samples;
  std::vector<TraceChange> traces;  // described and left to gates: no test
  int n_tests = 0;  // counted ones

  int count(Change change) const;
  /// 1 with a regression, else 0.
  int exit_code() const { return count(Change::kRegression) > 0 ? 1 : 0; }
};

/// Compares two stored runs, which may lie in one database. Throws Error(kUsage) when there is no
/// such run or the two share no case.
Comparison compare_runs(Store& base_store, const std::string& base_id, Store& now_store,
                        const std::string& now_id, const CompareSettings& settings);

/// The part of it that tests: adds lines with their verdicts to `result`, whose settings it takes.
/// Cases of equal name must have equal prompts and graders (keep_comparable()). Returns how many
/// cases both answered.
size_t add_tests(Comparison& result, const RunData& base, const RunData& now,
                 const std::vector<CellPair>& pairs);

struct CheckList;

/// For a CI system: a check per tested line and per outcome that changed.
CheckList checks_of(const Comparison& comparison);

/// As Markdown, for a step summary or an issue.
std::string comparison_markdown(const Comparison& comparison);

/// As text for a terminal, and as one object, `"format": "ds4-compare-1"` (docs/schema.md).
std::string comparison_text(const Comparison& comparison, bool colour);
std::string comparison_json(const Comparison& comparison);

}  // namespace ds4::reports
