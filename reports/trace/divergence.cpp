#include "reports/trace/divergence.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ds4::reports {
namespace {

// Log-probabilities come rounded to a millionth: so much probability may be missing by rounding.
constexpr double kRounding = 1e-6;

const Weighted* find(const Known& known, int token) {
  for (const Weighted& w : known.top) {
    if (w.token == token) return &w;
  }
  return known.own && known.own->token == token ? known.own : nullptr;
}

// All that is known of one side, each token once.
std::vector<Weighted> all_of(const Known& known) {
  std::vector<Weighted> all(known.top.begin(), known.top.end());
  if (known.own && std::none_of(all.begin(), all.end(),
                                [&](const Weighted& w) { return w.token == known.own->token; })) {
    all.push_back(*known.own);
  }
  return all;
}

// The most that a token has which is not listed: no more than the last listed one. Servers add the
// token that stands there to the end of the list, however unlikely it is.
double most_unlisted(const Known& known) {
  const auto own = [&](const Weighted& w) { return known.own && known.own->token == w.token; };
  for (size_t i = known.top.size(); i-- > 0;) {
    if (!own(known.top[i])) return std::exp(known.top[i].logprob);
  }
  return 1;
}

// p ln (p / q), 0 for nothing.
double term(double p, double q) {
  return p > 0 ? p * std::log(p / q) : 0;
}

// The probability `room` of q goes to tokens that only p lists (`only_p`, each at most `cap`) and
// to the rest, whose probability in p is `rest` and in q at least `least`, so that the divergence
// is smallest: proportional to p where no bound forbids it. Returns what these tokens and the rest
// add.
double least_divergence(const std::vector<double>& only_p, double rest, double cap, double least,
                        double room) {
  if (only_p.empty()) return term(rest, room);
  const auto filled = [&](double scale) {
    double sum = std::max(least, scale * rest);
    for (const double p : only_p) sum += std::min(cap, scale * p);
    return sum;
  };
  double lo = 0, hi = 1;
  while (filled(hi) < room && hi < 1e15) hi *= 2;
  for (int i = 0; i < 80; ++i) {
    const double middle = (lo + hi) / 2;
    (filled(middle) < room ? lo : hi) = middle;
  }
  double sum = 0;
  for (const double p : only_p) sum += term(p, std::max(std::min(cap, hi * p), 1e-300));
  return sum + term(rest, std::max(std::max(least, hi * rest), 1e-300));
}

}  // namespace

Divergence divergence(const Known& p, const Known& q) {
  Divergence result;
  const std::vector<Weighted> of_p = all_of(p), of_q = all_of(q);
  double both_p = 0, both_q = 0, known_q = 0, js = 0;
  std::vector<double> only_p;
  int common_top = 0;
  for (const Weighted& w : of_q) known_q += std::exp(w.logprob);
  for (const Weighted& w : of_p) {
    const double in_p = std::exp(w.logprob);
    const Weighted* other = find(q, w.token);
    if (!other) {
      only_p.push_back(in_p);
      continue;
    }
    const double in_q = std::exp(other->logprob);
    const double delta = std::abs(w.logprob - other->logprob);
    result.kl += in_p * (w.logprob - other->logprob);
    js += term(in_p, (in_p + in_q) / 2) + term(in_q, (in_p + in_q) / 2);
    result.max_delta = std::max(result.max_delta, delta);
    result.sum_delta += delta;
    ++result.n_common;
    both_p += in_p;
    both_q += in_q;
  }
  for (const Weighted& w : p.top) {
    common_top += std::any_of(q.top.begin(), q.top.end(),
                              [&](const Weighted& other) { return other.token == w.token; });
  }
  const size_t shorter = std::min(p.top.size(), q.top.size());
  if (shorter > 0) result.overlap = common_top / static_cast<double>(shorter);

  double listed_p = both_p;
  for (const double in_p : only_p) listed_p += in_p;
  const double rest_p = std::max(0.0, 1 - listed_p);
  const double room = std::max(1 - both_q, kRounding);
  if (!only_p.empty() || rest_p > 0) {
    const double cap = most_unlisted(q);
    const double least = std::clamp(known_q - both_q, 0.0, room);
    result.kl += least_divergence(only_p, rest_p, cap, least, room);
  }
  result.kl = std::max(0.0, result.kl);

  const double tail_p = std::max(0.0, 1 - both_p), tail_q = std::max(0.0, 1 - both_q);
  if (tail_p > kRounding || tail_q > kRounding) {
    js += term(tail_p, (tail_p + tail_q) / 2) + term(tail_q, (tail_p + tail_q) / 2);
  }
  result.js = std::sqrt(std::clamp(js / 2 / std::log(2.0), 0.0, 1.0));
  return result;
}

}  // namespace ds4::reports
