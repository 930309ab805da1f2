#include "reports/figures/figure.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "probes/metric.h"
#include "reports/figures/ceilings.h"
#include "reports/figures/twins.h"
#include "reports/stats/bootstrap.h"

namespace ds4::reports {
namespace {

// The selected attempts that have an answer.
std::vector<const StoredAttempt*> select(const RunData& run, const Selection& selection) {
  std::vector<const StoredAttempt*> selected;
  for (const StoredAttempt& attempt : run.attempts.of(selection.cell_key)) {
    if (attempt.status == "ok" && selection.matches(attempt.suite, attempt.tags)) {
      selected.push_back(&attempt);
    }
  }
  return selected;
}

// One case of a score: the sum and number of its repeats that have a verdict.
struct CaseScores {
  double sum = 0;
  int64_t n_valid = 0;
};

using Cases = std::map<std::pair<std::string, std::string>, CaseScores>;  // by suite and id

// Repeats of a case are averaged first.
void use_share(FigureData& data, const Cases& cases) {
  data.unit = "";
  data.kind = FigureKind::kScore;
  for (const auto& [name, c] : cases) data.total += c.sum / static_cast<double>(c.n_valid);
  data.n = std::ssize(cases);
  data.value = data.total / static_cast<double>(data.n);
  data.interval = wilson_interval(data.total, data.n);
}

void use_median(FigureData& data, const std::vector<double>& values) {
  data.kind = FigureKind::kMedian;
  data.value = median(values);
  data.interval = bootstrap_median_interval(values);
  data.n = static_cast<int64_t>(values.size());
}

std::optional<Figure> launch_figure(const RunData& run, const Selection& selection,
                                    FigureData data) {
  const std::map<int, double> by_launch = launch_values(run, selection.cell_key, data.name);
  if (by_launch.empty()) return std::nullopt;
  std::vector<double> values;
  for (const auto& [launch, value] : by_launch) {
    data.launches.push_back(launch);
    values.push_back(value);
  }
  if (data.name.text().starts_with("peak_")) {
    data.kind = FigureKind::kMaximum;
    data.value = *std::max_element(values.begin(), values.end());
    data.n = static_cast<int64_t>(values.size());
  } else {
    use_median(data, values);
  }
  return Figure(std::move(data));
}

}  // namespace

Figure::Figure(FigureData data) : data_(std::move(data)) {
  DS4_CHECK(!data_.attempt_ids.empty() || !data_.launches.empty(),
            "figure `" + data_.name + "` has no rows behind it");
  DS4_CHECK(data_.value.has_value() == (data_.n > 0), data_.name);
}

std::map<int, double> launch_values(const RunData& run, const std::string& cell_key,
                                    const std::string& metric) {
  // Several samples of one launch (a reading per phase) are one reading.
  std::map<int, double> by_launch;
  const std::set<int> invalid = invalid_launches(run, cell_key);
  for (const LaunchSample& sample : run.launch_samples.of(cell_key)) {
    if (sample.sample.metric != metric) continue;
    if (invalid.contains(sample.launch)) continue;
    const auto [place, first] = by_launch.emplace(sample.launch, sample.sample.value);
    if (!first) place->second = std::max(place->second, sample.sample.value);
  }
  return by_launch;
}

bool is_launch_metric(const std::string& metric) {
  const probes::Metric* known = probes::find_metric(metric);
  return known && !known->of_attempt;
}

std::optional<double> attempt_metric(const AttemptRow& attempt, const std::string& metric) {
  if (attempt.first_token_s < 0) return std::nullopt;  // no token came
  if (metric == "ttft") return attempt.first_token_s;
  if (metric == "cached_share") {
    if (attempt.prompt_tokens <= 0) return std::nullopt;
    return static_cast<double>(attempt.cached_tokens) / static_cast<double>(attempt.prompt_tokens);
  }
  if (metric == "prefill_rate") {
    // Tokens taken from a cache were not computed; counting them would fake the rate.
    const int64_t computed = attempt.prompt_tokens - attempt.cached_tokens;
    if (computed <= 0 || attempt.first_token_s <= 0) return std::nullopt;
    return static_cast<double>(computed) / attempt.first_token_s;
  }
  if (metric == "decode_rate") {
    // From the first token to the last: the first arrives with the prefill, so it is not counted.
    if (attempt.events.size() < 2) return std::nullopt;
    const double duration = attempt.events.back().time_s - attempt.events.front().time_s;
    if (!(duration > 0)) return std::nullopt;
    int64_t tokens = 0;
    for (size_t i = 1; i < attempt.events.size(); ++i) tokens += attempt.events[i].n_tokens;
    return static_cast<double>(tokens) / duration;
  }
  for (const probes::Sample& sample : attempt.samples) {
    if (sample.metric == metric) return sample.value;
  }
  return std::nullopt;
}

std::optional<Figure> score_figure(const RunData& run, const Selection& selection,
                                   const std::string& score) {
  FigureData data;
  data.about = selection;
  data.name = score;
  Cases cases;
  for (const StoredAttempt* attempt : select(run, selection)) {
    if (!attempt->score) continue;
    const auto value = attempt->score->values.find(score);
    const bool invalid = attempt->score->grade == "invalid";
    // A score that does not apply to a case is absent from a valid answer.
    if (!invalid && value == attempt->score->values.end()) continue;
    CaseScores& c = cases[{attempt->suite, attempt->case_id}];
    if (!invalid) {
      c.sum += value->second;
      ++c.n_valid;
    }
    data.attempt_ids.push_back(attempt->id);
  }
  if (cases.empty()) return std::nullopt;
  for (const auto& [name, c] : cases) {
    if (c.n_valid == 0) {
      ++data.n_invalid;
      continue;
    }
    data.total += c.sum / static_cast<double>(c.n_valid);
    ++data.n;
  }
  if (data.n > 0) data.value = data.total / static_cast<double>(data.n);
  data.interval = wilson_interval(data.total, data.n);
  std::sort(data.attempt_ids.begin(), data.attempt_ids.end());
  return Figure(std::move(data));
}

std::optional<Figure> metric_figure(const RunData& run, const Selection& selection,
                                    const std::string& metric) {
  if (is_twin_metric(metric)) return twin_figure(run, selection, metric);
  FigureData data;
  data.about = selection;
  data.name = metric;
  const probes::Metric* known = probes::find_metric(metric);
  if (known) data.unit = known->unit;
  if (!known || is_launch_metric(metric)) {
    const bool probed = known && launch_values(run, selection.cell_key, metric).empty();
    return probed ? series_figure(run, selection, metric)
                  : launch_figure(run, selection, std::move(data));
  }
  std::vector<double> values;
  Cases by_case;
  for (const StoredAttempt* attempt : timed_attempts(run, selection.cell_key)) {
    if (!selection.matches(attempt->suite, attempt->tags)) continue;
    const std::optional<double> value = attempt_metric(*attempt, metric);
    if (!value) continue;
    values.push_back(*value);
    CaseScores& of_case = by_case[{attempt->suite, attempt->case_id}];
    of_case.sum += *value;
    ++of_case.n_valid;
    data.attempt_ids.push_back(attempt->id);
  }
  if (values.empty()) return std::nullopt;
  if (known && known->is_share) {
    use_share(data, by_case);
  } else {
    use_median(data, values);
  }
  return Figure(std::move(data));
}

std::optional<Figure> make_figure(const RunData& run, const Selection& selection,
                                  const std::string& name) {
  return probes::find_metric(name) ? metric_figure(run, selection, name)
                                   : score_figure(run, selection, name);
}

}  // namespace ds4::reports
