// Coin change with lines as coins: a table of reachable sums, then a walk that never leaves them.
#include "suites/common/measured_lines.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::suites {
namespace {

// Adding the cheapest line keeps a sum reachable, so reachability settles within each residue class
// of its cost; for costs up to ~60 tokens that happens well below this bound.
constexpr int64_t kHorizon = 4096;

}  // namespace

LineFiller::LineFiller(std::vector<MeasuredLine> lines, Rng rng) : lines_(std::move(lines)) {
  DS4_CHECK(!lines_.empty());
  lines_ = rng.sample(std::move(lines_), lines_.size());
  const auto [low, high] = std::minmax_element(
      lines_.begin(), lines_.end(),
      [](const MeasuredLine& a, const MeasuredLine& b) { return a.tokens < b.tokens; });
  min_tokens_ = low->tokens;
  max_tokens_ = high->tokens;
  DS4_CHECK(min_tokens_ > 0, low->text);
  std::vector<int64_t> costs;
  for (const MeasuredLine& line : lines_) costs.push_back(line.tokens);
  std::sort(costs.begin(), costs.end());
  costs.erase(std::unique(costs.begin(), costs.end()), costs.end());
  reachable_.assign(kHorizon + 1, false);
  reachable_[0] = true;
  for (int64_t sum = 1; sum <= kHorizon; ++sum) {
    reachable_[static_cast<size_t>(sum)] = std::any_of(
        costs.begin(), costs.end(),
        [&](int64_t cost) { return cost <= sum && reachable_[static_cast<size_t>(sum - cost)]; });
  }
}

bool LineFiller::reachable(int64_t tokens) const {
  if (tokens < 0) return false;
  if (tokens > kHorizon && min_tokens_ <= kHorizon) {
    tokens -= (tokens - kHorizon + min_tokens_ - 1) / min_tokens_ * min_tokens_;
  }
  return tokens <= kHorizon && reachable_[static_cast<size_t>(tokens)];
}

int64_t LineFiller::nearest_reachable(int64_t tokens) const {
  tokens = std::max<int64_t>(tokens, 0);
  for (int64_t distance = 0;; ++distance) {  // ends at 0 tokens at the latest
    if (reachable(tokens - distance)) return tokens - distance;
    if (reachable(tokens + distance)) return tokens + distance;
  }
}

std::vector<std::string> LineFiller::take(int64_t tokens) {
  DS4_CHECK(reachable(tokens), std::to_string(tokens));
  std::vector<std::string> texts;
  while (tokens > 0) {
    const MeasuredLine& line = lines_[next_++ % lines_.size()];
    if (!reachable(tokens - line.tokens)) continue;
    tokens -= line.tokens;
    texts.push_back(line.text);
  }
  return texts;
}

}  // namespace ds4::suites
