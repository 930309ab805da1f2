// How many tokens came when, and whether the counts a server states can be true. A stream says how
// many there were only at its end, and its pieces are not tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runners/openai/stream.h"

namespace ds4::runners::openai {

struct Tokens {
  double time_s = 0;
  int n = 1;
};

struct Timeline {
  std::vector<Tokens> tokens;  // none empty, in order
  int64_t total = 0;           // their sum
  bool stated = false;         // by the server; else pieces were counted
};

/// Spreads the stated count over the arrivals: as each states it, else one to each and the rest by
/// their bytes, the end token at the finish reason. Where there are more pieces than tokens some
/// have none. Reasoning that was counted and kept back belongs to the first.
Timeline timeline_of(const Answer& answer);

/// What was asked, for holding the counts against it.
struct Asked {
  int64_t max_tokens = 0;
  int64_t prompt_bytes = 0;     // texts of the messages and tools
  int64_t expected_prompt = 0;  // tokens by our own count; 0 = there is none
  bool exact = false;           // that count was the server's own before
};

/// Why a stated count cannot be true, in one sentence; "" when it can. Only what no tokenizer and
/// no template explains is called impossible: the bounds are in counts.cpp.
std::string doubt_of(const Answer& answer, const Asked& asked);

}  // namespace ds4::runners::openai
