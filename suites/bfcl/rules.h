// The leaderboard's rules for calls (evals.md 7.1): which value a parameter may have, whether a
// call is the wanted one, and whether a list of calls is. Greedy and particular as they are:
// published figures depend on that.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ds4::suites::bfcl {

/// The language a row's functions are written for; it names the types.
enum class Language { kPython, kJava, kJavaScript };

/// A call as it was made. Dots of a name may have become underscores.
struct Call {
  std::string name;
  std::string text;  // of the arguments: JSON
  /// Discarded (no object) where the text is no JSON.
  nlohmann::json arguments() const;
};

/// Empty when the calls are the wanted ones; else a clause that says what is not. `functions`: the
/// row's, as published; `wanted`: its key, a list of {NAME: {PARAMETER: [accepted values]}}, where
/// "" among the values means that the parameter may be absent. One wanted call is compared with one
/// made; several in any order, each with the first one that fits.
std::string problem(const std::vector<Call>& calls, const nlohmann::json& functions,
                    const nlohmann::json& wanted, Language language);

/// A function as an OpenAI server takes it: dots of its name become underscores, types become those
/// of JSON schema (dict: object; float, double: number; long, short, byte: integer; tuple, Array,
/// ArrayList: array; everything unknown: string).
nlohmann::ordered_json offered(const nlohmann::ordered_json& function);

/// Python's ==, by which accepted values are looked up: 1 == 1.0 == true.
bool equal(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace ds4::suites::bfcl
