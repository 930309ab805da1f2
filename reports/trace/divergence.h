// How far two distributions of the next token lie apart, of each of which only the likeliest tokens
// are known. Pure functions of numbers; every bound is a bound for what could not be seen.
#pragma once

#include <span>

namespace ds4::reports {

/// A token both sides name alike, with its log-probability.
struct Weighted {
  int token = 0;
  double logprob = 0;
};

struct Divergence {
  /// Kullback-Leibler divergence of `q` from `p` in nats: the smallest that any two distributions
  /// with these likeliest tokens can have, hence never above the true one, and equal to it when
  /// both lists are whole. What only `p` lists may have in `q` no more than its last listed token.
  double kl = 0;
  /// Jensen-Shannon distance (the root of the divergence in bits), 0 to 1, of the tokens that both
  /// list and one bucket for all others: never above the true one.
  double js = 0;
  double overlap = 1;    // share of the shorter list that both have
  double max_delta = 0;  // largest |difference of log-probabilities| of a token that both list
  double sum_delta = 0;
  int n_common = 0;
};

/// Each list falling, no token twice. `own` of both sides is the token that stands there: it is
/// known even where a list lacks it; none when its logprob is not.
struct Known {
  std::span<const Weighted> top;
  const Weighted* own = nullptr;
};
Divergence divergence(const Known& p, const Known& q);

}  // namespace ds4::reports
