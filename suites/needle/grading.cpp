#include "suites/needle/grading.h"

#include <nlohmann/json.hpp>

#include "suites/common/answers.h"
#include "suites/needle/codes.h"

namespace ds4::suites {
namespace {

using Kind = CodeMatch::Kind;

// Version 1 had one value.
Hidden read_hidden(std::string_view expected) {
  const auto json = nlohmann::json::parse(expected);
  Hidden out;
  out.values = json.contains("values") ? json.at("values").get<std::vector<std::string>>()
                                       : std::vector<std::string>{json.at("value")};
  json.at("others").get_to(out.others);
  out.prolonged = json.value("prolonged", false);
  return out;
}

std::string edits(int64_t count) {
  return std::to_string(count) + (count == 1 ? " edit" : " edits");
}

std::string wanted_in_words(const Hidden& hidden) {
  if (hidden.values.size() == 1) return hidden.values[0];
  return "the " + std::to_string(hidden.values.size()) + " values";
}

std::string explain(const CodeMatch& match, const Hidden& hidden, std::string_view text) {
  const std::string wanted = wanted_in_words(hidden);
  const bool single = hidden.values.size() == 1;
  const std::string share = single ? "" : " " + std::to_string(match.n_exact) + " stand there.";
  switch (match.kind) {
    case Kind::kExact:
      return "The answer gives " + wanted + " and no other fact's value.";
    case Kind::kNearMiss:
      return "The nearest " + std::string(single ? "value" : "values") + " in the answer, " +
             match.found + (single ? ", is " : ", are up to ") + edits(match.distance) +
             " away from " + wanted + "." + share;
    case Kind::kConfused:
      return "The answer gives " + match.found + ", the value of another fact; " + wanted +
             (single ? " was asked." : " were asked." + share);
    case Kind::kAbsent:
      break;
  }
  if (trim(text).empty()) return "The answer is empty.";
  return "No token of the answer is within " + edits(near_miss_limit(hidden.values[0])) + " of " +
         (single ? wanted : "some of " + wanted) + "." + share;
}

}  // namespace

Score grade_needle(std::string_view expected, const Answer& answer) {
  const Hidden hidden = read_hidden(expected);
  const std::string_view text = visible_answer(answer);
  const CodeMatch match = match_codes(text, {hidden.values, hidden.others, hidden.prolonged});
  const bool open = match.kind == Kind::kAbsent || (match.kind != Kind::kExact && match.at_end);
  const bool expected_cut =
      hidden.prolonged && answer.finish_reason == "length" && !trim(text).empty();
  if (was_cut(answer) && open && !expected_cut) {
    return invalid_score(answer,
                         hidden.values.size() == 1 ? "a value was given" : "the values were given");
  }
  Score score;
  score.grade = match.kind == Kind::kExact ? Grade::kCorrect : Grade::kWrong;
  score.values = {{"exact", as_value(match.kind == Kind::kExact)},
                  {"found", share_found(text, hidden.values)},
                  {"near_miss", as_value(match.kind == Kind::kNearMiss)},
                  {"confused", as_value(match.kind == Kind::kConfused)},
                  {"absent", as_value(match.kind == Kind::kAbsent)}};
  score.extracted = match.found;
  score.explanation = explain(match, hidden, text);
  return score;
}

}  // namespace ds4::suites
