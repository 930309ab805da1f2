// What the model thinks of tokens: log-probabilities of single tokens, of the likeliest, and of
// whole continuations. All are of the model's own distribution, softmax(logits): before bias,
// repetition controls, temperature and cuts, as OpenAI's API and vLLM report them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/api/session.h"

namespace ds4 {

struct TokenLogprob {
  TokenId token = 0;
  double logprob = 0;  // natural logarithm
};

/// ln p of each of `tokens` and of the `n_top` likeliest (falling, lower ids first on ties) under
/// logits [vocab], computed in double: x - max - ln sum exp(x - max). NaN logits count as -inf;
/// infinite ones share everything. Throws Error(kMachine) when no logit is above -inf.
struct Logprobs {
  std::vector<double> of;
  std::vector<TokenLogprob> top;
};
Logprobs log_probabilities(std::span<const float> logits, std::span<const TokenId> tokens,
                           int64_t n_top);

/// Exact log-likelihood of `continuation` behind `prompt`: ln p of each of its tokens given all
/// before it; their sum is that of the whole. Leaves the session's timeline at prompt plus
/// continuation. Throws like Session::extend_to.
std::vector<double> score_continuation(Session& session, std::span<const TokenId> prompt,
                                       std::span<const TokenId> continuation);

}  // namespace ds4
