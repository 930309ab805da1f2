// Several sessions in one pass: Engine::pass. The rows of all lie end to end; each result depends
// on its own sequence only.
#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/sampling.h"
#include "engine/session/engine.h"

namespace ds4::session {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kUsage, what, hint);
}

/// What one session adds to a pass.
struct Member {
  TimelineSession* session = nullptr;
  std::span<const TokenId> addition;  // of no round
  Engine::Round* round = nullptr;     // or null; its tokens are the drawn one and the guesses

  std::span<const TokenId> tokens() const {
    return round ? std::span<const TokenId>(round->tokens) : addition;
  }
  /// Rows at its end whose logits are wanted: those behind every token of a round.
  int wanted() const { return round ? static_cast<int>(round->tokens.size()) : 1; }
};

/// Draws the first token of each round; members of those that go on.
std::vector<Member> begin_rounds(ops::Backend& backend, std::span<Engine::Round> rounds,
                                 std::span<TimelineSession* const> sessions) {
  std::vector<ops::Draw> draws;
  for (size_t i = 0; i < rounds.size(); ++i) {
    draws.push_back(sessions[i]->draw(*rounds[i].sampling, sessions[i]->last_logits(), {}));
  }
  std::vector<TokenId> drawn(rounds.size());
  if (!draws.empty()) backend.sample(draws, drawn);
  std::vector<Member> members;
  for (size_t i = 0; i < rounds.size(); ++i) {
    Engine::Round& round = rounds[i];
    round.tokens.clear();
    const TokenId token = ops::require_token(drawn[i], draws[i].position);
    if (round.drawn && !round.drawn(token)) continue;
    sessions[i]->check({}, sessions[i]->length() + 1);
    round.tokens.push_back(token);
    members.push_back({sessions[i], {}, &round});
  }
  return members;
}

/// Guesses behind the drawn tokens, cut behind the first stop token. Each is drawn with the random
/// number of its position: where draft and model agree about the distribution they then agree about
/// the token.
void look_ahead(const EngineSettings& settings, ops::Backend& backend, model::Forward& forward,
                std::span<const Member> members) {
  const auto is_stop = [](const Engine::Round& round, TokenId token) {
    return std::find(round.stops.begin(), round.stops.end(), token) != round.stops.end();
  };
  std::vector<model::Proposal> proposals;
  std::vector<const Member*> owners;
  for (const Member& member : members) {
    const Engine::Round& round = *member.round;
    const int64_t left = settings.context_length - member.session->length();
    const int64_t count =
        std::min<int64_t>(settings.draft_tokens, std::min(round.max_tokens, left) - 1);
    if (count < 1 || is_stop(round, round.tokens.front())) continue;
    proposals.push_back(member.session->proposal(round.tokens.front(), count));
    owners.push_back(&member);
  }
  if (proposals.empty()) return;
  forward.propose(proposals, [&](std::span<const model::Guess> guesses) {
    std::vector<ops::Draw> draws;
    for (const model::Guess& guess : guesses) {
      const Member& owner = *owners[guess.proposal];
      draws.push_back(
          owner.session->draw(*owner.round->sampling, guess.logits, owner.round->tokens));
    }
    std::vector<TokenId> drawn(draws.size());
    backend.sample(draws, drawn);
    for (size_t i = 0; i < guesses.size(); ++i) {
      owners[guesses[i].proposal]->round->tokens.push_back(
          ops::require_token(drawn[i], draws[i].position));
    }
    return drawn;
  });
  for (const Member* owner : owners) {
    std::vector<TokenId>& tokens = owner->round->tokens;
    const auto stop = std::find_if(tokens.begin(), tokens.end(),
                                   [&](TokenId token) { return is_stop(*owner->round, token); });
    if (stop != tokens.end()) tokens.erase(stop + 1, tokens.end());
  }
}

