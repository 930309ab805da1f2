#include "runners/targets/engine_answer.h"

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
      eos_(tokenizer->eos()),
      start_(monotonic_seconds()),
      sampling_(sampling_settings(item_.request.limits)),
      stops_(item_.request.limits.ignore_end ? std::vector<std::string>{}
                                             : item_.request.limits.sampling.stop),
      stream_(std::move(tokenizer)) {
  if (item_.request.limits.ignore_end) sampling_.logit_bias.push_back({eos_, kNever});
  response_.prompt_tokens = std::ssize(prompt_);
  response_.cached_tokens = session_.rewind(prompt_);
  if (!reading()) prompt_at();
}

double EngineAnswer::elapsed() const {
  return monotonic_seconds() - start_;
}

Engine::Addition EngineAnswer::part(int64_t most) const {
  return {&session_, session_.next_part(prompt_, most)};
}

void EngineAnswer::prompt_at() {
  if (!work_.progress(item_.id, session_.length(), 0)) {
    finish_reason_ = "cancelled";
  } else if (!reading() && item_.request.limits.max_tokens < 1) {
    finish_reason_ = "length";
  }
}

bool EngineAnswer::take(TokenId token) {
  ++response_.completion_tokens;
  if (token == eos_) {
    finish_reason_ = "stop";
    return false;
  }
  response_.answer.text += stops_.push(stream_.push(token));
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
  return take(drawn);
}

Engine::Round EngineAnswer::round() {
  return {.session = &session_,
          .sampling = &sampling_,
          .max_tokens = item_.request.limits.max_tokens - response_.completion_tokens,
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
  answer.text += stops_.push(stream_.finish());
  answer.text += stops_.finish();
  answer.finish_reason = finish_reason_;
  response_.samples = draft_samples(session_.draft_counts(), elapsed());
  response_.end_s = elapsed();
  const ParsedCompletion parsed =
      parse_completion(answer.text, item_.request.conversation.thinking, ParseMode::kTolerant);
  answer.reasoning = parsed.reasoning;
  answer.content = parsed.content;
  answer.tool_calls = parsed.tool_calls;
  work_.done(item_.id, std::move(response_));
}

}  // namespace ds4::runners
