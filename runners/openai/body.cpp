#include "runners/openai/body.h"

#include <nlohmann/json.hpp>

#include "runners/openai/json.h"

namespace ds4::runners::openai {
namespace {

using json = nlohmann::ordered_json;  // servers make prompts of what tools say, in its order

// JSON that a suite wrote; what is none goes out as text, for the server to complain about.
json embedded(const std::string& text) {
  json value = parse_ordered(text);
  return value.is_discarded() ? json(text) : value;
}

json message_json(const Message& message) {
  json out = {{"role", message.role}};
  if (message.content_parts.empty()) {
    out["content"] = message.content;
  } else {
    out["content"] = json::array();
    for (const ContentPart& part : message.content_parts) {
      out["content"].push_back({{"type", part.type}, {"text", part.text}});
    }
  }
  if (!message.reasoning_content.empty()) out["reasoning_content"] = message.reasoning_content;
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  for (const ToolCall& call : message.tool_calls) {
    out["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return out;
}

void add_messages(json& out, const Conversation& conversation) {
  out["messages"] = json::array();
  for (const Message& message : conversation.messages) {
    for (const std::string& tool : message.tools) {
      out["tools"].push_back({{"type", "function"}, {"function", embedded(tool)}});
    }
    if (!message.response_format.empty()) {
      out["response_format"] = embedded(message.response_format);
    }
    // One that was there for its tools alone has nothing left to say.
    const bool bare = message.content.empty() && message.content_parts.empty() &&
                      (!message.tools.empty() || !message.response_format.empty());
    if (!bare) out["messages"].push_back(message_json(message));
  }
}

void add_thinking(json& out, const Body& body) {
  const bool on = body.conversation.thinking == ThinkingMode::kThinking;
  if (on && !body.conversation.reasoning_effort.empty()) {
    out["reasoning_effort"] = body.conversation.reasoning_effort;
  }
  switch (body.thinking) {
    case ThinkingSwitch::kNone:
      break;
    case ThinkingSwitch::kTemplateThinking:
      out["chat_template_kwargs"] = {{"thinking", on}};
      break;
    case ThinkingSwitch::kTemplateEnable:
      out["chat_template_kwargs"] = {{"enable_thinking", on}};
      break;
    case ThinkingSwitch::kThinkingType:
      out["thinking"] = {{"type", on ? "enabled" : "disabled"}};
      break;
    case ThinkingSwitch::kThink:
      out["think"] = on;
      break;
    case ThinkingSwitch::kReasoningEffort:
      if (!out.contains("reasoning_effort")) out["reasoning_effort"] = on ? "high" : "none";
      break;
  }
}

void add_sampling(json& out, const suites::Sampling& sampling) {
  const suites::Sampling plain;
  out["temperature"] = sampling.temperature;
  if (sampling.top_p != plain.top_p) out["top_p"] = sampling.top_p;
  if (sampling.top_k != plain.top_k) out["top_k"] = sampling.top_k;
  if (sampling.min_p != plain.min_p) out["min_p"] = sampling.min_p;
  if (sampling.repetition_penalty != plain.repetition_penalty) {
    out["repetition_penalty"] = sampling.repetition_penalty;
  }
  if (sampling.presence_penalty != plain.presence_penalty) {
    out["presence_penalty"] = sampling.presence_penalty;
  }
  if (sampling.frequency_penalty != plain.frequency_penalty) {
    out["frequency_penalty"] = sampling.frequency_penalty;
  }
  if (!sampling.stop.empty()) out["stop"] = sampling.stop;
}

}  // namespace

std::string_view endpoint(const Body& body) {
  return body.prompt ? "completions" : "chat/completions";
}

std::string write_body(const Body& body) {
  json out = {{"model", body.model}};
  if (body.prompt) {
    out["prompt"] =
        body.prompt->tokens.empty() ? json(body.prompt->text) : json(body.prompt->tokens);
    if (body.plain_prompt) out["add_special_tokens"] = false;
    if (body.logprobs) out["logprobs"] = body.top_logprobs;
    if (body.echo) out["echo"] = true;
  } else {
    add_messages(out, body.conversation);
    add_thinking(out, body);
    if (!body.tool_choice.empty()) out["tool_choice"] = body.tool_choice;
    if (body.logprobs) {
      out["logprobs"] = true;
      out["top_logprobs"] = body.top_logprobs;
    }
  }
  if (body.max_tokens != suites::kAsManyAsFit) out["max_tokens"] = body.max_tokens;
  add_sampling(out, body.sampling);
  if (body.seed) out["seed"] = *body.seed;
  if (body.ignore_end) out["ignore_eos"] = true;
  out["stream"] = body.stream;
  if (body.stream && body.stream_usage) {
    out["stream_options"] = {{"include_usage", true}};
    if (body.usage_each) out["stream_options"]["continuous_usage_stats"] = true;
  }
  return dump_json(out);
}

std::string write_messages(const Body& body) {
  json out = {{"model", body.model}};
  add_messages(out, body.conversation);
  add_thinking(out, body);
  return dump_json(out);
}

std::string_view name_of(ThinkingSwitch thinking) {
  switch (thinking) {
    case ThinkingSwitch::kNone:
      return "none";
    case ThinkingSwitch::kTemplateThinking:
      return "chat_template_kwargs.thinking";
    case ThinkingSwitch::kTemplateEnable:
      return "chat_template_kwargs.enable_thinking";
    case ThinkingSwitch::kThinkingType:
      return "thinking.type";
    case ThinkingSwitch::kThink:
      return "think";
    case ThinkingSwitch::kReasoningEffort:
      return "reasoning_effort";
  }
  return "";
}

}  // namespace ds4::runners::openai
