// One timeline: going back and reusing prefixes, prefill in chunks, single steps, drawing.
#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/sampling.h"
#include "engine/session/engine.h"

namespace ds4::session {

TimelineSession::TimelineSession(LoadedEngine& engine)
    : engine_(engine),
      cache_(engine.backend(), cache::plan_cache(engine.config(), engine.settings())),
      history_(engine.backend(), cache_, engine.info().vocab_size) {
  if (engine.forward().drafter()) drafts_ = engine.forward().drafter()->new_memory();
  ++engine_.sessions_;
}

TimelineSession::~TimelineSession() {
  --engine_.sessions_;
}

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

int64_t TimelineSession::rewind(std::span<const TokenId> prefix) {
  if (prefix.empty()) {
    throw Error(ErrorCode::kUsage, "the prompt has no tokens", "Begin it with the BOS token.");
  }
  check(prefix, static_cast<int64_t>(prefix.size()));
  const auto shared = std::mismatch(tokens_.begin(), tokens_.end(), prefix.begin(), prefix.end());
  const auto kept = shared.first - tokens_.begin();
  // Also when all is there but the logits, which an earlier way back did not know.
  if (kept < length() || (logits_.empty() && shared.second == prefix.end())) {
    const cache::History::Return to = history_.go_back(kept);
    tokens_.resize(static_cast<size_t>(to.length));
    logits_.assign(to.logits.begin(), to.logits.end());
  }
  reused_ = length();
  n_prompt_ = static_cast<int64_t>(prefix.size());
  return reused_;
}

bool TimelineSession::extend_to(std::span<const TokenId> prefix, const Progress& progress,
                                const LogitSink& all_logits) {
  const auto shared = std::mismatch(tokens_.begin(), tokens_.end(), prefix.begin(), prefix.end());
  const auto parting = static_cast<size_t>(shared.first - tokens_.begin());
  rewind(prefix);
  draft_counts_ = {};
  // Where two prompts parted a third may part from them: worth stopping there for a mark.
  const bool parts = parting >= tokens_.size() + cache::kMarkSpacing && parting < prefix.size();

  const auto chunk = static_cast<size_t>(engine_.settings().prefill_chunk);
  while (tokens_.size() < prefix.size()) {
    size_t end = std::min(tokens_.size() + chunk, prefix.size());
    if (parts && tokens_.size() < parting) end = std::min(end, parting);
    advance(prefix.subspan(tokens_.size(), end - tokens_.size()), all_logits);
    if (end == prefix.size() || (parts && end == parting)) {
      history_.mark(length(), logits_, cache::MarkKind::kTurn);
    }
    if (progress && !progress(length()) && end < prefix.size()) return false;
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
  const model::SequenceRows batch = begin(tokens);
  forward.run({&batch, 1});
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
  commit(tokens, rows.last(vocab));
}

model::SequenceRows TimelineSession::begin(std::span<const TokenId> tokens) {
  history_.writing(length() + static_cast<int64_t>(tokens.size()));
  return {tokens, length(), &cache_, &drafts_};
}

void TimelineSession::commit(std::span<const TokenId> tokens, std::span<const float> logits) {
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  logits_.assign(logits.begin(), logits.end());
  history_.mark(length(), logits_, cache::MarkKind::kWaypoint);
}

TokenId TimelineSession::sample(const SamplingSettings& sampling) {
  DS4_CHECK(!tokens_.empty(), "sample() before any token");
  return ops::sample_token(logits_, length(), sampling, with_prompt(tokens_));
}

}  // namespace ds4::session
