#include "tests/support/chat_server.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace ds4::test_support {
namespace {

using nlohmann::json;

int64_t prompt_size(const json& body, const ChatPlay& play) {
  size_t bytes = 0;
  for (const json& message : body.value("messages", json::array())) {
    const std::string content = message.value("content", "");
    bytes += play.tokens_of ? static_cast<size_t>(play.tokens_of(content)) : content.size();
  }
  for (const json& tool : body.value("tools", json::array())) bytes += tool.dump().size();
  return static_cast<int64_t>(bytes);
}

// What a request says by the switch that is honoured; nothing when it does not use it.
std::optional<bool> asked_to_think(const json& body, const std::string& by) {
  const json kwargs = body.value("chat_template_kwargs", json::object());
  if (by == "chat_template_kwargs.thinking" && kwargs.contains("thinking")) {
    return kwargs["thinking"].get<bool>();
  }
  if (by == "chat_template_kwargs.enable_thinking" && kwargs.contains("enable_thinking")) {
    return kwargs["enable_thinking"].get<bool>();
  }
  if (by == "thinking.type" && body.contains("thinking")) {
    return body["thinking"]["type"] == "enabled";
  }
  if (by == "think" && body.contains("think")) return body["think"].get<bool>();
  if (by == "reasoning_effort" && body.contains("reasoning_effort")) {
    return body["reasoning_effort"] != "none";
  }
  return std::nullopt;
}

std::string data(const json& object) {
  return "data: " + object.dump() + "\n\n";
}

json delta_of(const json& delta, const json& finish_reason = nullptr) {
  return {{"object", "chat.completion.chunk"},
          {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish_reason}}}}};
}

json logprobs_of(const std::vector<std::string>& pieces, int64_t top) {
  json list = json::array();
  for (const std::string& piece : pieces) {
    json entry = {{"token", piece}, {"logprob", -0.25}, {"top_logprobs", json::array()}};
    for (int64_t i = 0; i < top; ++i) {
      entry["top_logprobs"].push_back(
          {{"token", i == 0 ? piece : "x"}, {"logprob", -0.25 * static_cast<double>(i + 1)}});
    }
    list.push_back(entry);
  }
  return {{"content", list}};
}

}  // namespace

std::string ChatServer::event(const std::string& content) {
  return data(delta_of({{"content", content}}));
}

ChatServer::ChatServer(ChatPlay play, int port)
    : play_(std::move(play)),
      server_([this](const HttpRequest& r, HttpConnection& c) { answer(r, c); }, port) {}

void ChatServer::answer(const HttpRequest& request, HttpConnection& connection) {
  const std::string type = "application/json";
  if (play_.any && play_.any(request, connection)) return;
  if (!play_.key.empty()) {
    const auto given = request.headers.find("authorization");
    const std::string sent = given == request.headers.end() ? "" : given->second;
    if (sent != "Bearer " + play_.key) {
      const json error = {{"message", "Incorrect API key provided: " + sent}};
      connection.reply(401, type, json{{"error", error}}.dump());
      return;
    }
  }
  if (request.path == "/v1/models") {
    connection.reply(200, type,
                     json{{"data", {{{"id", play_.model}, {"owned_by", "vllm"}}}}}.dump());
  } else if (request.path == "/health") {
    connection.reply(200, type, "");
  } else if (request.path == "/v1/chat/completions") {
    if (play_.chat && play_.chat(chats_++, request, connection)) return;
    answer_chat(request, connection);
  } else if (request.path == "/v1/completions" && play_.completions) {
    answer_raw(request, connection);
  } else if (request.path == "/tokenize" && play_.tokenize) {
    connection.reply(200, type,
                     json{{"count", prompt_size(json::parse(request.body), play_)}}.dump());
  } else {
    connection.reply(404, type, json{{"detail", "Not Found"}}.dump());
  }
}

