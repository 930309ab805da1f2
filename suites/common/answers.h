// What every scorer needs first: which text is the answer, was it cut, and a form of it that is
// safe to store and print. Model output is untrusted: any bytes, any size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites {

/// The part meant for the reader: `content`; the raw text only when the target took nothing apart.
/// Reasoning is never searched for an answer.
std::string_view visible_answer(const Answer& answer);

/// The response ended for lack of budget (finish reason "length") or by a failure of the target.
bool was_cut(const Answer& answer);

/// The score of an answer that allows no verdict: kInvalid without values. `what` completes
/// "Cut by the token limit before ..." (or "The target reported an error before ...").
Score invalid_score(const Answer& answer, std::string_view what);

/// One 0/1 value as double.
constexpr double as_value(bool holds) {
  return holds ? 1.0 : 0.0;
}

/// Valid UTF-8 of at most `max_bytes` (then "..." is appended): invalid bytes become U+FFFD and
/// control characters spaces, so that it can stand in a sentence and in JSON.
std::string printable(std::string_view text, size_t max_bytes = 200);

/// Length of the valid UTF-8 sequence at the front of a text that is not empty, 0 when there is
/// none.
size_t utf8_length(std::string_view text);

/// Without leading and trailing ASCII white space.
std::string_view trim(std::string_view text);

/// ASCII lower case; other bytes stay.
std::string lower_case(std::string_view text);

/// Lower case, every run of white space, punctuation and Markdown marks one space, trimmed:
/// "**Paris!**\n" -> "paris". Bytes above 127 stay.
std::string normalise_words(std::string_view text);

/// True when `phrase` occurs in `text` between word boundaries (neighbours are not alphanumeric).
bool contains_words(std::string_view text, std::string_view phrase);

/// Special-token text or DSML syntax that must never reach a reader; empty when there is none.
std::string_view leaked_marker(std::string_view text);

/// The value of a line "LABEL: value" (label in any case, Markdown marks around it allowed), the
/// last such line; nullopt when there is none.
std::optional<std::string> labelled_field(std::string_view text, std::string_view label);

}  // namespace ds4::suites
