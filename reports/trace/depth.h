// Perplexity by depth: how well a model foresees a text, the further it has read. An engine that
// loses what lies far back gets worse with depth where a sound one does not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "reports/trace/trace.h"

namespace ds4::reports {

/// Positions from `begin` to `end` - 1.
struct DepthRange {
  int64_t begin = 0, end = 0;
};

/// The ranges of so many positions: up to kShortestRange, then each as long as all before it; a
/// last one that would be shorter than kShortestRange belongs to the one before.
inline constexpr int64_t kShortestRange = 128;
std::vector<DepthRange> depth_ranges(int64_t positions);

/// The one of an endless text that a position lies in.
DepthRange depth_range_at(int64_t position);

/// A token of a text: where it stands, and its log-probability.
struct AtDepth {
  int64_t position = 0;
  double logprob = 0;
};

/// The tokens of a trace's prompt that have a log-probability.
std::vector<AtDepth> told_tokens(const Trace& trace);

/// exp of the mean negative log-probability. Nothing of nothing.
std::optional<double> perplexity(std::span<const AtDepth> tokens);
std::optional<double> perplexity(std::span<const AtDepth> tokens, const DepthRange& range);

/// Perplexity of the last range over the smallest of a range before it: about 1 or below where
/// depth does no harm. Nothing of a text of one range.
std::optional<double> perplexity_growth(std::span<const AtDepth> tokens);

}  // namespace ds4::reports
