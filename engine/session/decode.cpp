// One round of decoding: a drawn token, guesses about what follows, one pass over all of them, and
// the guesses that turn out right (docs/decisions/0006-draft-test.md).
#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/sampling.h"
#include "engine/session/engine.h"

namespace ds4::session {

void TimelineSession::guess(const SamplingSettings& sampling, int64_t count,
                            std::vector<TokenId>& timeline) {
  // With the random number of the position that the guess is for: where draft and model agree about
  // the distribution they then agree about the token.
  const auto draw = [&](ops::Floats logits, int64_t row, int64_t position) {
    timeline.push_back(
        engine_.backend().sample(logits, row, position, sampling, with_prompt(timeline)));
    return timeline.back();
  };
  engine_.forward().propose(tokens_, timeline.back(), static_cast<int>(count), draw, drafts_);
}

std::vector<TokenId> TimelineSession::decode(const SamplingSettings& sampling, int64_t max_tokens,
                                             std::span<const TokenId> stops, const Drawn& drawn) {
  if (max_tokens < 1) {
    throw Error(ErrorCode::kUsage,
                "max_tokens is " + std::to_string(max_tokens) + " in a round of decoding",
                "Ask for at least one token.");
  }
  const auto is_stop = [&](TokenId token) {
    return std::find(stops.begin(), stops.end(), token) != stops.end();
  };
  const int64_t first = length();
  // What the timeline becomes when all guesses are right.
  std::vector<TokenId> timeline = tokens_;
  timeline.push_back(sample(sampling));
  if (drawn && !drawn(timeline.back())) return {};
  check({}, first + 1);
  const int64_t room = std::min(max_tokens, engine_.settings().context_length - first) - 1;
  const int64_t count = std::min<int64_t>(engine_.settings().draft_tokens, room);
  if (count > 0 && !is_stop(timeline.back())) guess(sampling, count, timeline);
  const auto stop = std::find_if(timeline.begin() + first, timeline.end(), is_stop);
  if (stop != timeline.end()) timeline.erase(stop + 1, timeline.end());
  std::span<const TokenId> tokens = std::span(timeline).subspan(static_cast<size_t>(first));

  model::Forward& forward = engine_.forward();
  const auto n = static_cast<int>(tokens.size());
  const model::SequenceRows rows = begin(tokens);
  forward.run({&rows, 1});
  const std::span<const float> logits = forward.logits(0, n);
  // Row i of the pass gives the logits of the token behind tokens[i].
  const auto vocab = static_cast<size_t>(engine_.info().vocab_size);
  const auto behind = [&](size_t i) { return logits.subspan(i * vocab, vocab); };
  size_t kept = 1;
  for (; kept < tokens.size(); ++kept) {
    const auto position = static_cast<size_t>(first) + kept;
    const TokenHistory earlier = with_prompt(std::span(timeline).first(position));
    if (ops::sample_token(behind(kept - 1), static_cast<int64_t>(position), sampling, earlier) !=
        tokens[kept]) {
      break;
    }
  }

  ++draft_counts_.rounds;
  draft_counts_.drafted.resize(static_cast<size_t>(engine_.settings().draft_tokens));
  draft_counts_.accepted.resize(static_cast<size_t>(engine_.settings().draft_tokens));
  for (size_t i = 1; i < tokens.size(); ++i) {
    ++draft_counts_.drafted[i - 1];
    if (i < kept) ++draft_counts_.accepted[i - 1];
  }
  tokens = tokens.first(kept);
  commit(tokens, behind(kept - 1));
  return {tokens.begin(), tokens.end()};
}

}  // namespace ds4::session
