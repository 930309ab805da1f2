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
      history_(engine.backend(), cache_, engine.info().vocab_size),
      logit_memory_(engine.backend().allocate(engine.info().vocab_size * 4)),
      logits_{logit_memory_.data.get(), engine.info().vocab_size} {
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
  if (kept < length() || (!has_logits_ && shared.second == prefix.end())) {
    const cache::History::Return to = history_.go_back(kept, logits_);
    tokens_.resize(static_cast<size_t>(to.length));
    has_logits_ = to.logits;
    host_logits_.clear();
  }
  reused_ = length();
  n_prompt_ = static_cast<int64_t>(prefix.size());
  // Where two prompts parted a third may part from them: worth stopping there for a mark.
  parting_ = kept >= reused_ + cache::kMarkSpacing ? kept : 0;
  draft_counts_ = {};
  return reused_;
}

std::span<const TokenId> TimelineSession::next_part(std::span<const TokenId> prefix,
                                                    int64_t most) const {
  const auto size = static_cast<int64_t>(prefix.size());
  DS4_CHECK(most > 0 && length() <= size, "rewind() comes first");
  int64_t end = std::min({length() + most, length() + engine_.settings().prefill_chunk, size});
  if (length() < parting_) end = std::min(end, parting_);
  return prefix.subspan(tokens_.size(), static_cast<size_t>(end - length()));
}

bool TimelineSession::extend_to(std::span<const TokenId> prefix, const Progress& progress,
                                const LogitSink& all_logits) {
  rewind(prefix);
  while (tokens_.size() < prefix.size()) {
    advance(next_part(prefix, engine_.settings().prefill_chunk), all_logits);
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
  const model::SequenceRows batch = begin(tokens);
  forward.run({&batch, 1});
  if (!all_logits) return commit(tokens, forward.compute_logits(n - 1, 1));
  ops::Floats rows;
  int count = 0;
  for (int row = 0; row < n; row += count) {
    count = std::min(model::Workspace::kLogitRows, n - row);
    rows = forward.compute_logits(row, count);
    all_logits(first + row, engine_.backend().read_floats(rows, count * rows.cols));
  }
  commit(tokens, ops::row_of(rows, count - 1));
}

model::SequenceRows TimelineSession::begin(std::span<const TokenId> tokens) {
  history_.writing(length() + static_cast<int64_t>(tokens.size()));
  return {tokens, length(), &cache_, &drafts_};
}

void TimelineSession::commit(std::span<const TokenId> tokens, ops::Floats logits) {
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  const ops::Copy copy{logits.data, logits_.data, logits_.cols * 4};
  engine_.backend().copy({&copy, 1});
  has_logits_ = true;
  host_logits_.clear();
  const bool turn = length() == n_prompt_ || length() == parting_;
  history_.mark(length(), logits_, turn ? cache::MarkKind::kTurn : cache::MarkKind::kWaypoint);
}

std::span<const float> TimelineSession::logits() const {
  if (has_logits_ && host_logits_.empty()) {
    host_logits_.resize(static_cast<size_t>(logits_.cols));
    engine_.backend().read(logits_.data, std::as_writable_bytes(std::span(host_logits_)));
  }
  return host_logits_;
}

ops::Floats TimelineSession::last_logits() const {
  if (has_logits_) return logits_;
  throw Error(ErrorCode::kUsage, "the logits of the last token are not known",
              "Append a token, or extend the session to a prompt.");
}

ops::Draw TimelineSession::draw(const SamplingSettings& sampling, ops::Floats logits,
                                std::span<const TokenId> ahead) const {
  return {logits,
          length() + std::ssize(ahead),
          &sampling,
          {tokens_, std::min(n_prompt_, length()), ahead}};
}

TokenId TimelineSession::sample(const SamplingSettings& sampling) {
  DS4_CHECK(!tokens_.empty(), "sample() before any token");
  const ops::Draw next = draw(sampling, last_logits(), {});
  TokenId token = ops::kNoToken;
  engine_.backend().sample({&next, 1}, {&token, 1});
  return ops::require_token(token, length());
}

}  // namespace ds4::session
