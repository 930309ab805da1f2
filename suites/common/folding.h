// Characters made comparable: lower case, accents off. For searching, never for showing.
#pragma once

#include <string>
#include <string_view>

namespace ds4::suites {

/// What a character is to a search.
enum class Folded { kWord, kSign, kBlank, kNothing, kClause, kSentence, kQuestion };

/// The character at the front of a text that is not empty. `out` gets what stands for it in a word
/// (kWord) or as a sign of its own (kSign); `length` is its length in bytes, 1 for one that is no
/// UTF-8. `before` is the character just before, `after` the text behind.
Folded fold_character(std::string_view text, char before, std::string& out, size_t& length);

}  // namespace ds4::suites
