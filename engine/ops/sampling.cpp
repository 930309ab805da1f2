#include "engine/ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::ops {
namespace {

struct Product {
  uint32_t high;
  uint32_t low;
};

Product multiply(uint32_t a, uint32_t b) {
  const uint64_t product = static_cast<uint64_t>(a) * b;
  return {static_cast<uint32_t>(product >> 32), static_cast<uint32_t>(product)};
}

size_t argmax(std::span<const float> logits) {
  size_t best = 0;
  float top = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > top) {
      top = logits[i];
      best = i;
    }
  }
  return best;
}

// The first entry of `order` (its tokens, in order) at which the running sum of p exceeds `target`.
size_t walk(const std::vector<double>& p, std::span<const int32_t> order, double target) {
  double sum = 0;
  for (const int32_t id : order) {
    sum += p[static_cast<size_t>(id)];
    if (sum > target) return static_cast<size_t>(id);
  }
  // Rounding may leave the target at the very end: then the last token with any probability.
  for (size_t i = order.size(); i-- > 0;) {
    if (p[static_cast<size_t>(order[i])] > 0) return static_cast<size_t>(order[i]);
  }
  return 0;
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

TokenId sample_token(std::span<const float> logits, int64_t position,
                     const SamplingSettings& settings) {
  DS4_CHECK(!logits.empty());
  if (!(settings.temperature >= 0) || std::isinf(settings.temperature)) {
    throw Error(ErrorCode::kUsage, "temperature must be a number of at least 0",
                "Use 0 for greedy decoding or a value such as 0.7.");
  }
  if (!(settings.top_p > 0 && settings.top_p <= 1)) {
    throw Error(ErrorCode::kUsage, "top_p must be above 0 and at most 1", "Use 1 to keep all.");
  }
  const size_t best = argmax(logits);
  if (settings.temperature == 0) return static_cast<TokenId>(best);

  const double top = logits[best];
  std::vector<double> p(logits.size());
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double weight = std::exp((logits[i] - top) / settings.temperature);
    p[i] = std::isnan(weight) ? 0 : weight;
    total += p[i];
  }
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  if (settings.top_p < 1) {
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      const double pa = p[static_cast<size_t>(a)];
      const double pb = p[static_cast<size_t>(b)];
      return pa != pb ? pa > pb : a < b;
    });
    double kept = 0;
    size_t count = 0;
    while (count < order.size() && kept < settings.top_p * total) {
      kept += p[static_cast<size_t>(order[count++])];
    }
    order.resize(std::max<size_t>(count, 1));
    total = kept;
  }
  const double u = uniform_at(settings.seed, settings.sequence, position);
  return static_cast<TokenId>(walk(p, order, u * total));
}

}  // namespace ds4::ops
