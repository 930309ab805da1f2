// One request to a server and what came of it: bytes made from a request, and a Response made from
// bytes. Knows nothing of profiles, threads or work.
#pragma once

#include <string>
#include <string_view>

#include "profiles/schema/server_address.h"
#include "runners/http/client.h"
#include "runners/openai/body.h"
#include "runners/openai/counts.h"
#include "runners/openai/stream.h"
#include "runners/targets/http_live.h"
#include "runners/targets/target.h"

namespace ds4::runners {

/// What a server is known to do, beyond what a profile says of it.
struct ServerHabits {
  std::string model;
  bool chat = true;              // conversations are sent as such; else as DeepSeek's raw prompt
  bool streams = true;           // an answer comes in pieces
  bool end_mark = true;          // a whole stream ends with [DONE]
  bool states_counts = true;     // a whole answer comes with its usage
  bool usage_each = false;       // every piece states the counts so far
  bool plain_prompts = false;    // raw prompts can go out without a begin token in front
  bool adds_begin = false;       // and put one in front all the same
  bool marks_reasoning = false;  // reasoning stands in the text, before </think>
  bool raw_logprobs = false;     // answers to raw prompts have log-probabilities
  openai::ThinkingSwitch thinking = openai::ThinkingSwitch::kNone;
};

/// A reply as it came.
struct Exchange {
  http::Reply reply;
  openai::Answer answer;
  bool streamed = false;  // as events; else one object
};

/// Posts the body and reads the reply to its end; the clock of the answer's times is the monotonic
/// one. `live` is fed while a stream comes; reading ends early when the answer is `enough`.
Exchange ask(http::Client& client, const profiles::ServerAddress& address, const openai::Body& body,
             LiveText* live = nullptr, bool (*enough)(const openai::Answer&) = nullptr);

/// Why there is no answer, in one sentence, and of which kind; kNone when there is one.
struct Judged {
  Failure failure = Failure::kNone;
  std::string why;
};
Judged judge(const Exchange& exchange, const ServerHabits& habits);

/// The request in the protocol's words.
openai::Body body_of(const Request& request, const ServerHabits& habits);

/// Whether reasoning and calls are to be looked for in the text of its answer.
bool parses_text(const Request& request, const ServerHabits& habits);

/// Bytes of all that the model reads of a request.
int64_t prompt_bytes(const Request& request);

/// How many tokens a prompt should be.
struct ExpectedPrompt {
  int64_t tokens = 0;
  bool exact = false;  // by the server's own tokenizer; else an estimate
};

/// The reply as a target's answer.
Response response_of(Exchange exchange, const Request& request, const ServerHabits& habits,
                     const ExpectedPrompt& expected);

}  // namespace ds4::runners
