// Model output, logs and names are untrusted data: what they become before they reach a page or a
// terminal. Every renderer passes every text through here.
#pragma once

#include <string>
#include <string_view>

namespace ds4::reports {

/// Valid UTF-8 in which nothing acts: bytes that are not UTF-8 become U+FFFD; control characters
/// (terminal escapes too) become their visible pictures, except line feed and tab; characters that
/// reorder or hide text are written as <U+202E>.
std::string clean_text(std::string_view text);

/// clean_text(), on one line: line feed and tab become visible as well.
std::string clean_line(std::string_view text);

/// clean_text() with & < > " ' as entities: safe in HTML text and in quoted attributes.
std::string escape_html(std::string_view text);

/// escape_html() for XML 1.0, which has no place for U+FFFE and U+FFFF either.
std::string escape_xml(std::string_view text);

/// clean_line() with everything escaped that Markdown or HTML inside it would interpret.
std::string escape_markdown(std::string_view text);

/// The text if it has at most `limit` bytes, else its head and tail with a note of what is left out
/// between them; never cuts a UTF-8 sequence.
std::string head_and_tail(std::string_view text, size_t limit);

}  // namespace ds4::reports
