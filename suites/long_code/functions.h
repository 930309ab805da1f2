// Writes the functions of the long-code suite, sound or with one planted error, from
// functions.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites {

enum class Defect { kNone, kPastEnd, kSkipsFirst };

/// "none", "past_end", "skips_first", in the order of the enum.
const std::vector<std::string>& defect_names();
Defect defect_from_name(const std::string& name);

/// "c" and "python".
const std::vector<std::string>& code_languages();

struct Function {
  std::string name;
  std::string source;
};

/// One function. `number` > 0 makes the name unique in a file ("sum_items_017"); 0 leaves it bare.
Function random_function(Rng& rng, const std::string& language, Defect defect, int64_t number);

/// "name" when `identifier` is a name random_function() could have given, numbered or not.
bool is_function_name(std::string_view identifier);

/// Phrases of functions.json: "questions", or "claims" by kind ("past_end", ..., "mentions").
const std::vector<std::string>& code_questions();
const std::vector<std::string>& claim_phrases(const std::string& kind);
std::string instructed_question(int64_t functions);
const std::string& instructed_answer();

}  // namespace ds4::suites
