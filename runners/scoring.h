// Grading a stored attempt: used by the worker right after an answer and by `rescore` years later,
// on exactly the same columns.
#pragma once

#include <string>
#include <vector>

#include "reports/store/store.h"
#include "suites/suite.h"

namespace ds4::runners {

/// The score of an attempt's stored columns. The suite's version is that of its definition.
reports::ScoreRow grade(const suites::Suite& suite, const reports::AttemptRow& attempt);

/// What was said in a case, as scorers see it, from the stored columns. At least one turn.
std::vector<suites::Turn> stored_turns(const reports::AttemptRow& attempt);

/// Tool calls as the store keeps them: a JSON array of {id, name, arguments}; arguments stay text.
std::string tool_calls_to_json(const std::vector<ToolCall>& calls);
std::vector<ToolCall> tool_calls_from_json(const std::string& json);

}  // namespace ds4::runners
