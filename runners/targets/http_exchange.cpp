#include "runners/targets/http_exchange.h"

#include <algorithm>
#include <optional>

#include "engine/api/text.h"
#include "engine/base/check.h"
#include "runners/openai/piece.h"
#include "runners/scoring.h"

namespace ds4::runners {
namespace {

constexpr std::string_view kThinkBegin = "<think>", kThinkEnd = "</think>";

bool is_html(const http::Reply& reply) {
  return reply.content_type == "text/html" || reply.content_type == "application/xhtml+xml";
}

// Draws depend on seed and sequence; a server takes one number, of 31 bits where it is strict.
int64_t seed_of(const suites::GenerationLimits& limits) {
  const uint64_t mixed =
      (limits.seed * 0x9E3779B97F4A7C15u) ^ (limits.sequence * 0xBF58476D1CE4E5B9u);
  return static_cast<int64_t>((mixed ^ (mixed >> 29)) & 0x7FFFFFFF);
}

// All that came, in one text. Calls without their ids, which a server draws anew for each answer:
// equal answers are equal texts (docs/agreement.md).
std::string raw_text(const suites::Answer& answer) {
  std::string text;
  if (!answer.reasoning.empty()) {
    text.append(kThinkBegin).append(answer.reasoning).append(kThinkEnd);
  }
  text += answer.content;
  std::vector<ToolCall> calls = answer.tool_calls;
  for (ToolCall& call : calls) call.id.clear();
  if (!calls.empty()) text += tool_calls_to_json(calls);
  return text;
}

// Servers list the token that came beside the likeliest, where it is none of them.
void cut_tops(std::vector<TokenLogprob>& tokens, int64_t wanted) {
  for (TokenLogprob& token : tokens) {
    if (std::ssize(token.top) > wanted) token.top.resize(static_cast<size_t>(wanted));
  }
}

// An echo puts the prompt in front of the answer, its text and its tokens.
void take_echo(openai::Answer& came, const Request& request, Response& response) {
  cut_tops(came.logprobs, request.limits.logprobs.top);
  if (request.limits.logprobs.prompt) {
    const std::string& prompt = request.raw ? request.raw->text : "";
    if (came.content.starts_with(prompt)) came.content.erase(0, prompt.size());
    const auto n = std::clamp<int64_t>(response.prompt_tokens, 0, std::ssize(came.logprobs));
    response.prompt_logprobs.assign(came.logprobs.begin(), came.logprobs.begin() + n);
    came.logprobs.erase(came.logprobs.begin(), came.logprobs.begin() + n);
    int64_t echoed = n;
    for (openai::Arrival& arrival : came.arrivals) {
      const auto part = std::min<int64_t>(echoed, arrival.tokens);
      arrival.tokens -= static_cast<decltype(arrival.tokens)>(part);
      echoed -= part;
    }
  }
}

suites::Answer take_answer(openai::Answer& came, const Request& request,
                           const ServerHabits& habits) {
  suites::Answer answer;
  answer.finish_reason = came.finish_reason == "tool_calls" || came.finish_reason == "function_call"
                             ? "stop"
                             : came.finish_reason;
  if (request.raw) {
    answer.text = answer.content = std::move(came.content);
    return answer;
  }
  if (parses_text(request, habits)) {
    answer.text = std::move(came.content);
    const ParsedCompletion parsed =
        parse_completion(answer.text, request.conversation.thinking, ParseMode::kTolerant);
    answer.reasoning = parsed.reasoning;
    answer.content = parsed.content;
    answer.tool_calls = came.tool_calls.empty() ? parsed.tool_calls : std::move(came.tool_calls);
    return answer;
  }
  answer.content = std::move(came.content);
  answer.reasoning = std::move(came.reasoning);
  answer.tool_calls = std::move(came.tool_calls);
  answer.text = raw_text(answer);
  return answer;
}

Judged judge_transport(const Exchange& exchange) {
  const http::Reply& reply = exchange.reply;
  switch (reply.trouble) {
    case http::Trouble::kNone:
    case http::Trouble::kCancelled:
      return {};
    case http::Trouble::kLate:
      return {Failure::kLate, reply.what};
    case http::Trouble::kUnreachable:
    case http::Trouble::kLost:
      break;
  }
  // An answer that is whole stays so when the connection ends badly behind it.
  if (exchange.streamed && exchange.answer.end_mark) return {};
  return {reply.status == 200 ? Failure::kBroken : Failure::kRefused, reply.what};
}

Judged judge_head(const http::Reply& reply) {
  const std::string status = "HTTP " + std::to_string(reply.status);
  if (reply.status >= 300 && reply.status < 400) {
    return {Failure::kRefused, status + ": the server is elsewhere (" + reply.location +
                                   "); name that place in `server.url`"};
  }
  if (reply.status != 200)
    return {Failure::kRefused, status + ": " + openai::read_error(reply.body)};
  if (is_html(reply)) {
    return {Failure::kRefused,
            "the reply is a web page, no answer: `server.url` may lead to "
            "something else, or a proxy stands between"};
  }
  return {};
}

}  // namespace

Exchange ask(http::Client& client, const profiles::ServerAddress& address, const openai::Body& body,
             LiveText* live, bool (*enough)(const openai::Answer&)) {
  Exchange exchange;
  std::optional<openai::AnswerReader> reader;
  const auto on_bytes = [&](const http::Reply& head, std::string_view bytes, double time_s) {
    if (is_html(head)) return false;
    if (!reader) {
      // By what comes, not by what was asked for: servers ignore `stream`, or the type.
      exchange.streamed = head.content_type == "text/event-stream" ||
                          (body.stream && head.content_type != "application/json");
      reader.emplace(exchange.streamed);
    }
    const bool more = reader->feed(bytes, time_s);
    if (live && exchange.streamed) live->grow(reader->answer());
    return more && !(enough && enough(reader->answer()));
  };
  const std::string path = address.base + "/" + std::string(openai::endpoint(body));
  exchange.reply = client.send({path, openai::write_body(body)}, on_bytes);
  if (reader) {
    reader->finish(exchange.reply.end_s);
    if (live && exchange.streamed) live->grow(reader->answer());
    exchange.answer = reader->take();
  }
  return exchange;
}

Judged judge(const Exchange& exchange, const ServerHabits& habits) {
  const http::Reply& reply = exchange.reply;
  const openai::Answer& answer = exchange.answer;
  if (reply.trouble == http::Trouble::kCancelled) return {};
  if (reply.status != 0) {
    if (Judged head = judge_head(reply); head.failure != Failure::kNone) return head;
  }
  if (!answer.error.empty()) return {Failure::kRefused, "the server: " + answer.error};
  if (Judged transport = judge_transport(exchange); transport.failure != Failure::kNone) {
    return transport;
  }
  if (!answer.problem.empty()) {
    return {exchange.streamed ? Failure::kBroken : Failure::kRefused, answer.problem};
  }
  const bool whole = answer.end_mark || (!habits.end_mark && !answer.finish_reason.empty());
  if (!whole) return {Failure::kBroken, "the stream ended without its end mark [DONE]"};
  if (answer.finish_reason.empty()) {
    return {Failure::kBroken, "the answer ended without a finish reason"};
  }
  const bool counted = answer.usage && answer.usage->completion_tokens >= 0;
  if (habits.states_counts && !counted) {
    return {Failure::kBroken,
            "the answer ended without its token counts, which the server stated "
            "before"};
  }
  return {};
}

openai::Body body_of(const Request& request, const ServerHabits& habits) {
  openai::Body body;
  body.model = habits.model;
  body.conversation = request.conversation;
  if (request.raw) {
    body.prompt = request.raw;
    body.plain_prompt = habits.plain_prompts;
  } else if (!habits.chat) {
    Conversation bare = request.conversation;
    bare.has_context_prefix = habits.adds_begin;  // then there is no second one
    body.prompt = suites::RawPrompt{render_prompt(bare, Release::kApril)};
    body.plain_prompt = habits.plain_prompts;
  }
  body.max_tokens = request.limits.max_tokens;
  body.sampling = request.limits.sampling;
  if (body.sampling.temperature > 0) body.seed = seed_of(request.limits);
  body.ignore_end = request.limits.ignore_end;
  body.stream = habits.streams;
  body.stream_usage = habits.streams && habits.states_counts;
  body.usage_each = habits.usage_each;
  body.thinking = habits.thinking;
  const suites::WantedLogprobs& wanted = request.limits.logprobs;
  body.logprobs = wanted.answer || wanted.prompt;
  body.top_logprobs = static_cast<int>(wanted.top);
  if (wanted.prompt) {
    body.echo = true;
    body.stream = body.stream_usage = body.usage_each = false;
  }
  return body;
}

bool parses_text(const Request& request, const ServerHabits& habits) {
  return !request.raw && (!habits.chat || habits.marks_reasoning);
}

int64_t prompt_bytes(const Request& request) {
  // A token has a byte at least, so that as many bytes bound them.
  if (request.raw) {
    return static_cast<int64_t>(request.raw->text.size() + request.raw->tokens.size());
  }
  size_t bytes = 0;
  for (const Message& message : request.conversation.messages) {
    bytes += message.content.size() + message.reasoning_content.size();
    for (const ContentPart& part : message.content_parts) bytes += part.text.size();
    for (const ToolCall& call : message.tool_calls)
      bytes += call.name.size() + call.arguments.size();
    for (const std::string& tool : message.tools) bytes += tool.size();
    bytes += message.response_format.size();
  }
  return static_cast<int64_t>(bytes);
}

Response response_of(Exchange exchange, const Request& request, const ServerHabits& habits,
                     const ExpectedPrompt& expected) {
  Response response;
  const http::Reply& reply = exchange.reply;
  Judged judged = judge(exchange, habits);
  response.failure = judged.failure;
  response.error = std::move(judged.why);
  response.end_s = reply.end_s - reply.begun_s;
  response.prompt_tokens = expected.tokens;
  const openai::Answer& came = exchange.answer;
  if (came.usage) {
    if (came.usage->prompt_tokens >= 0) response.prompt_tokens = came.usage->prompt_tokens;
    response.cached_tokens = std::max<int64_t>(0, came.usage->cached_tokens);
  }
  take_echo(exchange.answer, request, response);  // before what is left is counted
  const openai::Timeline timeline = openai::timeline_of(came);
  for (const openai::Tokens& tokens : timeline.tokens) {
    response.events.push_back({tokens.time_s - reply.begun_s, tokens.n});
  }
  response.completion_tokens = timeline.total;
  if (!response.events.empty()) response.first_token_s = response.events.front().time_s;
  const auto sample = [&](const char* metric, double value) {
    response.samples.push_back({metric, value, response.end_s, ""});
  };
  sample("transport_retries", reply.retries);
  if (reply.head_s >= 0) sample("reply_head_time", reply.head_s - reply.begun_s);
  if (came.first_content_s >= 0) sample("first_content_time", came.first_content_s - reply.begun_s);
  if (exchange.streamed) sample("stream_pieces", static_cast<double>(came.arrivals.size()));
  const bool cancelled = reply.trouble == http::Trouble::kCancelled;
  if (response.failure == Failure::kNone && !cancelled) {
    response.doubt = openai::doubt_of(
        came, {request.limits.max_tokens, prompt_bytes(request), expected.tokens, expected.exact});
  }
  if (request.limits.logprobs.answer) response.logprobs = std::move(exchange.answer.logprobs);
  response.answer = take_answer(exchange.answer, request, habits);
  if (cancelled) response.answer.finish_reason = "cancelled";
  return response;
}

}  // namespace ds4::runners
