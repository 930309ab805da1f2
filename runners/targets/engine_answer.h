// One answer of the embedded engine in the making: a session, what was drawn so far, and when.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/api/scores.h"
#include "engine/api/session.h"
#include "runners/targets/target.h"

namespace ds4::runners {

class EngineAnswer {
 public:
  /// The clock starts here. `session` is borrowed and goes back to what it has of the prompt, which
  /// fits it, the answer included.
  EngineAnswer(Work& work, Work::Item item, std::vector<TokenId> prompt, Session& session,
               std::shared_ptr<const Tokenizer> tokenizer);

  bool finished() const { return !finish_reason_.empty(); }
  Session& session() { return session_; }

  /// Whether part of the prompt is still to be computed.
  bool reading() const { return session_.length() < std::ssize(prompt_); }
  /// Whether the log-probabilities of the prompt are wanted: it is then read by read_telling(), in
  /// passes of its own, and nothing of it comes from the cache.
  bool tells_prompt() const { return item_.request.limits.logprobs.prompt; }
  void read_telling();
  /// Up to `most` tokens of that part, for the next pass.
  Engine::Addition part(int64_t most) const;
  /// To be called after every pass while the prompt is read or waits to be, and once when nothing
  /// of it had to be: tells the work how far it is.
  void prompt_at();

  /// The next round of the answer, for the next pass; takes the token that is drawn in it.
  Engine::Round round();
  /// After that pass: takes the drafts that were right.
  void take(const Engine::Round& round);
  /// Hands the response to the work.
  void deliver();

 private:
  double elapsed() const;
  /// Both false when the token was the last; arrive() notes the time of a drawn one.
  bool take(TokenId token, Pieces pieces = {});
  bool arrive(TokenId drawn);
  /// Adds a text to the answer and hands it on.
  void show(const std::string& text, Pieces pieces);
  void hand_on(Pieces pieces);
  TokenLogprob logprob_of(TokenId token, std::span<const float> logits) const;

  Work& work_;
  const Work::Item item_;
  const std::vector<TokenId> prompt_;
  Session& session_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const TokenId eos_;
  const double start_;
  SamplingSettings sampling_;
  StopStrings stops_;
  StreamDecoder stream_;
  StreamParser parser_;
  Response response_;
  std::string finish_reason_;
  int64_t kv_bytes_ = 0;  // behind the prompt
};

}  // namespace ds4::runners