void ChatServer::answer_chat(const HttpRequest& request, HttpConnection& connection) {
  const json body = json::parse(request.body);
  const bool thinks = asked_to_think(body, play_.thinking_switch).value_or(play_.thinks_by_itself);
  std::vector<std::string> thoughts = thinks ? play_.thoughts : std::vector<std::string>{};
  std::vector<std::string> pieces = play_.pieces;
  if (play_.reasoning_field.empty() && thinks) {
    thoughts.push_back("</think>");
    pieces.insert(pieces.begin(), thoughts.begin(), thoughts.end());
    thoughts.clear();
  }
  const auto room = body.value("max_tokens", size_t{1000});
  const bool cut = room < thoughts.size() + pieces.size();
  if (thoughts.size() > room) thoughts.resize(room);
  if (pieces.size() + thoughts.size() > room) pieces.resize(room - thoughts.size());
  const std::string finish = cut ? "length" : play_.finish_reason;
  const auto made = static_cast<int64_t>(thoughts.size() + pieces.size());
  const auto usage = [&](int64_t so_far) {
    const int64_t prompt = play_.prompt_tokens < 0 ? prompt_size(body, play_) : play_.prompt_tokens;
    const int64_t stated = play_.completion_tokens < 0 ? so_far : play_.completion_tokens;
    return json{{"prompt_tokens", prompt},
                {"completion_tokens", stated},
                {"total_tokens", prompt + stated}};
  };
  const auto joined = [](const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += part;
    return text;
  };
  const bool calls = play_.tools && body.contains("tools");
  if (!body.value("stream", false)) {
    json message = {{"role", "assistant"}, {"content", joined(pieces)}};
    if (!thoughts.empty()) message[play_.reasoning_field] = joined(thoughts);
    json choice = {{"index", 0}, {"message", message}, {"finish_reason", finish}};
    if (play_.logprobs && body.value("logprobs", false)) {
      choice["logprobs"] = logprobs_of(pieces, body.value("top_logprobs", int64_t{0}));
    }
    json reply = {{"choices", {choice}}};
    if (play_.usage) reply["usage"] = usage(made);
    connection.reply(200, "application/json", reply.dump());
    return;
  }
  const json options = body.value("stream_options", json::object());
  const bool each = play_.usage_each && options.value("continuous_usage_stats", false);
  connection.begin("text/event-stream; charset=utf-8");
  connection.chunk(data(delta_of({{"role", "assistant"}, {"content", ""}})));
  int64_t so_far = 0;
  const auto send = [&](const std::string& field, const std::string& text) {
    json chunk = delta_of({{field, text}});
    ++so_far;
    if (each) chunk["usage"] = usage(so_far);
    if (play_.logprobs && body.value("logprobs", false) && field == "content") {
      chunk["choices"][0]["logprobs"] = logprobs_of({text}, body.value("top_logprobs", int64_t{0}));
    }
    return connection.wait(play_.piece_ms / 1000.0) && connection.chunk(data(chunk));
  };
  for (const std::string& thought : thoughts) {
    if (!send(play_.reasoning_field, thought)) return;
  }
  for (const std::string& piece : pieces) {
    if (!send("content", piece)) return;
  }
  if (calls) {
    const json function = {{"name", "get_weather"}, {"arguments", R"({"city": "Paris"})"}};
    connection.chunk(data(
        delta_of({{"tool_calls", {{{"index", 0}, {"id", "call_1"}, {"function", function}}}}})));
  }
  connection.chunk(data(delta_of(json::object(), finish)));
  if (play_.usage && options.value("include_usage", false)) {
    connection.chunk(data({{"choices", json::array()}, {"usage", usage(made)}}));
  }
  if (play_.end_mark) connection.chunk("data: [DONE]\n\n");
  connection.end();
}

void ChatServer::answer_raw(const HttpRequest& request, HttpConnection& connection) {
  const json body = json::parse(request.body);
  const std::string prompt = body["prompt"].is_string() ? body["prompt"] : "";
  const std::string text = play_.pieces.empty() ? "" : play_.pieces.front();
  const json usage = {{"prompt_tokens", prompt.size()}, {"completion_tokens", 1}};
  json choice = {{"index", 0}, {"text", text}, {"finish_reason", "length"}};
  if (body.value("stream", false)) {
    connection.begin("text/event-stream");
    connection.chunk(data({{"choices", {choice}}}));
    connection.chunk(data({{"choices", json::array()}, {"usage", usage}}));
    connection.chunk("data: [DONE]\n\n");
    connection.end();
    return;
  }
  connection.reply(200, "application/json", json{{"choices", {choice}}, {"usage", usage}}.dump());
}

}  // namespace ds4::test_support
