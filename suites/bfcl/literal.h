// Values written in Java or JavaScript inside a JSON string, as models give them for rows of those
// languages: `5L`, `true`, `new int[]{1, 2}`, `Arrays.asList("a")`, `{key: 'value'}`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ds4::suites::bfcl {

/// The value that the text writes; the text itself, as a string, when it is no literal (a name of a
/// variable, say). Java's `new HashMap<>() {{ put(k, v); }}` becomes an object. Nesting is bounded.
nlohmann::json read_literal(std::string_view text);

}  // namespace ds4::suites::bfcl
