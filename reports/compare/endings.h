// How launches ended, as far as comparisons and gates ask, and what a cell of one run still answers
// that the same cell of another did.
#pragma once

#include <string>
#include <string_view>

#include "reports/compare/comparison.h"
#include "reports/compare/pairs.h"

namespace ds4::reports {

/// Whether a gate `no = FORBIDDEN` ("oom", "watchdog", "failure", "invalid") forbids that a launch
/// ends in `outcome`. A kill in teardown comes after the work: it is flagged, not forbidden.
bool forbids(std::string_view forbidden, std::string_view outcome);

/// Names the cases that one run answered and the other did not because its worker failed.
void add_ending(Comparison& result, const RunData& base, const RunData& now, const CellPair& pair);

}  // namespace ds4::reports
