// The vocabulary of the OpenAI protocol as we speak it, in both directions: what a request may say
// and what comes back in pieces. Plain data; bytes are read and written by the files beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/chat.h"
#include "runners/targets/target.h"
#include "suites/suite.h"

namespace ds4::runners::openai {

/// How a request asks for thinking or against it. Servers honour one of these, each its own, and
/// ignore the others without a word.
enum class ThinkingSwitch {
  kNone,              // nothing is said: the server's default
  kTemplateThinking,  // "chat_template_kwargs": {"thinking": true} (vLLM, SGLang)
  kTemplateEnable,    // "chat_template_kwargs": {"enable_thinking": true} (llama.cpp, Qwen's)
  kThinkingType,      // "thinking": {"type": "enabled"} (the hosted API)
  kThink,             // "think": true (ds4-server)
  kReasoningEffort,   // "reasoning_effort": "high" or "none"
};

/// A request to /chat/completions, or with `prompt` to /completions.
struct Body {
  std::string model;
  Conversation conversation;                // tools and response formats are those of its messages
  std::optional<suites::RawPrompt> prompt;  // in place of the conversation
  bool plain_prompt = false;  // "add_special_tokens": false: no BOS in front of that (vLLM)
  int64_t max_tokens = 0;     // suites::kAsManyAsFit: the server's limit
  suites::Sampling sampling;
  std::optional<int64_t> seed;
  bool ignore_end = false;
  bool stream = false;
  bool stream_usage = false;  // the counts in a piece of their own at the end
  bool usage_each = false;    // and in every piece (vLLM)
  bool logprobs = false;      // of the answer's tokens
  int top_logprobs = 0;       // and of so many others at each place
  bool echo = false;          // completions: the prompt comes back, with its log-probabilities
  std::string tool_choice;    // "auto", "required", "none"; "" = not said
  bool parallel_tool_calls = true;                  // false: of several calls the first one counts
  ThinkingSwitch thinking = ThinkingSwitch::kNone;  // how conversation.thinking is said
};

/// Part of a tool call; the fragments of `arguments` with one index make up one call.
struct ToolCallDelta {
  int64_t index = 0;
  std::string id, name, arguments;
};

/// A number that was not stated is -1.
struct Usage {
  int64_t prompt_tokens = -1;
  int64_t completion_tokens = -1;
  int64_t cached_tokens = -1;
  int64_t reasoning_tokens = -1;
  bool operator==(const Usage&) const = default;
};

/// What one event of a stream says, or a whole reply: the same thing, with "delta" in the one and
/// "message" in the other.
struct Piece {
  bool has_choice = false;
  std::string content, reasoning;
  std::vector<ToolCallDelta> tool_calls;
  std::string finish_reason;  // "" = none yet
  std::optional<Usage> usage;
  std::vector<TokenLogprob> logprobs;
  std::string error;    // the server's words; not "" = it failed
  std::string problem;  // why the bytes are not what the protocol says; not "" = read no further
};

}  // namespace ds4::runners::openai
