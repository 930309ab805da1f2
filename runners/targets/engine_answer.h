// One answer of the embedded engine in the making: a session, what was drawn so far, and when.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/scores.h"
#include "engine/api/session.h"
#include "runners/targets/target.h"

namespace ds4::runners {

class EngineAnswer {
 public:
  /// The clock starts here. `session` is borrowed; `prompt` fits it, the answer included.
  EngineAnswer(Work& work, Work::Item item, std::vector<TokenId> prompt, Session& session,
               std::shared_ptr<const Tokenizer> tokenizer);

  /// Computes the prompt, or what of it the session does not have yet.
  void read_prompt();
  bool finished() const { return !finish_reason_.empty(); }
  Session& session() { return session_; }

  /// Draws the next token and takes it into the answer. Nothing when it ended the answer; else it
  /// is to be appended to the session before the next draw.
  std::optional<TokenId> draw();
  /// The same and the append, with the session's drafts behind them.
  void round();
  /// Hands the response to the work.
  void deliver();

 private:
  double elapsed() const;
  /// Both false when the token was the last; arrive() notes the time of a drawn one.
  bool take(TokenId token);
  bool arrive(TokenId drawn);

  Work& work_;
  const Work::Item item_;
  const std::vector<TokenId> prompt_;
  Session& session_;
  const TokenId eos_;
  const double start_;
  SamplingSettings sampling_;
  StopStrings stops_;
  StreamDecoder stream_;
  Response response_;
  std::string finish_reason_;
};

}  // namespace ds4::runners
