#include "engine/ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::ops {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Product {
  uint32_t high;
  uint32_t low;
};

Product multiply(uint32_t a, uint32_t b) {
  const uint64_t product = static_cast<uint64_t>(a) * b;
  return {static_cast<uint32_t>(product >> 32), static_cast<uint32_t>(product)};
}

bool adjusts(const SamplingSettings& settings) {
  return !settings.logit_bias.empty() || settings.repetition_penalty != 1 ||
         settings.presence_penalty != 0 || settings.frequency_penalty != 0;
}

// The first index of the largest value; NaN never wins. Nothing above -inf: the size.
template <typename Number>
size_t argmax(std::span<const Number> values) {
  size_t best = values.size();
  Number top = -std::numeric_limits<Number>::infinity();
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > top) {
      top = values[i];
      best = i;
    }
  }
  return best;
}

// Step 1 of draw_token.
double widened(float logit) {
  return std::isnan(logit) ? -kInfinity : static_cast<double>(logit);
}

// Steps 1-4, where there is something to adjust.
std::vector<double> adjusted(std::span<const float> logits, const SamplingSettings& settings,
                             const TokenHistory& history) {
  std::vector<double> z(logits.size());
  std::transform(logits.begin(), logits.end(), z.begin(), widened);
  const TokenChanges changes = token_changes(settings, history, std::ssize(logits));
  const Penalties penalties = penalties_of(settings);
  for (const TokenChange& change : changes.tokens) {
    double& value = z[static_cast<size_t>(change.token)];
    value = changed(value, change, changes.biases.data(), penalties);
  }
  return z;
}

uint64_t sum_of(std::span<const uint64_t> weights) {
  return std::accumulate(weights.begin(), weights.end(), uint64_t{0});
}

// (weight descending, id ascending): the order in which the cuts keep tokens.
struct MoreLikely {
  std::span<const uint64_t> w;
  bool operator()(int32_t a, int32_t b) const {
    const uint64_t wa = w[static_cast<size_t>(a)];
    const uint64_t wb = w[static_cast<size_t>(b)];
    return wa != wb ? wa > wb : a < b;
  }
};

// Makes 0 of every weight behind `last` in that order.
void cut_behind(std::vector<uint64_t>& w, int32_t last) {
  const uint64_t least = w[static_cast<size_t>(last)];
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] < least || (w[i] == least && static_cast<int32_t>(i) > last)) w[i] = 0;
  }
}

void cut_top_k(std::vector<uint64_t>& w, int64_t top_k) {
  if (top_k == 0 || top_k >= std::ssize(w)) return;
  std::vector<int32_t> order(w.size());
  std::iota(order.begin(), order.end(), 0);
  const auto last = order.begin() + (top_k - 1);
  std::nth_element(order.begin(), last, order.end(), MoreLikely{w});
  cut_behind(w, *last);
}

void cut_min_p(std::vector<uint64_t>& w, double min_p) {
  const uint64_t least = least_weight(min_p);
  for (uint64_t& weight : w) {
    if (weight < least) weight = 0;
  }
}

void cut_top_p(std::vector<uint64_t>& w, double top_p) {
  if (top_p == 1) return;
  const uint64_t total = sum_of(w);
  const uint64_t share = share_of(total, top_p);
  // All tokens below this together weigh less than what may be cut, so the prefix ends before them.
  // It spares sorting the whole vocabulary.
  const uint64_t least = (total - share) / w.size();
  std::vector<int32_t> order;
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] > 0 && w[i] >= least) order.push_back(static_cast<int32_t>(i));
  }
  std::sort(order.begin(), order.end(), MoreLikely{w});
  uint64_t kept = 0;
  size_t count = 0;
  while (kept < share) kept += w[static_cast<size_t>(order[count++])];
  cut_behind(w, order[count - 1]);
}

