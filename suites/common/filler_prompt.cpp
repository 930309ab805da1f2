#include "suites/common/filler_prompt.h"

#include "suites/common/rng.h"
#include "suites/needle/phrases.h"

namespace ds4::suites {

Haystack filler_prompt(uint64_t seed, int64_t tokens, bool thinking, const TokenCounter& counter) {
  Rng rng(seed);
  HaystackRequest request;
  request.opening = random_opening(rng);
  request.fact = random_filler_line(rng);
  request.closing = "\n\nGo on with this text.";
  request.tokens = tokens;
  request.thinking = thinking;
  request.seed = rng.next();
  return build_haystack(request, counter);
}

}  // namespace ds4::suites
