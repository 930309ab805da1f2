// Single attempts as text for the terminal: prompt, answer, extraction and the scorer's reasoning.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "reports/store/store.h"

namespace ds4::reports {

/// The attempts whose "suite/case" begins with `filter`. Without a filter one line each; with one,
/// prompt, answer and grading, long texts cut to head and tail unless `full`. "" when none matches.
std::string render_attempts(std::span<const StoredAttempt> attempts, std::string_view filter,
                            bool full);

/// What was said in a turn after the first: "[tool call_1]" and the text, message by message.
std::string said_text(const ExchangeRow& exchange);

}  // namespace ds4::reports
