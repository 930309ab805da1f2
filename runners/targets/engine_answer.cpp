#include "runners/targets/engine_answer.h"

#include <limits>

#include "engine/api/kv_size.h"
#include "engine/base/clock.h"
#include "runners/engine_settings.h"

namespace ds4::runners {
namespace {

constexpr float kNever = -1000;  // the bias of a token that must not be drawn

std::vector<probes::Sample> draft_samples(const DraftCounts& counts, double time_s) {
  std::vector<probes::Sample> samples;
  if (counts.rounds == 0 || counts.drafted.empty()) return samples;
  const auto add = [&](const std::string& metric, double value) {
    samples.push_back({metric, value, time_s, "decode"});
  };
  const auto rounds = static_cast<double>(counts.rounds);
  double kept = 0;
  for (size_t i = 0; i < counts.drafted.size(); ++i) {
    const auto accepted = static_cast<double>(counts.accepted[i]);
    kept += accepted;
    if (counts.drafted[i] > 0) {
      add("acceptance_rate_" + std::to_string(i + 1),
          accepted / static_cast<double>(counts.drafted[i]));
    }
  }
  add("decode_rounds", rounds);
  add("acceptance_length", (rounds + kept) / rounds);
  return samples;
}

}  // namespace

EngineAnswer::EngineAnswer(Work& work, Work::Item item, std::vector<TokenId> prompt,
                           Session& session, std::shared_ptr<const Tokenizer> tokenizer)
    : work_(work),
      item_(std::move(item)),
      prompt_(std::move(prompt)),
      session_(session),
      tokenizer_(tokenizer),
      eos_(tokenizer->eos()),
      start_(monotonic_seconds()),
      sampling_(sampling_settings(item_.request.limits)),
      stops_(item_.request.limits.ignore_end ? std::vector<std::string>{}
                                             : item_.request.limits.sampling.stop),
      stream_(std::move(tokenizer)),
      parser_(item_.request.conversation.thinking) {
  if (item_.request.limits.ignore_end) sampling_.logit_bias.push_back({eos_, kNever});
  response_.prompt_tokens = std::ssize(prompt_);
  if (tells_prompt() && !prompt_.empty()) {
    session_.extend_to(std::span(prompt_).first(1));
    response_.prompt_logprobs.push_back({prompt_[0], tokenizer_->token_bytes(prompt_[0]), {}});
    if (prompt_.size() > 1) {
      response_.prompt_logprobs.push_back(logprob_of(prompt_[1], session_.logits()));
    }
  } else {
    response_.cached_tokens = session_.rewind(prompt_);
  }
  if (!reading()) prompt_at();
}

TokenLogprob EngineAnswer::logprob_of(TokenId token, std::span<const float> logits) const {
  const Logprobs found = log_probabilities(logits, {&token, 1}, item_.request.limits.logprobs.top);
  TokenLogprob told{token, tokenizer_->token_bytes(token), found.of.front()};
  for (const ds4::TokenLogprob& likely : found.top) {
    told.top.push_back({likely.token, tokenizer_->token_bytes(likely.token), likely.logprob});
  }
  return told;
}

void EngineAnswer::read_telling() {
  const auto most = std::numeric_limits<int64_t>::max() / 2;  // next_part() adds to it
  const size_t end = static_cast<size_t>(session_.length() + std::ssize(part(most).tokens));
  const size_t vocab = session_.logits().size();
  session_.extend_to(
      std::span(prompt_).first(end), nullptr, [&](int64_t position, std::span<const float> rows) {
        auto next = static_cast<size_t>(position) + 1;
        for (; !rows.empty() && next < prompt_.size(); ++next) {
          response_.prompt_logprobs.push_back(logprob_of(prompt_[next], rows.first(vocab)));
          rows = rows.subspan(vocab);
        }
      });
}

double EngineAnswer::elapsed() const {
  return monotonic_seconds() - start_;
}

Engine::Addition EngineAnswer::part(int64_t most) const {
  return {&session_, session_.next_part(prompt_, most)};
}

void EngineAnswer::prompt_at() {
  if (!reading()) kv_bytes_ = kv_bytes(session_);
  if (!work_.progress(item_.id, session_.length(), 0)) {
    finish_reason_ = "cancelled";
  } else if (!reading() && item_.request.limits.max_tokens < 1) {
    finish_reason_ = "length";
  }
}

void EngineAnswer::show(const std::string& text, Pieces pieces) {
  response_.answer.text += text;
  if (item_.request.raw) {
    pieces.content = text;
  } else {
    StreamParser::Delta delta = parser_.push(text);
    pieces.reasoning = std::move(delta.reasoning);
    pieces.content = std::move(delta.content);
  }
  hand_on(std::move(pieces));
}

void EngineAnswer::hand_on(Pieces pieces) {
  pieces.tokens = response_.completion_tokens;
  if (!pieces.empty()) work_.text(item_.id, pieces);
}

bool EngineAnswer::take(TokenId token, Pieces pieces) {
  ++response_.completion_tokens;
  if (token == eos_) {
    hand_on(std::move(pieces));
    finish_reason_ = "stop";
    return false;
  }
  show(stops_.push(stream_.push(token)), std::move(pieces));
  if (stops_.stopped()) {
    finish_reason_ = "stop";
  } else if (!work_.progress(item_.id, response_.prompt_tokens, response_.completion_tokens)) {
    finish_reason_ = "cancelled";
  } else if (response_.completion_tokens == item_.request.limits.max_tokens) {
    finish_reason_ = "length";
  }
  return !finished();
}

bool EngineAnswer::arrive(TokenId drawn) {
  // A token has arrived when it is drawn, a pass before it is computed.
  response_.events.push_back({elapsed(), 1});
  Pieces pieces;
  if (item_.request.limits.logprobs.answer) {
    pieces.logprobs.push_back(logprob_of(drawn, session_.logits()));
    response_.logprobs.push_back(pieces.logprobs.back());
  }
  return take(drawn, std::move(pieces));
}

Engine::Round EngineAnswer::round() {
  const int64_t left = item_.request.limits.max_tokens - response_.completion_tokens;
  return {.session = &session_,
          .sampling = &sampling_,
          // Only of a drawn token the logits are at hand, so that none is guessed beside it.
          .max_tokens = item_.request.limits.logprobs.answer ? 1 : left,
          .stops = {&eos_, 1},
          .drawn = [this](TokenId drawn) { return arrive(drawn); }};
}

void EngineAnswer::take(const Engine::Round& round) {
  if (round.tokens.size() <= 1) return;
  TokenEvent drafts{elapsed(), 0};
  for (size_t i = 1; i < round.tokens.size() && !finished(); ++i) {
    ++drafts.n_tokens;
    take(round.tokens[i]);
  }
  response_.events.push_back(drafts);
}

void EngineAnswer::deliver() {
  if (!response_.events.empty()) response_.first_token_s = response_.events.front().time_s;
  suites::Answer& answer = response_.answer;
  std::string tail = stops_.push(stream_.finish());
  show(tail += stops_.finish(), {});
  answer.finish_reason = finish_reason_;
  response_.samples = draft_samples(session_.draft_counts(), elapsed());
  response_.samples.push_back({"kv_cache", static_cast<double>(kv_bytes_), elapsed(), "prefill"});
  response_.end_s = elapsed();
  if (item_.request.raw) {
    answer.content = answer.text;
  } else {
    ParsedCompletion parsed;
    StreamParser::Delta rest = parser_.finish(parsed);
    hand_on({std::move(rest.reasoning), std::move(rest.content)});
    answer.reasoning = std::move(parsed.reasoning);
    answer.content = std::move(parsed.content);
    answer.tool_calls = std::move(parsed.tool_calls);
  }
  work_.done(item_.id, std::move(response_));
}

}  // namespace ds4::runners
