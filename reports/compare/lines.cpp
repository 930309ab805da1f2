#include "reports/compare/lines.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "probes/metric.h"
#include "reports/figures/figure.h"
#include "reports/stats/bootstrap.h"
#include "reports/stats/ranks.h"

namespace ds4::reports {
namespace {

// The smallest p that Mann and Whitney's test can give for n and m values.
double least_p(size_t n, size_t m) {
  const double a = static_cast<double>(n), b = static_cast<double>(m);
  return 2 * std::exp(std::lgamma(a + 1) + std::lgamma(b + 1) - std::lgamma(a + b + 1));
}

void add_samples(Comparison& result, const CellPair& pair, const std::string& suite,
                 const probes::Metric& metric, std::vector<double> base, std::vector<double> now) {
  if (base.empty() || now.empty()) return;
  SampleChange line;
  line.cell = pair.label();
  line.suite = suite;
  line.metric = metric.name;
  line.unit = metric.unit;
  line.base = *median(base);
  line.now = *median(now);
  if (line.base > 0) line.change = line.now / line.base - 1;
  if (const auto ratio = bootstrap_median_ratio(base, now, result.settings.alpha)) {
    line.interval = Interval{ratio->lo - 1, ratio->hi - 1};
  }
  line.test.p = mann_whitney(base, now).p;
  line.test.counted = least_p(base.size(), now.size()) <= result.settings.alpha;
  line.base_samples = std::move(base);
  line.now_samples = std::move(now);
  result.samples.push_back(std::move(line));
}

// Raw values of a metric over the answers to the cases of `shared`.
std::vector<double> attempt_values(const RunData& run, const std::string& cell_key,
                                   const std::string& suite, const std::string& metric,
                                   const std::set<std::string>& shared) {
  std::vector<double> values;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key != cell_key || attempt.suite != suite || attempt.status != "ok") continue;
    if (!shared.contains(attempt.case_id)) continue;
    if (const auto value = attempt_metric(attempt, metric)) values.push_back(*value);
  }
  return values;
}

std::set<std::string> answered(const RunData& run, const std::string& cell_key,
                               const std::string& suite) {
  std::set<std::string> ids;
  for (const StoredAttempt& attempt : run.attempts) {
    if (attempt.cell_key == cell_key && attempt.suite == suite && attempt.status == "ok") {
      ids.insert(attempt.case_id);
    }
  }
  return ids;
}

std::vector<double> values_of(const std::map<int, double>& by_launch) {
  std::vector<double> values;
  for (const auto& [launch, value] : by_launch) values.push_back(value);
  return values;
}

}  // namespace

size_t add_suite(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair,
                 const std::string& suite) {
  const std::set<std::string> before = answered(base, pair.base.key, suite);
  const std::set<std::string> after = answered(now, pair.now.key, suite);
  std::set<std::string> shared;
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                        std::inserter(shared, shared.end()));
  for (const auto& [side, word] : {std::pair{&before, "base"}, std::pair{&after, "new"}}) {
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
