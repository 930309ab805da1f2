// One answer put together from the pieces a server sends, with when each came. Pure: bytes and
// times go in, the answer comes out; nothing here waits, throws or believes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runners/openai/cut_text.h"
#include "runners/openai/sse.h"
#include "runners/openai/types.h"

namespace ds4::runners::openai {

/// Text that came together. Servers put one token or several into a piece, and now and then part of
/// one.
struct Arrival {
  double time_s = 0;
  int64_t bytes = 0;
  int64_t tokens = 0;  // as this very piece states or lists them; 0 = it does not
};

/// What came of one request. Its texts are UTF-8 whatever the server cut.
struct Answer {
  std::string content, reasoning;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // "" = the server never gave one
  std::optional<Usage> usage;
  std::vector<TokenLogprob> logprobs;  // with an echo the prompt's are before the answer's
  std::vector<Arrival> arrivals;  // of content, reasoning and parts of calls; not of empty pieces
  double first_reasoning_s = -1, first_content_s = -1, finish_s = -1;  // -1 = never
  bool end_mark = false;  // of a stream: [DONE] came; of a whole reply: it is one
  std::string error;      // the server's words; not "" = it failed the request
  std::string problem;    // what is wrong with the bytes; not "" = they are not to be used
};

class AnswerReader {
 public:
  /// `streamed`: the bytes are events; else one JSON object, read at the end.
  explicit AnswerReader(bool streamed) : streamed_(streamed) {}

  /// Bytes as they arrive, at a time on the caller's clock. False: nothing more is wanted, for the
  /// answer is complete or spoilt.
  bool feed(std::string_view bytes, double time_s);
  /// To be called once when the bytes have ended, however that was.
  void finish(double time_s);

  const Answer& answer() const { return answer_; }
  Answer take() { return std::move(answer_); }  // for good

 private:
  void take_event(const SseEvent& event, double time_s);
  void take_piece(Piece piece, double time_s);
  int64_t take_calls(const std::vector<ToolCallDelta>& deltas);
  void end_texts();
  int64_t tokens_of(const Piece& piece);
  bool over() const {
    return answer_.end_mark || !answer_.problem.empty() || !answer_.error.empty();
  }

  bool streamed_;
  SseParser sse_;
  std::string body_;
  size_t bytes_ = 0;
  CutText content_, reasoning_;
  std::map<int64_t, size_t> call_places_;  // in answer_.tool_calls, by the server's index
  std::vector<CutText> arguments_;         // of answer_.tool_calls
  int64_t stated_tokens_ = 0;              // by the last piece with counts of its own
  Answer answer_;
};

}  // namespace ds4::runners::openai
