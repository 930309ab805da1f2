#include "suites/common/rubric.h"

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "suites/common/answers.h"

namespace ds4::suites {

CommonParameters rubric_parameters(const ParameterReader& reader) {
  const CommonParameters common = common_parameters(reader);
  const int64_t least = common.thinking ? kRubricTokensThinking : kRubricTokens;
  reader.integer("max_tokens", {least, kMaxAnswerTokens, "tokens"});
  return common;
}

Score rubric_score(const std::vector<Field>& fields, std::string_view extracted) {
  DS4_CHECK(!fields.empty(), "a rubric without fields");
  Score score;
  size_t hits = 0;
  std::string misses;
  for (const Field& field : fields) {
    hits += field.hit ? 1 : 0;
    score.values[field.name] = as_value(field.hit);
    if (!field.hit) misses += (misses.empty() ? "" : "; ") + field.name + ": " + field.miss;
  }
  score.values["fields"] = static_cast<double>(hits) / static_cast<double>(fields.size());
  score.grade = hits == fields.size() ? Grade::kCorrect : Grade::kWrong;
  score.extracted = printable(extracted);
  score.explanation = std::to_string(hits) + " of " + std::to_string(fields.size()) + " fields";
  if (!misses.empty()) score.explanation += ". " + printable(misses, 700);
  score.explanation += ".";
  return score;
}

}  // namespace ds4::suites
