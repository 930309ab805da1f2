// Requests as the bytes that are posted.
#pragma once

#include <string>
#include <string_view>

#include "runners/openai/types.h"

namespace ds4::runners::openai {

/// "chat/completions" or "completions", under the server's base address.
std::string_view endpoint(const Body& body);

/// The JSON text. Settings at their defaults are left out where a server could refuse what it does
/// not know; tools and a response format move from the messages to where the protocol has them.
std::string write_body(const Body& body);

/// {"model":.., "messages":[..], "tools":[..], ...} alone: what vLLM's and SGLang's /tokenize and
/// llama.cpp's /apply-template take.
std::string write_messages(const Body& body);

/// The switch by the name that profiles and reports call it ("chat_template_kwargs.thinking"), and
/// all of them in the order in which they are tried.
std::string_view name_of(ThinkingSwitch thinking);
inline constexpr ThinkingSwitch kThinkingSwitches[] = {
    ThinkingSwitch::kTemplateThinking, ThinkingSwitch::kTemplateEnable,
    ThinkingSwitch::kThinkingType, ThinkingSwitch::kThink, ThinkingSwitch::kReasoningEffort};

}  // namespace ds4::runners::openai
