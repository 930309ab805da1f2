// The kinds of error of the long-code suite, and single functions as the default checkpoint was
// trained on, sound or with one error, from functions.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites {

enum class Defect {
  kNone,
  kPastEnd,     // a loop runs one element too far
  kSkipsFirst,  // a loop leaves out the first element
  kStopsEarly,  // a loop leaves out the last element
  kSliceEnd,    // a slice or copy leaves out its last element
  kSizeIndex,   // the element behind the last one is read
};

/// "none", "past_end", "skips_first", "stops_early", "slice_end", "size_index", as the enum.
const std::vector<std::string>& defect_names();
Defect defect_from_name(const std::string& name);

/// "c" and "python".
const std::vector<std::string>& code_languages();

struct Function {
  std::string name;
  std::string source;
};

/// One function; the defect is one of the first three. `number` > 0 makes the name unique in a file
/// ("sum_items_017"); 0 leaves it bare.
Function random_function(Rng& rng, const std::string& language, Defect defect, int64_t number);

/// "name" when `identifier` is a name random_function() could have given, numbered or not.
bool is_function_name(std::string_view identifier);

/// Phrases of functions.json: "questions", or "claims" by kind ("past_end", ..., "mentions").
const std::vector<std::string>& code_questions();
const std::vector<std::string>& claim_phrases(const std::string& kind);

}  // namespace ds4::suites
