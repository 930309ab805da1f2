// Every load of a run with its figures, and whether they count.
#pragma once

#include <string>
#include <vector>

#include "reports/load/conventions.h"
#include "reports/load/steady.h"

namespace ds4::reports {

struct LoadSummary {
  std::string cell_key, suite;
  std::string way, level;  // LoadTrace
  int launch = 0;
  int64_t offered = 0, answered = 0;
  int64_t with_verdict = 0, correct = 0;  // of the answered
  int64_t cached = 0;                     // requests a part of whose prompt came from a cache
  LagCheck lag;
  bool valid_launch = true;
  std::optional<SteadyWindow> window;
  std::vector<LoadFigure> figures;
  bool is_knee = false;       // steady.h; among the levels of its suite, launch and way
  bool is_slo_point = false;  // the same
  bool has_slo = false;
  std::vector<int64_t> attempt_ids;

  /// What makes the figures void, or "".
  std::string invalid_reason() const;
};

std::vector<LoadSummary> summarise_loads(const RunData& run);

}  // namespace ds4::reports
