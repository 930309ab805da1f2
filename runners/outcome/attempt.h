// The class of one attempt, from what is stored of it and what its worker saw besides.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/store/store.h"
#include "runners/targets/target.h"
#include "suites/suite.h"

namespace ds4::runners::outcome {

/// What the rows do not hold. Of a stored attempt (rescore) nothing of it is known any more.
struct AttemptWitness {
  Failure failure = Failure::kNone;  // why there is no answer
  std::string grader_error = {};     // what the scorer threw
  std::string leak = {};             // a canary of another prompt that the answer holds
  bool unlike_cold = false;          // the same prompt had another answer without the cache
  bool cold = false;                 // Case::cold
  std::string doubt = {};            // Response::doubt
};

struct AttemptFinding {
  std::string outcome;  // a class of reports/outcomes
  std::string note;     // why, where neither error nor grading says it
};

/// An answer that is graded correct is "ok" unless the witness speaks against it; the features of
/// garbled text are looked at only in the others.
AttemptFinding classify_attempt(const reports::AttemptRow& attempt,
                                const std::optional<reports::ScoreRow>& score,
                                const AttemptWitness& witness);

/// True when a class follows from the stored rows alone, so that grading again decides it anew.
bool follows_from_rows(std::string_view outcome);

/// What a worker remembers of earlier cases to tell corruption and leaks of a prompt cache.
class CacheWitness {
 public:
  /// Remembers the canaries of a prompt that is sent: its neighbours may be answered before it.
  void sent(const std::vector<std::string>& canaries);
  /// Compares an answer with those before it and remembers it. `greedy`: equal prompts must give
  /// equal answers.
  void look(const reports::AttemptRow& attempt, bool greedy, AttemptWitness& witness);

 private:
  struct Cold {
    std::string answer;  // its hash
    bool steady = true;  // every uncached answer was this one
  };
  std::map<std::string, Cold> cold_;  // by the prompt's hash
  std::deque<std::string> canaries_;  // of prompts that were sent, the newest last
};

}  // namespace ds4::runners::outcome
