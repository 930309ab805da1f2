// Single attempts and launches as text for the terminal: prompt, answer, extraction and the
// scorer's reasoning. Which of a run: show_run.h.
#pragma once

#include <span>
#include <string>

#include "reports/store/store.h"

namespace ds4::reports {

/// A line for each: "  suite/case  correct  explanation", aligned over all.
std::string attempt_lines(std::span<const StoredAttempt* const> attempts);

/// An attempt whose texts are loaded: prompt, answer, turns, grading. Long texts are cut to head
/// and tail unless `full`.
std::string attempt_text(const StoredAttempt& attempt, bool full);

/// How a launch ended, in a line; `with_log`: its message and its last log lines below.
std::string launch_text(const LaunchRow& launch, bool with_log, bool full);

/// What was said in a turn after the first: "[tool call_1]" and the text, message by message.
std::string said_text(const ExchangeRow& exchange);

}  // namespace ds4::reports
