#include "runners/outcome/garbled.h"

#include <algorithm>

#include "runners/scoring.h"
#include "suites/common/answers.h"

namespace ds4::runners::outcome {
namespace {

constexpr const char* kPrefix = "garble_";

// What a reader gets, behind what was thought; the raw text may hold calls, in markers.
std::string words_of(const suites::Answer& answer) {
  std::string words = answer.reasoning;
  if (!words.empty()) words += "\n";
  return words.append(visible_answer(answer));
}

// Of the last turn, as the scorers see it.
suites::GarbleValues values_of(const reports::AttemptRow& attempt, const suites::Answer& answer,
                               const std::string& words, std::span<const double> logprobs) {
  const int64_t tokens = attempt.exchanges.empty() ? attempt.completion_tokens
                                                   : attempt.exchanges.back().completion_tokens;
  return suites::garble_values({attempt.prompt, words, tokens, answer.finish_reason == "length",
                                !answer.tool_calls.empty(), logprobs});
}

}  // namespace

suites::GarbleValues garble_of(const reports::AttemptRow& attempt) {
  const suites::Answer answer = stored_turns(attempt).back().answer;
  suites::GarbleValues values = values_of(attempt, answer, words_of(answer), {});
  for (const auto feature :
       {suites::GarbleFeature::kLogprob, suites::GarbleFeature::kWorstLogprob}) {
    const std::string name = kPrefix + std::string(suites::name_of(feature));
    const auto found = std::find_if(attempt.samples.begin(), attempt.samples.end(),
                                    [&](const auto& sample) { return sample.metric == name; });
    if (found != attempt.samples.end()) {
      values[static_cast<size_t>(feature)] = {found->value, 0};
    }
  }
  return values;
}

std::vector<probes::Sample> garble_samples(const reports::AttemptRow& attempt,
                                           std::span<const double> logprobs) {
  const suites::Answer answer = stored_turns(attempt).back().answer;
  const std::string words = words_of(answer);
  const suites::GarbleValues values = values_of(attempt, answer, words, logprobs);
  std::vector<probes::Sample> samples;
  for (size_t i = 0; i < suites::kGarbleFeatures; ++i) {
    if (!values[i].value) continue;
    const auto feature = static_cast<suites::GarbleFeature>(i);
    samples.push_back({kPrefix + std::string(name_of(feature)), *values[i].value, 0, ""});
  }
  const bool clean = suites::garble_signs(values).empty();
  samples.push_back({"clean", suites::as_value(clean), 0, ""});
  const int64_t onset = suites::garble_onset(values);
  if (onset >= 0) {
    // Bytes are not tokens: the place is by their share.
    const double share =
        words.empty() ? 0 : static_cast<double>(onset) / static_cast<double>(words.size());
    samples.push_back(
        {"garble_onset", share * static_cast<double>(attempt.completion_tokens), 0, ""});
  }
  return samples;
}

}  // namespace ds4::runners::outcome
