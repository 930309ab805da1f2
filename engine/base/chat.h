// The vocabulary of a conversation, shared by the engine's chat encoder, the suites and every
// target. Plain data; no rendering (engine/text/chat_encoder) and no JSON parsing here.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ds4 {

enum class ThinkingMode { kChat, kThinking };

/// One function call of an assistant message. `arguments` is JSON text (normally an object).
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
  bool operator==(const ToolCall&) const = default;
};

/// A part of a list-valued content: type "text" carries `text`; other types have no rendering.
struct ContentPart {
  std::string type = "text";
  std::string text;
  bool operator==(const ContentPart&) const = default;
};

/// One message. Roles: system, user, assistant, tool, latest_reminder, developer (model.md 6.2).
struct Message {
  std::string role;
  std::string content;
  std::vector<ContentPart> content_parts;  // tool results only; used instead of content when set
  std::string reasoning_content;           // assistant only
  std::vector<ToolCall> tool_calls;        // assistant only
  std::string tool_call_id;                // tool only
  std::vector<std::string> tools;          // system/developer: OpenAI `function` objects, JSON text
  std::string response_format;             // system/developer: JSON text; empty = none
  std::string task;                        // quick-instruction task name; empty = none
  bool without_eos = false;                // assistant only (`wo_eos`)
  bool operator==(const Message&) const = default;
};

/// A conversation and how it is to be rendered.
struct Conversation {
  std::vector<Message> messages;
  ThinkingMode thinking = ThinkingMode::kChat;
  bool drop_thinking = true;
  std::string reasoning_effort;     // "", "low", "high", "max"
  bool has_context_prefix = false;  // an already encoded context precedes: no BOS
};

/// A completion taken apart (model.md 6.6).
struct ParsedCompletion {
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> tool_calls;
  bool well_formed = true;  // false: a tool block was begun but could not be parsed
};

}  // namespace ds4