/// Ends the pass for some members, the rows of whose wanted logits lie end to end. The first token
/// of a round was drawn from the pass before; a guess stays when it equals the draw from the row in
/// front of it.
void settle(ops::Backend& backend, std::span<const Member> members, ops::Floats logits) {
  std::vector<ops::Draw> draws;
  int64_t row = 0;
  for (const Member& member : members) {
    const std::span<const TokenId> tokens = member.tokens();
    for (int i = 1; i < member.wanted(); ++i) {
      draws.push_back(member.session->draw(*member.round->sampling,
                                           ops::row_of(logits, row + i - 1),
                                           tokens.first(static_cast<size_t>(i))));
    }
    row += member.wanted();
  }
  std::vector<TokenId> drawn(draws.size());
  if (!draws.empty()) backend.sample(draws, drawn);

  row = 0;
  size_t next = 0;
  for (const Member& member : members) {
    const auto wanted = static_cast<size_t>(member.wanted());
    if (member.round) {
      size_t kept = 1;
      while (kept < wanted &&
             ops::require_token(drawn[next + kept - 1], draws[next + kept - 1].position) ==
                 member.round->tokens[kept]) {
        ++kept;
      }
      member.session->settle(member.round->tokens, kept,
                             ops::row_of(logits, row + static_cast<int64_t>(kept) - 1));
      member.round->tokens.resize(kept);
    } else {
      member.session->commit(member.addition, ops::row_of(logits, row));
    }
    next += wanted - 1;
    row += static_cast<int64_t>(wanted);
  }
}

}  // namespace

void LoadedEngine::pass(std::span<Round> rounds, std::span<const Addition> additions) {
  std::vector<TimelineSession*> sessions;
  const auto join = [&](Session* session) {
    auto* timeline = dynamic_cast<TimelineSession*>(session);
    DS4_CHECK(timeline && &timeline->engine() == this, "a session of another engine");
    DS4_CHECK(std::find(sessions.begin(), sessions.end(), timeline) == sessions.end(),
              "the same session twice");
    sessions.push_back(timeline);
    return timeline;
  };
  int64_t rows = std::ssize(rounds) * (1 + settings_.draft_tokens);
  for (const Round& round : rounds) {
    join(round.session);
    if (round.max_tokens < 1) {
      refuse("max_tokens is " + std::to_string(round.max_tokens) + " in a round of decoding",
             "Ask for at least one token.");
    }
  }
  std::vector<Member> members;
  for (const auto& [session, tokens] : additions) {
    TimelineSession* timeline = join(session);
    const auto n = static_cast<int64_t>(tokens.size());
    if (n < 1 || n > settings_.prefill_chunk) {
      refuse(std::to_string(n) + " tokens for one session; 1 to " +
                 std::to_string(settings_.prefill_chunk) + " can be appended at once",
             "Split longer prompts into chunks.");
    }
    timeline->check(tokens, timeline->length() + n);
    members.push_back({timeline, tokens});
    rows += n;
  }
  if (rows > max_rows()) {
    refuse(std::to_string(rows) + " tokens over all sessions; " + std::to_string(max_rows()) +
               " can be computed at once",
           "Leave some sessions for the next call.");
  }

  const std::vector<Member> decoding = begin_rounds(*backend_, rounds, sessions);
  look_ahead(settings_, *backend_, *forward_, decoding);
  members.insert(members.end(), decoding.begin(), decoding.end());
  if (members.empty()) return;
  std::vector<model::SequenceRows> batch;
  for (const Member& member : members) batch.push_back(member.session->begin(member.tokens()));
  forward_->run(batch);
  // Neighbouring rows go through the head together, because the head's weights are large.
  int row = 0;
  for (size_t begin = 0; begin < members.size();) {
    const auto leading = [&](size_t i) {
      return static_cast<int>(members[i].tokens().size()) - members[i].wanted();
    };
    row += leading(begin);
    int count = members[begin].wanted();
    size_t end = begin + 1;
    while (end < members.size() && leading(end) == 0 &&
           count + members[end].wanted() <= model::Workspace::kLogitRows) {
      count += members[end++].wanted();
    }
    settle(*backend_, std::span(members).subspan(begin, end - begin),
           forward_->compute_logits(row, count));
    row += count;
    begin = end;
  }
}

}  // namespace ds4::session
