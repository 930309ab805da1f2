// A figure: an aggregate with its interval, its n and the rows it was made from. A figure without
// such rows cannot be constructed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"
#include "reports/stats/stats.h"

namespace ds4::reports {

enum class FigureKind {
  kScore,    // mean over cases, each in [0, 1]
  kMedian,   // of a metric over attempts or launches
  kMaximum,  // of a metric over launches: peaks
};

struct FigureData {
  Selection about;
  Name name;  // a score or a metric
  Name unit;  // "" for scores
  FigureKind kind = FigureKind::kScore;
  std::optional<double> value;       // nothing when no case had a verdict
  std::optional<Interval> interval;  // 95 %; nothing where none can be stated
  int64_t n = 0;                     // cases with a verdict, attempts or launches
  int64_t n_invalid = 0;             // scores: cases whose answers allow no verdict
  double total = 0;                  // scores: sum over the n cases
  std::vector<int64_t> attempt_ids;  // ascending; also those that were invalid
  std::vector<int> launches;         // numbers, for metrics of a worker
};

/// Immutable. Construction checks that there are rows behind the number.
class Figure {
 public:
  explicit Figure(FigureData data);
  const FigureData* operator->() const { return &data_; }
  const FigureData& operator*() const { return data_; }

 private:
  FigureData data_;
};

/// Mean of a score over the selected cases: repeats of a case are averaged first, invalid answers
/// are counted and left out. Nothing when no selected attempt is graded or none has that score.
std::optional<Figure> score_figure(const RunData& run, const Selection& selection,
                                   const std::string& score);

/// A metric of probes/metric.h: medians over attempts (ttft, prefill_rate, decode_rate), or over
/// the launches of the cell (load_time, ...), or the largest (peak_memory), or of pairs of answers
/// (twins.h). Nothing without samples.
std::optional<Figure> metric_figure(const RunData& run, const Selection& selection,
                                    const std::string& metric);

/// Either of the two, by whether a metric has that name.
std::optional<Figure> make_figure(const RunData& run, const Selection& selection,
                                  const std::string& name);

/// The speed metrics of one attempt, as docs/glossary.md defines them, or a sample stored with it;
/// nothing where undefined. Whether it counts says timed_attempts().
std::optional<double> attempt_metric(const AttemptRow& attempt, const std::string& metric);

/// A worker's readings of a metric by the launch's number: the largest of each launch that
/// counts.
std::map<int, double> launch_values(const RunData& run, const std::string& cell_key,
                                    const std::string& metric);

/// True for metrics that belong to a worker process rather than to an attempt.
bool is_launch_metric(const std::string& metric);

}  // namespace ds4::reports
