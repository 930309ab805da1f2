#include "runners/guard/replay.h"

#include <algorithm>

namespace ds4::runners::guard {

std::optional<Verdict> replay(const Trace& trace, const Limits& limits) {
  double end_s = -1;
  for (const TraceEvent& event : trace.events) {
    if (event.what == "ended" && end_s < 0) end_s = event.time_s;
  }
  History history;
  std::optional<Verdict> verdict;
  for (const Sample& sample : trace.samples) {
    if (end_s >= 0 && sample.time_s > end_s) break;
    history.push(sample);
    if (verdict && sample.readable()) {
      verdict->lowest_bytes = std::min(verdict->lowest_bytes, sample.available);
    }
    if (verdict && verdict->hard_rule) continue;
    const Decision decision = decide(history, limits, verdict ? verdict->time_s : -1);
    if (decision.stage == Stage::kNone) continue;
    if (!verdict) {
      verdict.emplace();
      verdict->rule = decision.rule;
      verdict->phase = sample.phase;
      verdict->time_s = sample.time_s;
      verdict->limit_bytes = limits.floor(sample.phase);
      verdict->value_bytes = verdict->lowest_bytes = sample.available;
      verdict->rate_bytes_s = decision.rate_bytes_s;
      verdict->sample = TraceWriter().line(sample);
    }
    if (decision.stage == Stage::kHard) {
      verdict->action = Action::kHard;
      verdict->hard_rule = decision.rule;
    }
  }
  if (verdict && end_s >= 0) verdict->reaction_s = end_s - verdict->time_s;
  return verdict;
}

}  // namespace ds4::runners::guard
