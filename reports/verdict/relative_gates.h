// Gates that hold a run against a baseline. They are judged together: Holm's adjustment is over all
// of them. The rule is written out in docs/gates.md.
#pragma once

#include <vector>

#include "reports/verdict/verdict.h"

namespace ds4::reports {

/// Decides every result that is marked `relative`; always gives a reason.
void judge_against_baselines(std::vector<GateResult>& results, const Baselines& baselines);

}  // namespace ds4::reports
