#include "engine/ops/sampling.h"

#include <algorithm>
#include <bit>
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

bool penalises_generated(const SamplingSettings& settings) {
  return settings.presence_penalty != 0 || settings.frequency_penalty != 0;
}

bool adjusts(const SamplingSettings& settings) {
  return !settings.logit_bias.empty() || settings.repetition_penalty != 1 ||
         penalises_generated(settings);
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

// Steps 1-4 of sample_token.
std::vector<double> adjusted(std::span<const float> logits, const SamplingSettings& settings,
                             const TokenHistory& history) {
  std::vector<double> z(logits.size());
  for (size_t i = 0; i < z.size(); ++i) {
    z[i] = std::isnan(logits[i]) ? -kInfinity : static_cast<double>(logits[i]);
  }
  for (const LogitBias& bias : settings.logit_bias) z[static_cast<size_t>(bias.token)] += bias.bias;
  const auto generated = history.tokens.subspan(static_cast<size_t>(history.n_prompt));
  if (settings.repetition_penalty != 1) {
    std::vector<bool> seen(z.size());
    for (const TokenId token : history.tokens) {
      const auto id = static_cast<size_t>(token);
      if (seen[id]) continue;
      seen[id] = true;
      z[id] = z[id] > 0 ? z[id] / settings.repetition_penalty : z[id] * settings.repetition_penalty;
    }
  }
  if (penalises_generated(settings) && !generated.empty()) {
    std::vector<int32_t> count(z.size());
    for (const TokenId token : generated) ++count[static_cast<size_t>(token)];
    for (size_t i = 0; i < z.size(); ++i) {
      if (count[i] == 0) continue;
      const double frequent = settings.frequency_penalty * count[i];
      z[i] = (z[i] - frequent) - settings.presence_penalty;
    }
  }
  return z;
}

double block_sum(std::span<const double> block) {
  double sum = 0;
  for (const double weight : block) sum += weight;
  return sum;
}

template <typename Visit>
void each_block(std::span<const double> weights, const Visit& visit) {
  for (size_t begin = 0; begin < weights.size(); begin += kSumBlock) {
    visit(begin, weights.subspan(begin, std::min(kSumBlock, weights.size() - begin)));
  }
}

double total_of(std::span<const double> weights) {
  double total = 0;
  each_block(weights, [&](size_t, std::span<const double> block) { total += block_sum(block); });
  return total;
}

// (weight descending, id ascending): the order in which the cuts keep tokens.
struct MoreLikely {
  std::span<const double> w;
  bool operator()(int32_t a, int32_t b) const {
    const double wa = w[static_cast<size_t>(a)];
    const double wb = w[static_cast<size_t>(b)];
    return wa != wb ? wa > wb : a < b;
  }
};

// Makes 0 of every weight behind `last` in that order.
void cut_behind(std::vector<double>& w, int32_t last) {
  const double least = w[static_cast<size_t>(last)];
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] < least || (w[i] == least && static_cast<int32_t>(i) > last)) w[i] = 0;
  }
}

void cut_top_k(std::vector<double>& w, int64_t top_k) {
  if (top_k == 0 || top_k >= static_cast<int64_t>(w.size())) return;
  std::vector<int32_t> order(w.size());
  std::iota(order.begin(), order.end(), 0);
  const auto last = order.begin() + (top_k - 1);
  std::nth_element(order.begin(), last, order.end(), MoreLikely{w});
  cut_behind(w, *last);
}

void cut_min_p(std::vector<double>& w, double min_p) {
  for (double& weight : w) {
    if (weight < min_p) weight = 0;
  }
}

void cut_top_p(std::vector<double>& w, double top_p) {
  if (top_p == 1) return;
  const double total = total_of(w);
  // All tokens below this together weigh less than what may be cut, so the prefix ends before them;
  // the half covers rounding. It spares sorting the whole vocabulary.
  const double least = (1 - top_p) * total / static_cast<double>(w.size()) / 2;
  std::vector<int32_t> order;
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] > 0 && w[i] >= least) order.push_back(static_cast<int32_t>(i));
  }
  std::sort(order.begin(), order.end(), MoreLikely{w});
  double kept = 0;
  size_t count = 0;
  while (count < order.size() && kept < top_p * total) {
    kept += w[static_cast<size_t>(order[count++])];
  }
  cut_behind(w, order[std::max<size_t>(count, 1) - 1]);
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

double uniform_at(uint64_t seed, uint64_t sequence, int64_t position) {
  const auto p = static_cast<uint64_t>(position);
  const auto word = philox({static_cast<uint32_t>(p), static_cast<uint32_t>(p >> 32),
                            static_cast<uint32_t>(sequence), static_cast<uint32_t>(sequence >> 32)},
                           {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = (static_cast<uint64_t>(word[0]) << 32 | word[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

// Compiled without contraction (CMakeLists.txt): a fused multiply-add would round otherwise.
double exp_of_negative(double x) {
  constexpr double kLog2e = 0x1.71547652b82fep+0;
  constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits: k * kLn2High is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kInverseFactorials[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800};
  if (!(x >= -708)) return 0;
  const double k = std::floor(x * kLog2e + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double p = kInverseFactorials[13];
  for (int n = 12; n >= 0; --n) p = p * r + kInverseFactorials[n];
  return p * std::bit_cast<double>(static_cast<uint64_t>(1023 + static_cast<int64_t>(k)) << 52);
}

size_t pick_weighted(std::span<const double> weights, double u) {
  const double target = u * total_of(weights);
  double before = 0, entered_with = 0;
  size_t entered = weights.size();
  bool found = false;
  each_block(weights, [&](size_t begin, std::span<const double> block) {
    if (found) return;
    const double sum = block_sum(block);
    if (sum > 0) {
      entered = begin;
      entered_with = before;
    }
    before += sum;
    found = before > target;
  });
  DS4_CHECK(entered < weights.size(), "no weight above 0");
  const size_t end = std::min(entered + kSumBlock, weights.size());
  size_t last = entered;
  double sum = entered_with;
  for (size_t i = entered; i < end; ++i) {
    if (weights[i] == 0) continue;
    sum += weights[i];
    last = i;
    if (sum > target) break;
  }
  return last;
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

TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings, const TokenHistory& history) {
  check_sampling(settings, static_cast<int64_t>(logits.size()));
  const auto require = [&](size_t best) {
    if (best < logits.size()) return best;
    throw Error(
        ErrorCode::kMachine,
        "every logit of position " + std::to_string(position) + " is NaN or -inf",
        "The weights are damaged or the computation broke down; `ds4-sweep logits` shows it.");
  };
  const bool greedy = settings.temperature == 0;
  if (greedy && !adjusts(settings)) return static_cast<TokenId>(require(argmax(logits)));
  std::vector<double> w = adjusted(logits, settings, history);
  const size_t best = require(argmax(std::span<const double>(w)));
  if (greedy) return static_cast<TokenId>(best);
  const double top = w[best];
  for (double& z : w) z = z == top ? 1 : exp_of_negative((z - top) / settings.temperature);
  cut_top_k(w, settings.top_k);
  cut_min_p(w, settings.min_p);
  cut_top_p(w, settings.top_p);
  const double u = uniform_at(settings.seed, settings.sequence, position);
  return static_cast<TokenId>(pick_weighted(w, u));
}

}  // namespace ds4::ops
