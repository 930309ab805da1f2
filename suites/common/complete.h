// The score of suites that measure time: an answer is right when it has every token asked for.
#pragma once

#include <string>

#include "suites/common/answers.h"

namespace ds4::suites {

/// `complete` of an answer that was to have exactly `tokens` tokens, whatever they say.
inline Score complete_score(const Answer& answer, int64_t tokens) {
  Score score;
  score.grade = was_cut(answer) ? Grade::kCorrect : Grade::kWrong;
  score.values = {{"complete", as_value(was_cut(answer))}};
  score.extracted = answer.finish_reason;
  score.explanation = was_cut(answer) ? "The answer has its " + std::to_string(tokens) + " tokens."
                                      : "The answer ended before " + std::to_string(tokens) +
                                            " tokens: " + answer.finish_reason + ".";
  return score;
}

}  // namespace ds4::suites
