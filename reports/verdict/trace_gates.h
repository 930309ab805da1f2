// Gates on what two runs' traces say of each other (docs/traces.md). They are held by the point
// estimate, as bounds of one run are.
#pragma once

#include "reports/verdict/verdict.h"

namespace ds4::reports {

/// Decides a relative result whose figure is one of probes::kTraceMetrics; always gives a reason.
void judge_traces(GateResult& result, const BaselineComparison& baseline);

}  // namespace ds4::reports
