// How wide texts are on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace ds4::runners {

/// Columns a text takes: none of combining characters, two of wide ones, as the C library's
/// wcwidth() has it. The text is valid UTF-8 without controls (clean_line()).
int text_columns(std::string_view text);

/// The text, or what leaves room for "…" behind it in so many columns.
std::string cut_to_columns(std::string_view text, int columns);

/// The same with its beginning and its end and "…" between them.
std::string cut_in_middle(std::string_view text, int columns);

}  // namespace ds4::runners
