#include "reports/trace/depth.h"

#include <algorithm>
#include <cmath>

namespace ds4::reports {

std::vector<DepthRange> depth_ranges(int64_t positions) {
  std::vector<DepthRange> ranges;
  int64_t begin = 0;
  while (begin < positions) {
    int64_t end = std::max(kShortestRange, 2 * begin);
    if (positions - end < kShortestRange) end = positions;
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

DepthRange depth_range_at(int64_t position) {
  if (position < kShortestRange) return {0, kShortestRange};
  int64_t begin = kShortestRange;
  while (2 * begin <= position) begin *= 2;
  return {begin, 2 * begin};
}

std::vector<AtDepth> told_tokens(const Trace& trace) {
  std::vector<AtDepth> tokens;
  for (size_t i = 0; i < trace.prompt.size(); ++i) {
    if (trace.prompt[i].logprob)
      tokens.push_back({static_cast<int64_t>(i), *trace.prompt[i].logprob});
  }
  return tokens;
}

std::optional<double> perplexity(std::span<const AtDepth> tokens) {
  if (tokens.empty()) return std::nullopt;
  double sum = 0;
  for (const AtDepth& token : tokens) sum += token.logprob;
  return std::exp(-sum / static_cast<double>(tokens.size()));
}

std::optional<double> perplexity(std::span<const AtDepth> tokens, const DepthRange& range) {
  std::vector<AtDepth> inside;
  for (const AtDepth& token : tokens) {
    if (token.position >= range.begin && token.position < range.end) inside.push_back(token);
  }
  return perplexity(inside);
}

std::optional<double> perplexity_growth(std::span<const AtDepth> tokens) {
  if (tokens.empty()) return std::nullopt;
  const std::vector<DepthRange> ranges = depth_ranges(tokens.back().position + 1);
  std::optional<double> least;
  for (size_t i = 0; i + 1 < ranges.size(); ++i) {
    const auto here = perplexity(tokens, ranges[i]);
    if (here && (!least || *here < *least)) least = here;
  }
  const auto last = perplexity(tokens, ranges.back());
  if (!least || !last) return std::nullopt;
  return *last / *least;
}

}  // namespace ds4::reports
