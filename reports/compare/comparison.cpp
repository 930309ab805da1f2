#include "reports/compare/comparison.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "probes/metric.h"
#include "reports/compare/endings.h"
#include "reports/compare/lines.h"
#include "reports/stats/holm.h"
#include "reports/stats/power.h"
#include "reports/verdict/verdict.h"

namespace ds4::reports {
namespace {

// Cases that one run could not grade: answered by both, with a verdict in one.
void name_without_verdict(Comparison& result) {
  const std::set<std::string> named(result.not_compared.begin(), result.not_compared.end());
  for (const ScoreChange& line : result.scores) {
    if (!line.headline) continue;
    const Difference& d = line.difference;
    for (const auto& [ids, word] :
         {std::pair{&d.only_reference, "base"}, std::pair{&d.only_value, "new"}}) {
      for (const std::string& id : *ids) {
        const std::string name = d.suite + "/" + id;
        if (named.contains(name + ": answered only in " + word)) continue;
        result.not_compared.push_back(name + ": has a verdict only in " + word);
      }
    }
  }
}

// Launches whose times are in no line.
void name_invalid_launches(Comparison& result, const RunData& run, const CellRow& cell,
                           const std::string& label, const std::string& side) {
  const std::set<int> invalid = invalid_launches(run, cell.key);
  for (const LaunchRow& launch : run.launches.of(cell.key)) {
    if (!invalid.contains(launch.number)) continue;
    result.not_compared.push_back((label.empty() ? "" : "cell " + label + ": ") + "times of " +
                                  side + "'s launch " + std::to_string(launch.number) + ": " +
                                  launch.outcome);
  }
}

Change change_of(bool significant, bool better) {
  if (!significant) return Change::kNotSeparable;
  return better ? Change::kImprovement : Change::kRegression;
}

// The verdicts, once all tests are known.
void decide(Comparison& result) {
  std::vector<TestResult*> tests;
  for (ScoreChange& line : result.scores) tests.push_back(&line.test);
  for (SampleChange& line : result.samples) tests.push_back(&line.test);
  std::erase_if(tests, [](const TestResult* test) { return !test->counted; });
  std::vector<double> p;
  for (const TestResult* test : tests) p.push_back(test->p);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (size_t i = 0; i < tests.size(); ++i) tests[i]->adjusted_p = adjusted[i];
  result.n_tests = static_cast<int>(tests.size());
  const CompareSettings& settings = result.settings;
  for (ScoreChange& line : result.scores) {
    // More cases won than lost although the mean fell, or the reverse, is no clear change.
    const Difference& d = line.difference;
    const bool significant = line.test.counted && line.test.adjusted_p <= settings.alpha &&
                             (d.gained > d.lost) == (d.change > 0);
    line.test.change = change_of(significant, d.gained > d.lost);
  }
  for (SampleChange& line : result.samples) {
    const bool significant =
        line.test.counted && line.test.adjusted_p <= settings.alpha &&
        // Shown, but too small to matter, is no verdict.
        (line.interval->lo > settings.margin || line.interval->hi < -settings.margin);
    const bool more_is_better =
        probes::find_metric(line.metric)->direction == probes::Direction::kHigherIsBetter;
    line.test.change = change_of(significant, more_is_better == (line.now > line.base));
  }
}

// The larger of what the samples and what the launches could have shown, since both must.
std::optional<double> detectable(const SampleChange& line, double launch_noise, double alpha,
                                 double power) {
  const auto of_samples = smallest_detectable_change(pooled(line.base_launches),
                                                     pooled(line.now_launches), alpha, power);
  const auto test = launch_test(line.base_launches, line.now_launches, {launch_noise});
  if (!of_samples || !test) return of_samples;
  return std::max(*of_samples, smallest_detectable_change(*test, alpha, power));
}

// What the comparison could have found, at the level that Holm asks of its smallest p.
void add_detectable(Comparison& result) {
  const double alpha = result.settings.alpha / std::max(1, result.n_tests);
  const double power = result.settings.power;
  for (ScoreChange& line : result.scores) {
    const Difference& d = line.difference;
    const double differing = static_cast<double>(d.lost + d.gained) / static_cast<double>(d.n);
    line.test.detectable = smallest_detectable_difference(d.n, differing, alpha, power);
  }
  for (SampleChange& line : result.samples) {
    line.test.detectable = detectable(line, result.settings.launch_noise, alpha, power);
  }
}

// Score names of a suite, the headline first; nothing of a suite that the profile does not name.
std::vector<std::string> scores_of(const Judging& judging, const std::string& suite) {
  const auto found = judging.scores.find(suite);
  return found == judging.scores.end() ? std::vector<std::string>{} : found->second;
}

}  // namespace

const char* word(Change change) {
  switch (change) {
    case Change::kImprovement:
      return "improvement";
    case Change::kRegression:
      return "regression";
    case Change::kNotSeparable:
      return "not separable";
  }
  return "";
}

int Comparison::count(Change change) const {
  const auto is = [&](const auto& line) { return line.test.change == change; };
  return static_cast<int>(std::count_if(scores.begin(), scores.end(), is) +
                          std::count_if(samples.begin(), samples.end(), is) +
                          std::count_if(endings.begin(), endings.end(), [&](const Ending& ending) {
                            return ending.change == change;
                          }));
}

size_t add_tests(Comparison& result, const RunData& base, const RunData& now,
                 const std::vector<CellPair>& pairs) {
  const Judging judging = judging_of(now.run);
  size_t n_shared = 0;
  for (const CellPair& pair : pairs) {
    for (const std::string& suite : suites_of(now, pair.now.key)) {
      add_scores(result, base, now, pair, suite, scores_of(judging, suite));
      n_shared += add_suite(result, base, now, pair, suite);
    }
    add_launches(result, base, now, pair);
    name_invalid_launches(result, base, pair.base, pair.label(), "base");
    name_invalid_launches(result, now, pair.now, pair.label(), "new");
  }
  name_without_verdict(result);
  decide(result);
  add_detectable(result);
  return n_shared;
}

Comparison compare_runs(Store& base_store, const std::string& base_id, Store& now_store,
                        const std::string& now_id, const CompareSettings& settings) {
  RunData base = load_run(base_store, base_id, false), now = load_run(now_store, now_id, false);
  Comparison result;
  result.settings = settings;
  result.base = base.run;
  result.now = now.run;
  const std::vector<CellPair> pairs = pair_cells(base, now, result.not_compared);
  result.environment = environment_differences(base, now, pairs);
  for (const CellPair& pair : pairs) add_ending(result, base, now, pair);
  keep_comparable(base_store, base, now_store, now, pairs, result.not_compared);
  result.traces = compare_stored_traces(base_store, base, now_store, now, pairs);
  if (add_tests(result, base, now, pairs) == 0 && result.endings.empty()) {
    throw Error(ErrorCode::kUsage,
                "runs " + base.run.id + " and " + now.run.id + " share no case that both answered",
                "Compare runs of the same suites with the same parameters; `ds4-sweep show RUN` "
                "lists a run's cases.");
  }
  return result;
}

}  // namespace ds4::reports
