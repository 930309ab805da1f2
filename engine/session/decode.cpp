// A session's own part of a round of decoding: guesses about what follows a drawn token, and what
// becomes of them (docs/decisions/0006-draft-test.md). The pass between is batch.cpp's.
#include "engine/ops/sampling.h"
#include "engine/session/engine.h"

namespace ds4::session {

void TimelineSession::guess(const SamplingSettings& sampling, int64_t count,
                            std::vector<TokenId>& ahead) {
  // With the random number of the position that the guess is for: where draft and model agree about
  // the distribution they then agree about the token.
  const auto drawn = [&](ops::Floats logits, int64_t row, int64_t position) {
    const ops::Draw next = draw(sampling, ops::row_of(logits, row), ahead);
    TokenId token = ops::kNoToken;
    engine_.backend().sample({&next, 1}, {&token, 1});
    ahead.push_back(ops::require_token(token, position));
    return ahead.back();
  };
  engine_.forward().propose(tokens_, ahead.back(), static_cast<int>(count), drawn, drafts_);
}

void TimelineSession::settle(std::span<const TokenId> ahead, size_t kept, ops::Floats logits) {
  const auto depth = static_cast<size_t>(engine_.settings().draft_tokens);
  ++draft_counts_.rounds;
  draft_counts_.drafted.resize(depth);
  draft_counts_.accepted.resize(depth);
  for (size_t i = 1; i < ahead.size(); ++i) {
    ++draft_counts_.drafted[i - 1];
    if (i < kept) ++draft_counts_.accepted[i - 1];
  }
  commit(ahead.first(kept), logits);
}

std::vector<TokenId> TimelineSession::decode(const SamplingSettings& sampling, int64_t max_tokens,
                                             std::span<const TokenId> stops, const Drawn& drawn) {
  Engine::Round round{this, &sampling, max_tokens, stops, drawn};
  engine_.pass({&round, 1}, {});
  return std::move(round.tokens);
}

}  // namespace ds4::session
