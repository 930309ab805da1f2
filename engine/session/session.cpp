// One timeline: prefix reuse, prefill in chunks, single steps, drawing.
#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/sampling.h"
#include "engine/session/engine.h"

namespace ds4::session {

TimelineSession::TimelineSession(LoadedEngine& engine)
    : engine_(engine),
      cache_(engine.backend(), cache::plan_cache(engine.config(), engine.settings())) {}

void TimelineSession::check(std::span<const TokenId> tokens, int64_t length) const {
  const int64_t limit = engine_.settings().context_length;
  if (length > limit) {
    throw Error(ErrorCode::kUsage,
                std::to_string(length) + " tokens do not fit a session of context_length " +
                    std::to_string(limit),
                "Raise the context length or shorten the prompt.");
  }
  const int64_t vocab = engine_.info().vocab_size;
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocab) {
      throw Error(ErrorCode::kUsage,
                  "token id " + std::to_string(token) + " is outside the vocabulary of " +
                      std::to_string(vocab),
                  "Encode the text with this checkpoint's tokenizer.");
    }
  }
}

bool TimelineSession::extend_to(std::span<const TokenId> prefix, const Progress& progress,
                                const LogitSink& all_logits) {
  if (prefix.empty()) {
    throw Error(ErrorCode::kUsage, "the prompt has no tokens", "Begin it with the BOS token.");
  }
  check(prefix, static_cast<int64_t>(prefix.size()));
  const bool continues =
      tokens_.size() <= prefix.size() && std::equal(tokens_.begin(), tokens_.end(), prefix.begin());
  if (!continues) tokens_.clear();
  reused_ = length();

  const auto chunk = static_cast<size_t>(engine_.forward().capacity());
  while (tokens_.size() < prefix.size()) {
    const auto rest = prefix.subspan(tokens_.size());
    advance(rest.first(std::min(chunk, rest.size())), all_logits);
    if (progress && !progress(length()) && tokens_.size() < prefix.size()) return false;
  }
  return true;
}

void TimelineSession::append(TokenId token) {
  check({&token, 1}, length() + 1);
  advance({&token, 1}, nullptr);
}

// Runs one chunk. The logits of its last token are always computed, so that a timeline stopped
// after any chunk is complete.
void TimelineSession::advance(std::span<const TokenId> tokens, const LogitSink& all_logits) {
  model::Forward& forward = engine_.forward();
  const int64_t first = length();
  const auto n = static_cast<int>(tokens.size());
  const model::SequenceRows rows_in{tokens, first, &cache_};
  forward.run({&rows_in, 1});
  const auto vocab = static_cast<size_t>(engine_.info().vocab_size);
  std::span<const float> rows;
  if (all_logits) {
    for (int row = 0; row < n; row += model::Workspace::kLogitRows) {
      rows = forward.logits(row, std::min(model::Workspace::kLogitRows, n - row));
      all_logits(first + row, rows);
    }
  } else {
    rows = forward.logits(n - 1, 1);
  }
  const auto last = rows.last(vocab);
  logits_.assign(last.begin(), last.end());
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

TokenId TimelineSession::sample(const SamplingSettings& sampling) {
  DS4_CHECK(!tokens_.empty(), "sample() before any token");
  return ops::sample_token(logits_, length(), sampling);
}

}  // namespace ds4::session
