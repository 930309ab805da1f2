// A round of decoding as its session sees it (docs/decisions/0006-draft-test.md); batch.cpp runs
// it.
#include "engine/session/engine.h"

namespace ds4::session {

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
