// Grading by named yes-or-no fields, so that a miss can be attributed. A suite decides the fields;
// here they become a score, the same way for every suite that has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "suites/common/parameters.h"
#include "suites/suite.h"

namespace ds4::suites {

struct Field {
  std::string name;  // one of the suite's scores
  bool hit = false;
  std::string miss = {};  // why not, without a final dot; untrusted text must be printable()
};

/// Tokens that answers graded by fields must have: with less, published runs lost fields to the
/// limit and called it ability.
inline constexpr int64_t kRubricTokens = 1024;
inline constexpr int64_t kRubricTokensThinking = 4096;

/// What `levels` may list.
inline const std::vector<std::string> kRubricLevels = {"easy", "medium", "hard"};

/// The common parameters, `max_tokens` held to these bounds. Throws Error(kProfile).
CommonParameters rubric_parameters(const ParameterReader& reader);

/// Correct when every field is hit. Values: `fields` = hit / all, and each field by its name. The
/// explanation names what is missed. `extracted` is what was looked at.
Score rubric_score(const std::vector<Field>& fields, std::string_view extracted);

}  // namespace ds4::suites
