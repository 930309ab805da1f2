// What a client asks, read out of the bytes it posted: the other direction of body.h. Pure; a body
// is input from a stranger, so that nothing in it is believed and nothing throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runners/openai/types.h"

namespace ds4::runners::openai {

/// Why a request is not answered: the status and what the protocol's error object says.
struct Refusal {
  int status = 400;
  std::string message;
  std::string param = {};  // the key at fault, as "messages[2].content"; "" = none
  std::string code = {};   // "" = none
};

/// What a server does where a request says nothing.
struct Defaults {
  ThinkingMode thinking = ThinkingMode::kChat;
};

struct ReadBody {
  Body body;
  std::optional<Refusal> refusal;         // set: `body` is not to be used
  std::vector<std::string> unknown = {};  // keys that were ignored since nobody here knows them
};

/// A body posted to /chat/completions. Thinking is asked for in any of the ways of ThinkingSwitch;
/// an explicit switch goes before reasoning_effort, whose levels become those the model has.
ReadBody read_chat(std::string_view json, const Defaults& defaults);

/// A body posted to /completions: `prompt` is a text or a list of token ids (or a list of one
/// such).
ReadBody read_completion(std::string_view json);

/// A body posted to /tokenize: the members of one of the two above that make the prompt.
ReadBody read_tokenize(std::string_view json, const Defaults& defaults);

/// A body posted to /detokenize: {"tokens": [..]}, as tokens of Body::prompt.
ReadBody read_detokenize(std::string_view json);

}  // namespace ds4::runners::openai
