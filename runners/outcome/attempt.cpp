#include "runners/outcome/attempt.h"

#include <algorithm>
#include <array>

#include "engine/base/hash.h"
#include "runners/outcome/garbled.h"
#include "runners/scoring.h"
#include "suites/common/answers.h"
#include "suites/common/garble.h"

namespace ds4::runners::outcome {
namespace {

// A template's first tokens may always be shared; more than a twentieth of the prompt may not.
constexpr int64_t kColdShare = 20;
constexpr size_t kMostCanaries = 256;

double value_of(const reports::ScoreRow& score, const char* name, double otherwise) {
  const auto found = score.values.find(name);
  return found == score.values.end() ? otherwise : found->second;
}

AttemptFinding without_answer(const reports::AttemptRow& attempt, Failure failure) {
  if (attempt.status == "cancelled") return {"interrupted", ""};
  switch (failure) {
    case Failure::kBroken:
      return {"STREAM_BROKEN", ""};
    case Failure::kLate:
      return {"TIMEOUT", ""};
    case Failure::kRefused:
    case Failure::kNone:
      break;
  }
  return {"API_ERROR", ""};
}

// A call that is there and off its schema, or one that was begun and never parsed.
bool off_schema(const std::vector<suites::Turn>& turns, const reports::ScoreRow& score) {
  if (value_of(score, "schema_valid", 1) != 0) return false;
  return std::ranges::any_of(turns, [](const suites::Turn& turn) {
    return !turn.answer.tool_calls.empty() ||
           !suites::leaked_marker(visible_answer(turn.answer)).empty();
  });
}

}  // namespace

AttemptFinding classify_attempt(const reports::AttemptRow& attempt,
                                const std::optional<reports::ScoreRow>& score,
                                const AttemptWitness& witness) {
  if (attempt.status != "ok") return without_answer(attempt, witness.failure);
  if (!witness.leak.empty()) {
    return {"CACHE_LEAK", "the answer holds \"" + suites::printable(witness.leak) +
                              "\", which another prompt of this launch had"};
  }
  if (witness.unlike_cold) {
    return {"CACHE_CORRUPTION", "with " + std::to_string(attempt.cached_tokens) +
                                    " prompt tokens from the cache the answer is another one"};
  }
  if (!witness.grader_error.empty()) {
    return {"HARNESS_ERROR", "the scorer failed: " + witness.grader_error};
  }
  if (witness.cold && attempt.cached_tokens * kColdShare > attempt.prompt_tokens) {
    return {"CONTAMINATED", std::to_string(attempt.cached_tokens) +
                                " prompt tokens of a cold test came from a cache"};
  }
  if (!witness.doubt.empty()) return {"MISCOUNTED", witness.doubt};
  if (!score || score->grade == "correct") return {"ok", ""};

  const std::vector<suites::Turn> turns = stored_turns(attempt);
  const suites::Answer& answer = turns.back().answer;
  if (off_schema(turns, *score)) return {"TOOL_SCHEMA", ""};
  const suites::GarbleValues features = garble_of(attempt);
  const std::string garbled = suites::garble_reason(features);
  // Nothing at all has classes of its own, below.
  const bool is_empty = is_garbled(suites::GarbleFeature::kEmpty,
                                   features[static_cast<size_t>(suites::GarbleFeature::kEmpty)]);
  if (!garbled.empty() && !is_empty) return {"GARBLED", garbled};
  if (score->grade == "invalid" && answer.finish_reason == "length") {
    return {"TRUNCATED_BY_BUDGET", ""};
  }
  if (suites::trim(visible_answer(answer)).empty() && answer.tool_calls.empty()) {
    const int64_t tokens = attempt.exchanges.empty() ? attempt.completion_tokens
                                                     : attempt.exchanges.back().completion_tokens;
    return {"EMPTY_CONTENT", std::to_string(tokens) + " tokens and nothing to read"};
  }
  if (score->grade == "invalid") return {"API_ERROR", "the target ended the answer with an error"};
  return {value_of(*score, "near_miss", 0) > 0 ? "NEAR_MISS" : "WRONG_ANSWER", ""};
}

bool follows_from_rows(std::string_view outcome) {
  static constexpr std::array<std::string_view, 9> kGraded = {
      "",          "ok",          "GARBLED",      "TRUNCATED_BY_BUDGET", "EMPTY_CONTENT",
      "NEAR_MISS", "TOOL_SCHEMA", "WRONG_ANSWER", "HARNESS_ERROR"};
  return std::find(kGraded.begin(), kGraded.end(), outcome) != kGraded.end();
}

void CacheWitness::sent(const std::vector<std::string>& canaries) {
  canaries_.insert(canaries_.end(), canaries.begin(), canaries.end());
  while (canaries_.size() > kMostCanaries) canaries_.pop_front();
}

void CacheWitness::look(const reports::AttemptRow& attempt, bool greedy, AttemptWitness& witness) {
  if (attempt.status != "ok") return;
  for (const std::string& canary : canaries_) {
    if (attempt.text.find(canary) != std::string::npos &&
        attempt.prompt.find(canary) == std::string::npos) {
      witness.leak = canary;
    }
  }
  if (!greedy) return;
  const std::string hash = sha256_hex(attempt.prompt), answer = sha256_hex(attempt.text);
  if (attempt.cached_tokens == 0) {
    const auto [cold, is_new] = cold_.try_emplace(hash, Cold{answer, true});
    // A target that gives two answers without a cache may give a third one with it.
    cold->second.steady = cold->second.steady && (is_new || cold->second.answer == answer);
  } else if (const auto cold = cold_.find(hash); cold != cold_.end()) {
    witness.unlike_cold = cold->second.steady && cold->second.answer != answer;
  }
}

}  // namespace ds4::runners::outcome
