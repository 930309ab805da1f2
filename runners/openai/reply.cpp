#include "runners/openai/reply.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "runners/openai/json.h"

namespace ds4::runners::openai {
namespace {

using Json = nlohmann::ordered_json;

std::string event(const Json& value) {
  return "data: " + dump_json(value) + "\n\n";
}

Json object_of(const ReplyHead& head, const char* kind) {
  return {{"id", head.id}, {"object", kind}, {"created", head.created}, {"model", head.model}};
}

Json usage_json(int64_t prompt_tokens, int64_t completion_tokens, int64_t cached_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}}};
}

Json usage_json(const Response& response) {
  return usage_json(response.prompt_tokens, response.completion_tokens, response.cached_tokens);
}

// JSON knows no infinity; the least a double says is as unlikely.
double as_number(double logprob) {
  return std::isfinite(logprob) ? logprob : -9999.0;
}

Json bytes_of(const std::string& text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json chat_logprobs(const std::vector<runners::TokenLogprob>& tokens) {
  Json content = Json::array();
  for (const runners::TokenLogprob& token : tokens) {
    Json top = Json::array();
    for (const auto& likely : token.top) {
      top.push_back({{"token", likely.text},
                     {"logprob", as_number(likely.logprob)},
                     {"bytes", bytes_of(likely.text)}});
    }
    content.push_back({{"token", token.text},
                       {"logprob", as_number(token.logprob.value_or(0))},
                       {"bytes", bytes_of(token.text)},
                       {"top_logprobs", std::move(top)}});
  }
  return {{"content", std::move(content)}};
}

// Lists side by side; the token itself is among the likely ones even when it was none. `offset`:
// characters in front of the first token.
Json text_logprobs(const std::vector<const runners::TokenLogprob*>& tokens) {
  Json names = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  int64_t offset = 0;
  for (const runners::TokenLogprob* token : tokens) {
    names.push_back(token->text);
    offsets.push_back(offset);
    for (const char c : token->text) offset += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (!token->logprob) {
      values.push_back(nullptr);
      tops.push_back(nullptr);
      continue;
    }
    values.push_back(as_number(*token->logprob));
    Json top = Json::object();
    for (const auto& likely : token->top) top[likely.text] = as_number(likely.logprob);
    top[token->text] = as_number(*token->logprob);
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

std::vector<const runners::TokenLogprob*> pointers(
    const std::vector<runners::TokenLogprob>& first,
    const std::vector<runners::TokenLogprob>& second) {
  std::vector<const runners::TokenLogprob*> all;
  for (const auto* list : {&first, &second}) {
    for (const runners::TokenLogprob& token : *list) all.push_back(&token);
  }
  return all;
}

std::vector<ToolCall> calls_of(const ReplyHead& head, const Body& body, const Response& response) {
  std::vector<ToolCall> calls = response.answer.tool_calls;
  if (!body.parallel_tool_calls && calls.size() > 1) calls.resize(1);
  const std::string stem = "call_" + head.id.substr(head.id.find('-') + 1) + "_";
  for (size_t i = 0; i < calls.size(); ++i) calls[i].id = stem + std::to_string(i);
  return calls;
}

std::string finish_reason(const Body& body, const Response& response) {
  const suites::Answer& answer = response.answer;
  const bool calls = !body.prompt && !answer.tool_calls.empty() && answer.finish_reason == "stop";
  return calls ? "tool_calls" : answer.finish_reason;
}

Json call_json(const ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json message_json(const ReplyHead& head, const Body& body, const Response& response) {
  Json message = {{"role", "assistant"}};
  const suites::Answer& answer = response.answer;
  const std::vector<ToolCall> calls = calls_of(head, body, response);
  if (answer.content.empty() && !calls.empty()) {
    message["content"] = nullptr;
  } else {
    message["content"] = answer.content;
  }
  if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
  for (const ToolCall& call : calls) message["tool_calls"].push_back(call_json(call));
  return message;
}

// A chunk of a stream; `choice` is all of its choice but the index.
Json chunk(const ReplyHead& head, const Body& body, Json choice) {
  Json out = object_of(head, body.prompt ? "text_completion" : "chat.completion.chunk");
  Json whole = {{"index", 0}};
  whole.update(choice);
  if (!whole.contains("finish_reason")) whole["finish_reason"] = nullptr;
  out["choices"] = Json::array({std::move(whole)});
  if (body.stream_usage) out["usage"] = nullptr;
  return out;
}

}  // namespace

std::string write_reply(const ReplyHead& head, const Body& body, const Response& response,
                        const std::string& echoed) {
  Json out = object_of(head, body.prompt ? "text_completion" : "chat.completion");
  Json choice = {{"index", 0}};
  if (body.prompt) {
    choice["text"] = echoed + response.answer.text;
  } else {
    choice["message"] = message_json(head, body, response);
  }
  choice["logprobs"] = nullptr;
  if (body.logprobs && body.prompt) {
    choice["logprobs"] = text_logprobs(pointers(response.prompt_logprobs, response.logprobs));
  } else if (body.logprobs) {
    choice["logprobs"] = chat_logprobs(response.logprobs);
  }
  choice["finish_reason"] = finish_reason(body, response);
  out["choices"] = Json::array({std::move(choice)});
  out["usage"] = usage_json(response);
  return dump_json(out);
}

std::string StreamWriter::begin(const std::string& echoed) const {
  if (!body_.prompt) {
    return event(chunk(head_, body_, {{"delta", {{"role", "assistant"}, {"content", ""}}}}));
  }
  return echoed.empty() ? "" : event(chunk(head_, body_, {{"text", echoed}}));
}

std::string StreamWriter::pieces(const Pieces& pieces, int64_t prompt_tokens) const {
  Json choice;
  if (body_.prompt) {
    choice["text"] = pieces.content;
  } else {
    Json delta = Json::object();
    if (!pieces.reasoning.empty()) delta["reasoning_content"] = pieces.reasoning;
    if (!pieces.content.empty()) delta["content"] = pieces.content;
    choice["delta"] = std::move(delta);
  }
  if (!pieces.logprobs.empty()) {
    choice["logprobs"] = body_.prompt ? text_logprobs(pointers(pieces.logprobs, {}))
                                      : chat_logprobs(pieces.logprobs);
  }
  Json out = chunk(head_, body_, std::move(choice));
  if (body_.usage_each) out["usage"] = usage_json(prompt_tokens, pieces.tokens, 0);
  return event(out);
}

std::string StreamWriter::end(const Response& response) const {
  std::string out;
  const auto add = [&](Json choice) { out += event(chunk(head_, body_, std::move(choice))); };
  if (!body_.prompt) {
    const std::vector<ToolCall> calls = calls_of(head_, body_, response);
    for (size_t i = 0; i < calls.size(); ++i) {
      Json named = call_json({calls[i].id, calls[i].name, ""});
      named["index"] = i;
      add({{"delta", {{"tool_calls", Json::array({named})}}}});
      const Json rest = {{"index", i}, {"function", {{"arguments", calls[i].arguments}}}};
      add({{"delta", {{"tool_calls", Json::array({rest})}}}});
    }
  }
  Json last = body_.prompt ? Json{{"text", ""}} : Json{{"delta", Json::object()}};
  last["finish_reason"] = finish_reason(body_, response);
  add(std::move(last));
  if (body_.stream_usage) {
    Json counts = object_of(head_, body_.prompt ? "text_completion" : "chat.completion.chunk");
    counts["choices"] = Json::array();
    counts["usage"] = usage_json(response);
    out += event(counts);
  }
  return out + "data: [DONE]\n\n";
}

std::string StreamWriter::failed(const Refusal& refusal) {
  return "data: " + write_error(refusal) + "\n\ndata: [DONE]\n\n";
}

std::string write_error(const Refusal& refusal) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  const char* type = refusal.status == 401   ? "authentication_error"
                     : refusal.status == 429 ? "rate_limit_error"
                     : refusal.status >= 500 ? "server_error"
                                             : "invalid_request_error";
  const Json out = {{"error",
                     {{"message", refusal.message},
                      {"type", type},
                      {"param", or_null(refusal.param)},
                      {"code", or_null(refusal.code)}}}};
  return dump_json(out);
}

std::string write_models(const ReplyHead& head, int64_t context_length) {
  Json model = {{"id", head.model},
                {"object", "model"},
                {"created", head.created},
                {"owned_by", "ds4-sweep"}};
  if (context_length > 0) model["max_model_len"] = context_length;
  const Json out = {{"object", "list"}, {"data", Json::array({model})}};
  return dump_json(out);
}

}  // namespace ds4::runners::openai
