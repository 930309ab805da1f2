// Word lists and sentence templates kept as data (JSON files embedded beside each suite), and the
// one function that turns a template into text. Which templates a suite has is the suite's
// business.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites {

/// Lists of words by name ("people", "cities", ...).
using Pools = std::map<std::string, std::vector<std::string>, std::less<>>;

/// suites/common/words.json, parsed once.
const Pools& word_pools();

/// The words of one list; a missing name is our bug.
const std::vector<std::string>& words(std::string_view pool);

using Bindings = std::map<std::string, std::string, std::less<>>;

/// Replaces every {slot} of `pattern`: a bound name by its value, a pool's name by a random word,
/// {2..99} by a random number, {code:4} by a random code of four characters. "{{" and "}}" stand
/// for braces. Unknown slots are our bug.
std::string fill_template(std::string_view pattern, const Bindings& bound, Rng& rng);

/// `length` random capital letters and digits without 0, 1, I and O (which readers confuse).
std::string random_code(Rng& rng, int64_t length);
std::string random_digits(Rng& rng, int64_t length);

}  // namespace ds4::suites
