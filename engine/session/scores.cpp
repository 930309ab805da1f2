#include "engine/api/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4 {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One row of logits, ready to be asked.
class Row {
 public:
  explicit Row(std::span<const float> logits) : logits_(logits) {
    max_ = -kInfinity;
    for (size_t i = 0; i < logits.size(); ++i) max_ = std::max(max_, value(i));
    if (max_ == -kInfinity) {
      throw Error(ErrorCode::kMachine, "every logit of a position is NaN or -inf",
                  "The weights are damaged or the computation broke down.");
    }
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) sum += std::exp(above_max(i));
    log_sum_ = std::log(sum);
  }

  double logprob(TokenId token) const { return above_max(static_cast<size_t>(token)) - log_sum_; }
  double value(size_t i) const { return std::isnan(logits_[i]) ? -kInfinity : double{logits_[i]}; }

 private:
  // x - max; 0 for the largest even when it is infinite.
  double above_max(size_t i) const { return value(i) == max_ ? 0 : value(i) - max_; }

  std::span<const float> logits_;
  double max_ = 0, log_sum_ = 0;
};

}  // namespace

Logprobs log_probabilities(std::span<const float> logits, std::span<const TokenId> tokens,
                           int64_t n_top) {
  const Row row(logits);
  Logprobs result;
  for (const TokenId token : tokens) {
    DS4_CHECK(token >= 0 && static_cast<size_t>(token) < logits.size());
    result.of.push_back(row.logprob(token));
  }
  if (n_top <= 0) return result;
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min<int64_t>(n_top, std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](TokenId a, TokenId b) {
    const double va = row.value(static_cast<size_t>(a)), vb = row.value(static_cast<size_t>(b));
    return va != vb ? va > vb : a < b;
  });
  for (int64_t i = 0; i < count; ++i) {
    const TokenId token = order[static_cast<size_t>(i)];
    result.top.push_back({token, row.logprob(token)});
  }
  return result;
}

std::vector<double> score_continuation(Session& session, std::span<const TokenId> prompt,
                                       std::span<const TokenId> continuation) {
  session.extend_to(prompt);
  std::vector<double> scores;
  if (continuation.empty()) return scores;
  const auto score = [&](std::span<const float> logits) {
    const TokenId next = continuation[scores.size()];
    scores.push_back(log_probabilities(logits, {&next, 1}, 0).of.front());
  };
  const auto vocab = session.logits().size();
  std::vector<TokenId> whole(prompt.begin(), prompt.end());
  whole.insert(whole.end(), continuation.begin(), continuation.end());
  // An id outside the vocabulary must be refused before it is used as an index.
  for (const TokenId token : continuation) {
    if (token < 0 || static_cast<size_t>(token) >= vocab) {
      throw Error(ErrorCode::kUsage,
                  "token id " + std::to_string(token) + " is outside the vocabulary of " +
                      std::to_string(vocab),
                  "Encode the text with this checkpoint's tokenizer.");
    }
  }
  score(session.logits());
  session.extend_to(whole, nullptr, [&](int64_t, std::span<const float> rows) {
    // The row of the last token predicts what comes after the continuation.
    for (size_t at = 0; at < rows.size() && scores.size() < continuation.size(); at += vocab) {
      score(rows.subspan(at, vocab));
    }
  });
  DS4_CHECK(scores.size() == continuation.size());
  return scores;
}

}  // namespace ds4
