// What a response tells of tokens, as the store keeps it.
#pragma once

#include "reports/store/store.h"
#include "reports/trace/trace.h"
#include "runners/targets/target.h"

namespace ds4::runners {

/// The trace of a response; empty when it tells nothing.
reports::Trace trace_of(const Response& response);

/// Puts the trace of a case's first answer into its row, and what follows from it as samples:
/// `perplexity` and `perplexity_growth` of a prompt that was told of. Nothing of an empty one.
void record_trace(reports::AttemptRow& attempt, const Response& response);

}  // namespace ds4::runners
