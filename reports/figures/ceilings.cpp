#include "reports/figures/ceilings.h"

#include <algorithm>

#include "probes/metric.h"
#include "probes/tagged.h"
#include "reports/stats/order_statistics.h"
#include "reports/stats/stats.h"

namespace ds4::reports {
namespace {

// The series of one attempt.
std::vector<ProbeSeries> series_of(const StoredAttempt& attempt) {
  std::vector<ProbeSeries> all;
  std::vector<std::vector<double>> kept, lost;
  for (const probes::Sample& sample : attempt.samples) {
    const probes::Tagged name = probes::read_tagged(sample.metric);
    if (name.of.empty() || !sample.phase.empty()) continue;  // of an answer, or of a step
    auto at = std::find_if(all.begin(), all.end(), [&](const ProbeSeries& s) {
      return s.metric == name.metric && s.of == name.of;
    });
    if (at == all.end()) {
      all.push_back({name.metric, name.of, 0, {}, 0, 0, attempt.id});
      kept.emplace_back();
      lost.emplace_back();
      at = all.end() - 1;
    }
    const auto place = static_cast<size_t>(at - all.begin());
    (name.discarded.empty() ? kept : lost)[place].push_back(sample.value);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].n = std::ssize(kept[i]);
    all[i].discarded = std::ssize(lost[i]);
    all[i].value = *median(kept[i].empty() ? lost[i] : kept[i]);
    all[i].interval = median_order_interval(kept[i]);
  }
  return all;
}

}  // namespace

std::vector<ProbeSeries> probe_series(const RunData& run, const std::string& cell_key) {
  std::vector<ProbeSeries> all;
  for (const StoredAttempt* attempt : timed_attempts(run, cell_key)) {
    if (attempt->suite != kProbeSuite) continue;
    if (attempt->score && attempt->score->grade != "correct") continue;
    for (ProbeSeries& series : series_of(*attempt)) {
      const auto same = std::find_if(all.begin(), all.end(), [&](const ProbeSeries& s) {
        return s.metric == series.metric && s.of == series.of;
      });
      if (same == all.end()) {
        all.push_back(std::move(series));
      } else {
        *same = std::move(series);
      }
    }
  }
  return all;
}

const ProbeSeries* best_series(const std::vector<ProbeSeries>& all, const std::string& metric,
                               const std::string& of) {
  const probes::Metric* known = probes::find_metric(metric);
  const bool low = known && known->direction == probes::Direction::kLowerIsBetter;
  const ProbeSeries* best = nullptr;
  for (const ProbeSeries& series : all) {
    if (series.metric != metric || !series.of.starts_with(of)) continue;
    if (!best || (low ? series.value < best->value : series.value > best->value)) best = &series;
  }
  return best;
}

std::optional<Figure> series_figure(const RunData& run, const Selection& selection,
                                    const std::string& metric) {
  const std::vector<ProbeSeries> all = probe_series(run, selection.cell_key);
  const ProbeSeries* best = best_series(all, metric);
  if (!best || best->n == 0) return std::nullopt;
  FigureData data;
  data.about = selection;
  data.name = metric;
  data.unit = probes::find_metric(metric)->unit;
  data.kind = FigureKind::kMedian;
  data.value = best->value;
  data.interval = best->interval;
  data.n = best->n;
  data.attempt_ids = {best->attempt_id};
  return Figure(std::move(data));
}

}  // namespace ds4::reports
