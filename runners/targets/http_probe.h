// What a server can do, found out by requests whose effects are looked at: servers ignore what they
// do not know, so that being accepted proves nothing.
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "profiles/schema/server_address.h"
#include "runners/http/client.h"
#include "runners/targets/http_exchange.h"

namespace ds4::runners {

/// How a server's tokenizer is asked.
enum class TokenizeForm {
  kNone,
  kMessages,  // /tokenize takes the messages and counts with the template (vLLM)
  kTemplate,  // /apply-template makes the prompt, /tokenize counts it (llama.cpp)
};

/// A request and its size in tokens as the server counted it.
struct CountedPrompt {
  Request request;
  int64_t tokens = 0;
};

struct ServerFindings {
  ServerHabits habits;
  Capabilities capabilities;                    // description and findings included
  TokenizeForm tokenize = TokenizeForm::kNone;  // whose counts were those of the answers
  std::vector<CountedPrompt> counted;           // two sizes, for estimates; empty = it states none
};

/// Asks a few short requests, each told to `on_phase` by what it is about. Throws Error(kMachine)
/// when the server cannot be reached or answers no request, Error(kProfile) when it lists another
/// model than the profile names.
ServerFindings probe_server(http::Client& client, const profiles::ServerAddress& address,
                            const profiles::ServerSection& server, const Target::OnPhase& on_phase);

/// Tokens of a conversation by the server's tokenizer; -1 when it does not tell.
int64_t ask_tokenizer(http::Client& client, const profiles::ServerAddress& address,
                      TokenizeForm form, const openai::Body& body);

}  // namespace ds4::runners
