// Rewrites a regular expression of tokenizer.json so that PCRE2 gives its character classes the
// meaning that model.md 6.1 states: `\s` = Unicode White_Space, categories of Unicode 15.
// Not a parser: everything else passes unchanged.
#pragma once

#include <string>
#include <string_view>

namespace ds4::text {

/// The pattern for PCRE2 in UTF and UCP mode. Throws std::invalid_argument, with the reason as its
/// text, for class syntax that PCRE2 would silently read differently (nested classes, `&&`).
std::string to_pcre2_dialect(std::string_view pattern);

}  // namespace ds4::text