[[noreturn]] void refuse(const char* setting, const char* must, const char* hint) {
  throw Error(ErrorCode::kUsage, std::string(setting) + " must be " + must, hint);
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const Product a = multiply(0xD2511F53, counter[0]);
    const Product b = multiply(0xCD9E8D57, counter[2]);
    counter = {b.high ^ counter[1] ^ key[0], b.low, a.high ^ counter[3] ^ key[1], a.low};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint64_t random_at(uint64_t seed, uint64_t sequence, int64_t position) {
  const auto p = static_cast<uint64_t>(position);
  const auto word = philox({static_cast<uint32_t>(p), static_cast<uint32_t>(p >> 32),
                            static_cast<uint32_t>(sequence), static_cast<uint32_t>(sequence >> 32)},
                           {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return (static_cast<uint64_t>(word[0]) << 32 | word[1]) >> 11;
}

size_t pick_weighted(std::span<const uint64_t> weights, uint64_t random) {
  const uint64_t target = high_product(random << 11, sum_of(weights));
  uint64_t sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (sum > target) return i;
  }
  DS4_CHECK(false, "no weight above 0");
}

void check_sampling(const SamplingSettings& settings, int64_t vocab_size) {
  if (!(settings.temperature >= 0) || std::isinf(settings.temperature)) {
    refuse("temperature", "a number of at least 0",
           "Use 0 for greedy decoding, or a value such as 0.7.");
  }
  if (!(settings.top_p > 0 && settings.top_p <= 1)) {
    refuse("top_p", "above 0 and at most 1", "Use 1 to keep all.");
  }
  if (settings.top_k < 0) refuse("top_k", "at least 0", "Use 0 to keep all.");
  if (!(settings.min_p >= 0 && settings.min_p <= 1)) {
    refuse("min_p", "between 0 and 1", "Use 0 to keep all.");
  }
  if (!(settings.repetition_penalty > 0) || std::isinf(settings.repetition_penalty)) {
    refuse("repetition_penalty", "a number above 0", "Use 1 for none, 1.1 for a little.");
  }
  if (!std::isfinite(settings.presence_penalty) || !std::isfinite(settings.frequency_penalty)) {
    refuse("presence_penalty and frequency_penalty", "numbers", "Use 0 for none.");
  }
  for (const LogitBias& bias : settings.logit_bias) {
    if (bias.token < 0 || bias.token >= vocab_size) {
      throw Error(ErrorCode::kUsage,
                  "logit_bias names token " + std::to_string(bias.token) +
                      "; the vocabulary has the ids 0 to " + std::to_string(vocab_size - 1),
                  "Encode the text with this checkpoint's tokenizer.");
    }
    if (!std::isfinite(bias.bias)) {
      refuse("logit_bias", "finite", "Use -1000 to forbid a token.");
    }
  }
}

TokenChanges token_changes(const SamplingSettings& settings, const TokenHistory& history,
                           int64_t vocab_size) {
  TokenChanges changes;
  if (!adjusts(settings)) return changes;
  std::vector<int32_t> place(static_cast<size_t>(vocab_size), -1);
  const auto change_of = [&](TokenId token) -> TokenChange& {
    int32_t& at = place[static_cast<size_t>(token)];
    if (at < 0) {
      at = static_cast<int32_t>(changes.tokens.size());
      changes.tokens.push_back({.token = token});
    }
    return changes.tokens[static_cast<size_t>(at)];
  };
  for (const LogitBias& bias : settings.logit_bias) ++change_of(bias.token).n_biases;
  int32_t n_biases = 0;
  for (TokenChange& change : changes.tokens) {
    change.first_bias = n_biases;
    n_biases += change.n_biases;
    change.n_biases = 0;
  }
  changes.biases.resize(settings.logit_bias.size());
  for (const LogitBias& bias : settings.logit_bias) {
    TokenChange& change = change_of(bias.token);
    changes.biases[static_cast<size_t>(change.first_bias + change.n_biases++)] = bias.bias;
  }
  if (settings.repetition_penalty != 1) {
    for (const auto& tokens : {history.tokens, history.ahead}) {
      for (const TokenId token : tokens) change_of(token).seen = 1;
    }
  }
  if (settings.presence_penalty != 0 || settings.frequency_penalty != 0) {
    const auto answer = history.tokens.subspan(static_cast<size_t>(history.n_prompt));
    for (const auto& tokens : {answer, history.ahead}) {
      for (const TokenId token : tokens) ++change_of(token).count;
    }
  }
  return changes;
}

uint64_t least_weight(double min_p) {
  return static_cast<uint64_t>(std::ceil(min_p * static_cast<double>(kFullWeight)));
}

TokenId draw_token(std::span<const float> logits, int64_t position,
                   const SamplingSettings& settings, const TokenHistory& history) {
  const bool greedy = settings.temperature == 0;
  const bool plain = !adjusts(settings);
  const std::vector<double> changed_z =
      plain ? std::vector<double>() : adjusted(logits, settings, history);
  const size_t best = plain ? argmax(logits) : argmax(std::span<const double>(changed_z));
  if (best == logits.size()) return kNoToken;
  if (greedy) return static_cast<TokenId>(best);
  const auto z = [&](size_t i) { return plain ? widened(logits[i]) : changed_z[i]; };
  DS4_CHECK(logits.size() < size_t{1} << (64 - kWeightBits), "sums of weights must fit");
  std::vector<uint64_t> w(logits.size());
  for (size_t i = 0; i < w.size(); ++i) w[i] = weight_of(z(i), z(best), settings.temperature);
  cut_top_k(w, settings.top_k);
  cut_min_p(w, settings.min_p);
  cut_top_p(w, settings.top_p);
  const uint64_t random = random_at(settings.seed, settings.sequence, position);
  return static_cast<TokenId>(pick_weighted(w, random));
}

TokenId require_token(TokenId token, int64_t position) {
  if (token != kNoToken) return token;
  throw Error(
      ErrorCode::kMachine,
      "every logit of position " + std::to_string(position) + " is NaN or -inf",
      "The weights are damaged or the computation broke down; `ds4-sweep logits` shows it.");
}

TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings, const TokenHistory& history) {
  check_sampling(settings, std::ssize(logits));
  return require_token(draw_token(logits, position, settings, history), position);
}

}  // namespace ds4::ops
