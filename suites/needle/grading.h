// Grades an answer of the needle suite against what was hidden.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites {

/// What a case keeps for its scorer beside the prompt, as JSON.
struct Hidden {
  std::vector<std::string> values;  // asked for
  std::vector<std::string> others;  // of other facts in the text
  bool prolonged = false;           // the answer was not allowed to end by itself
};

/// Grades by `expected`, the JSON of Case::expected. Cut before the values were given is invalid;
/// a prolonged answer is judged by its first values, and is cut always.
Score grade_needle(std::string_view expected, const Answer& answer);

}  // namespace ds4::suites
