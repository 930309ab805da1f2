#include "reports/compare/lines.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "probes/metric.h"
#include "reports/figures/figure.h"
#include "reports/stats/ranks.h"

namespace ds4::reports {
namespace {

// The smallest p that Mann and Whitney's test can give for n and m values.
double least_p(size_t n, size_t m) {
  const double a = static_cast<double>(n), b = static_cast<double>(m);
  return 2 * std::exp(std::lgamma(a + 1) + std::lgamma(b + 1) - std::lgamma(a + b + 1));
}

void add_samples(Comparison& result, const CellPair& pair, const std::string& suite,
                 const probes::Metric& metric, Launches base, Launches now) {
  if (base.empty() || now.empty()) return;
  const CompareSettings& settings = result.settings;
  SampleChange line;
  line.cell = pair.label();
  line.suite = suite;
  line.metric = metric.name;
  line.unit = metric.unit;
  line.base = *median(pooled(base));
  line.now = *median(pooled(now));
  if (line.base > 0) line.change = line.now / line.base - 1;
  if (const auto ratio =
          launch_ratio_interval(base, now, {settings.launch_noise, settings.alpha})) {
    line.interval = Interval{ratio->lo - 1, ratio->hi - 1};
  }
  line.measured_noise = base.size() > 1 && now.size() > 1;
  line.base_launches = std::move(base);
  line.now_launches = std::move(now);
  line.test.p = sample_test(line.base_launches, line.now_launches, settings.launch_noise, 1);
  // Of values that may be 0 no ratio can be tested: they are described.
  line.test.counted = line.interval && least_p(line.n_base(), line.n_now()) <= settings.alpha;
  result.samples.push_back(std::move(line));
}

std::set<std::string> answered(const RunData& run, const std::string& cell_key,
                               const std::string& suite) {
  std::set<std::string> ids;
  for (const StoredAttempt& attempt : run.attempts.of(cell_key)) {
    if (attempt.suite == suite && attempt.status == "ok") {
      ids.insert(attempt.case_id);
    }
  }
  return ids;
}

Launches values_of(const std::map<int, double>& by_launch) {
  Launches values;
  for (const auto& [launch, value] : by_launch) values.push_back({value});
  return values;
}

}  // namespace

std::set<std::string> shared_cases(const RunData& base, const std::string& base_key,
                                   const RunData& now, const std::string& now_key,
                                   const std::string& suite) {
  const std::set<std::string> before = answered(base, base_key, suite);
  const std::set<std::string> after = answered(now, now_key, suite);
  std::set<std::string> shared;
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                        std::inserter(shared, shared.end()));
  return shared;
}

Launches attempt_values(const RunData& run, const std::string& cell_key, const std::string& suite,
                        const std::string& metric, const std::set<std::string>& shared) {
  std::map<std::string, std::vector<int>> launches_of;  // case -> those that answered it, in order
  Launches values;
  for (const StoredAttempt* attempt : timed_attempts(run, cell_key)) {
    if (attempt->suite != suite || !shared.contains(attempt->case_id)) continue;
    std::vector<int>& seen = launches_of[attempt->case_id];
    auto place = std::find(seen.begin(), seen.end(), attempt->launch);
    if (place == seen.end()) place = seen.insert(seen.end(), attempt->launch);
    const auto repeat = static_cast<size_t>(place - seen.begin());
    const auto value = attempt_metric(*attempt, metric);
    if (!value) continue;
    if (values.size() <= repeat) values.resize(repeat + 1);
    values[repeat].push_back(*value);
  }
  std::erase_if(values, [](const auto& launch) { return launch.empty(); });
  return values;
}

std::vector<double> pooled(const Launches& launches) {
  std::vector<double> all;
  for (const auto& values : launches) all.insert(all.end(), values.begin(), values.end());
  return all;
}

size_t SampleChange::n_base() const {
  return pooled(base_launches).size();
}

size_t SampleChange::n_now() const {
  return pooled(now_launches).size();
}

double sample_test(const Launches& base, const Launches& now, double launch_noise, double ratio) {
  std::vector<double> reference = pooled(base);
  for (double& value : reference) value *= ratio;
  const double among_samples = mann_whitney(reference, pooled(now)).p;
  const auto among_launches = launch_test(base, now, {launch_noise}, ratio);
  return among_launches ? std::max(among_samples, among_launches->p) : among_samples;
}

size_t add_suite(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair,
                 const std::string& suite) {
  const std::set<std::string> before = answered(base, pair.base.key, suite);
  const std::set<std::string> after = answered(now, pair.now.key, suite);
  const std::set<std::string> shared = shared_cases(base, pair.base.key, now, pair.now.key, suite);
  for (const auto& [side, word] : {std::pair{&before, "base"}, std::pair{&after, "new"}}) {
    // An outcome that says so for all of them is not followed by each.
    const Change failed_there = side == &before ? Change::kRegression : Change::kImprovement;
    if (std::any_of(result.endings.begin(), result.endings.end(), [&](const Ending& ending) {
          return ending.cell == pair.label() && ending.change == failed_there;
        })) {
      continue;
    }
    for (const std::string& id : *side) {
      if (!shared.contains(id)) {
        result.not_compared.push_back(suite + "/" + id + ": answered only in " + word);
      }
    }
  }
  for (const probes::Metric& metric : probes::all_metrics()) {
    if (!metric.of_attempt || metric.direction == probes::Direction::kNeither) continue;
    const std::string name(metric.name);
    add_samples(result, pair, suite, metric,
                attempt_values(base, pair.base.key, suite, name, shared),
                attempt_values(now, pair.now.key, suite, name, shared));
  }
  return shared.size();
}

void add_scores(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair,
                const std::string& suite, const std::vector<std::string>& scores) {
  const double alpha = result.settings.alpha;
  for (const std::string& score : scores) {
    auto difference =
        score_difference({base, pair.base.key}, {now, pair.now.key}, suite, score, alpha);
    if (!difference) continue;
    ScoreChange line{pair.label(), std::move(*difference), score == scores.front(), {}, {}};
    const Difference& d = line.difference;
    line.no_worse = paired_non_inferiority(d.change * static_cast<double>(d.n), d.sum_of_squares,
                                           d.n, result.settings.margin, alpha);
    line.test.p = d.test.exact_p;
    line.test.counted = line.headline && mcnemar(0, d.lost + d.gained).exact_p <= alpha;
    result.scores.push_back(std::move(line));
  }
}

void add_launches(Comparison& result, const RunData& base, const RunData& now,
                  const CellPair& pair) {
  for (const probes::Metric& metric : probes::all_metrics()) {
    if (metric.of_attempt || metric.direction == probes::Direction::kNeither) continue;
    const std::string name(metric.name);
    add_samples(result, pair, "", metric, values_of(launch_values(base, pair.base.key, name)),
                values_of(launch_values(now, pair.now.key, name)));
  }
}

}  // namespace ds4::reports
