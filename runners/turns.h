// The turns of a case: what is stored of an answer, and what of it is sent back to the target. What
// is said to it is the suite's business (Suite::reply).
#pragma once

#include <cstddef>

#include "reports/store/store.h"
#include "runners/targets/target.h"

namespace ds4::runners {

/// Fills in the answer, its counts and its times: of a case's first turn, and of a later one.
void record(reports::AttemptRow& attempt, const Response& response);
void record(reports::ExchangeRow& exchange, const Response& response);

/// Gives calls without an id one, "call_TURN_PLACE": results refer to it. `turn` counts from 1.
void give_ids(suites::Answer& answer, size_t turn);

/// The answer as a message of the conversation. Arguments that are no JSON object become {}, as
/// published harnesses do; servers and encoders refuse them otherwise.
ds4::Message assistant_message(const suites::Answer& answer);

}  // namespace ds4::runners
