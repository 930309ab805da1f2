// The raw times of one load: every request of one group of one launch, as the store has them.
// Nothing here is an average; conventions.h and steady.h compute from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"

namespace ds4::reports {

struct LoadRequest {
  int64_t attempt_id = 0;
  bool ok = false;  // answered; else it counts as offered and nowhere else
  /// Seconds since the group began.
  double scheduled_s = 0, sent_s = 0;
  double dispatch_lag_s = 0;
  std::vector<EventRow> events;  // pieces that arrived; times since it was sent
  double end_s = 0;              // since it was sent
  int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  std::optional<bool> correct;  // by its grade; none without a verdict

  /// Of the first piece that has a token, and of the last piece; -1 = none came.
  double first_token_s() const;
  double last_event_s() const { return events.empty() ? -1 : events.back().time_s; }
  bool timed() const { return ok && first_token_s() >= 0; }
};

struct LoadTrace {
  std::string cell_key, suite;
  std::string way, level;  // "concurrency", "4", or "rate", "0.5": the tag and its value
  int launch = 0;
  bool valid_launch = true;           // run_data.h: invalid_launches()
  std::vector<LoadRequest> requests;  // as they were due

  double offered_level() const;
  /// From the beginning to the end of the last request.
  double duration_s() const;
};

/// Without warm-ups and without what was cancelled; levels rising within a suite and launch.
std::vector<LoadTrace> load_traces(const RunData& run);

/// What a request must keep to be good; of the profile's suite section.
struct Slo {
  std::optional<double> ttft_s, tpot_s, e2el_s;
  bool any() const { return ttft_s || tpot_s || e2el_s; }
  bool kept(double ttft, double tpot, double e2el) const;
};

/// Of a suite of a cell, as the stored settings have it; none where they tell nothing.
Slo slo_of(const CellRow& cell, const std::string& suite);

}  // namespace ds4::reports
