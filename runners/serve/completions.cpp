#include "runners/serve/completions.h"

#include <httplib.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "runners/serve/peer.h"

namespace ds4::runners::serve {
namespace {

using namespace std::chrono_literals;

constexpr auto kGlance = 100ms;         // how often it is looked whether the client is still there
constexpr double kPatience_s = 10;      // for an error before a stream begins with status 200
constexpr double kCommentEvery_s = 10;  // so that nothing between takes a connection for dead

uint64_t random_number() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

openai::Refusal stopping() {
  return {503, "the server is stopping", "", "shutting_down"};
}

}  // namespace

void refuse(httplib::Response& reply, const openai::Refusal& refusal, Metrics& metrics) {
  metrics.refused(refusal.status);
  reply.status = refusal.status;
  if (refusal.status == 429 || refusal.status == 503) reply.set_header("Retry-After", "1");
  if (refusal.status == 401) reply.set_header("WWW-Authenticate", "Bearer");
  reply.set_content(openai::write_error(refusal), "application/json");
}

// One request on its way; a stream outlives the function that began it. When it goes, nobody waits
// for the answer any more.
struct Completions::Call {
  Call(openai::Body b, openai::ReplyHead h, const httplib::Request& request,
       std::atomic<int>& active)
      : body(std::move(b)),
        head(std::move(h)),
        writer(head, body),
        peer(request.remote_addr, request.remote_port, request.local_addr, request.local_port),
        path(request.path),
        begun_s(monotonic_seconds()),
        active_calls(active) {
    ++active_calls;
  }
  ~Call() {
    if (exchange) exchange->cancel();
    --active_calls;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const openai::Body body;
  const openai::ReplyHead head;
  const openai::StreamWriter writer;
  const Peer peer;
  const std::string path;
  const double begun_s;
  std::atomic<int>& active_calls;
  std::string echoed;
  std::shared_ptr<Exchange> exchange;
  Exchange::News first;  // of a stream: what came before it began
  bool begun = false;    // a stream has
  double last_write_s = 0;
  std::string text;  // of the answer, where it is logged
};

Completions::Completions(const Settings& settings, RequestQueue& queue, Metrics& metrics, Log& log)
    : settings_(settings),
      queue_(queue),
      metrics_(metrics),
      log_(log),
      seed_(random_number()),
      start_s_(monotonic_seconds()),
      started_at_(utc_seconds()) {}

openai::ReplyHead Completions::head(const std::string& prefix) {
  char id[40];
  std::snprintf(id, sizeof id, "%016llx%08llx", static_cast<unsigned long long>(seed_),
                static_cast<unsigned long long>(++count_));
  const auto age = static_cast<int64_t>(monotonic_seconds() - start_s_);
  return {prefix + id, settings_.model, started_at_ + age};
}

void Completions::tell_unknown(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    log_.once(key, "ignored key `" + key + "` in a request: not known here (said once)");
  }
}

std::optional<openai::Refusal> Completions::wrong_model(const std::string& name) const {
  if (name.empty() || name == settings_.model) return std::nullopt;
  return openai::Refusal{
      404,
      "the model `" + name.substr(0, 100) + "` is not served here; `" + settings_.model + "` is",
      "model", "model_not_found"};
}

runners::Request Completions::request_of(const openai::Body& body) {
  runners::Request request;
  if (body.prompt) {
    request.raw = body.prompt;
  } else {
    request.conversation = body.conversation;
  }
  request.limits.max_tokens = body.max_tokens;
  request.limits.sampling = body.sampling;
  request.limits.ignore_end = body.ignore_end;
  request.limits.seed = body.seed ? static_cast<uint64_t>(*body.seed) : seed_;
  request.limits.sequence = body.seed ? 0 : ++count_;
  request.limits.logprobs = {body.logprobs, body.logprobs && body.echo,
                             static_cast<int64_t>(body.top_logprobs)};
  return request;
}

void Completions::answer(const httplib::Request& request, httplib::Response& reply,
                         const std::string& body, bool chat) {
  openai::ReadBody asked =
      chat ? openai::read_chat(body, {settings_.thinking}) : openai::read_completion(body);
  tell_unknown(asked.unknown);
  if (!asked.refusal) asked.refusal = wrong_model(asked.body.model);
  if (!asked.refusal && asked.body.echo && !asked.body.prompt->tokens.empty() &&
      !settings_.tokenizer) {
    asked.refusal = openai::Refusal{400, "`echo` of token ids needs a tokenizer", "echo"};
  }
  if (asked.refusal) return refuse(reply, *asked.refusal, metrics_);
  auto call = std::make_shared<Call>(std::move(asked.body), head(chat ? "chatcmpl-" : "cmpl-"),
                                     request, active_);
  if (call->body.echo) {
    call->echoed = call->body.prompt->tokens.empty()
                       ? call->body.prompt->text
                       : settings_.tokenizer->decode(call->body.prompt->tokens);
  }
  call->exchange = queue_.post(request_of(call->body));
  if (!call->exchange) {
    if (queue_.closed()) return refuse(reply, stopping(), metrics_);
    return refuse(reply,
                  {429,
                   "the queue is full: " + std::to_string(settings_.most_waiting) +
                       " requests wait; try again",
                   "", "queue_full"},
                  metrics_);
  }
  if (call->body.stream) {
    answer_stream(call, reply);
  } else {
    answer_whole(*call, reply);
  }
}

void Completions::answer_whole(Call& call, httplib::Response& reply) {
  while (true) {
    const Exchange::News news = call.exchange->wait(kGlance);
    if (news.response) {
      const runners::Response& response = *news.response;
      if (response.error.empty() && response.answer.finish_reason != "cancelled") {
        reply.set_content(openai::write_reply(call.head, call.body, response, call.echoed),
                          "application/json");
        if (settings_.log_text) call.text = response.answer.text;
        log_end(call, &response, 200);
      } else {
        refuse(reply, refusal_of(call, response), metrics_);
        log_end(call, &response, reply.status);
      }
      return;
    }
    if (call.peer.gone()) {
      log_end(call, nullptr, 499);
      reply.status = 400;  // nobody reads it
      return;
    }
  }
}

// A stream begins with status 200, which cannot be taken back: an error that shows soon gets its
// own status.
void Completions::answer_stream(const std::shared_ptr<Call>& call, httplib::Response& reply) {
  const double start = monotonic_seconds();
  while (call->first.pieces.empty() && !call->first.response &&
         monotonic_seconds() < start + kPatience_s && !call->peer.gone()) {
    call->first = call->exchange->wait(kGlance);
  }
  if (call->first.response && !call->first.response->error.empty()) {
    refuse(reply, refusal_of(*call, *call->first.response), metrics_);
    log_end(*call, &*call->first.response, reply.status);
    return;
  }
  reply.set_header("Cache-Control", "no-cache");
  reply.set_header("X-Accel-Buffering", "no");  // proxies would hold events back
  reply.set_chunked_content_provider(
      "text/event-stream", [this, call](size_t, httplib::DataSink& sink) {
        const bool more = stream_on(*call, [&](const std::string& events) {
          return events.empty() || sink.write(events.data(), events.size());
        });
        if (!more) sink.done();
        return true;
      });
}

// One step of a stream; false when it has ended.
bool Completions::stream_on(Call& call, const std::function<bool(const std::string&)>& write) {
  Exchange::News news = call.begun ? call.exchange->wait(kGlance) : std::move(call.first);
  std::string events = call.begun ? "" : call.writer.begin(call.echoed);
  call.begun = true;
  for (const Pieces& pieces : news.pieces) {
    events += call.writer.pieces(pieces, news.prompt_tokens);
    if (settings_.log_text) call.text += pieces.reasoning + pieces.content;
  }
  if (news.response) {
    const runners::Response& response = *news.response;
    const bool whole = response.error.empty() && response.answer.finish_reason != "cancelled";
    events += whole ? call.writer.end(response)
                    : openai::StreamWriter::failed(refusal_of(call, response));
    write(events);
    log_end(call, &response, whole ? 200 : 500);
    return false;
  }
  const double now = monotonic_seconds();
  if (events.empty() && now > call.last_write_s + kCommentEvery_s) {
    events = openai::StreamWriter::comment();
  }
  if (!events.empty()) call.last_write_s = now;
  if (write(events) && !call.peer.gone()) return true;
  log_end(call, nullptr, 499);
  return false;
}

openai::Refusal Completions::refusal_of(const Call& call, const runners::Response& response) const {
  if (response.error.empty()) return stopping();
  switch (response.failure) {
    case Failure::kRefused: {
      const int64_t room = settings_.context_length - response.prompt_tokens;
      const int64_t most = call.body.max_tokens;
      const bool too_long =
          settings_.context_length > 0 && (most == suites::kAsManyAsFit ? room <= 0 : most > room);
      return {400, response.error, call.body.prompt ? "prompt" : "messages",
              too_long ? "context_length_exceeded" : ""};
    }
    case Failure::kLate:
      return {504, response.error};
    case Failure::kBroken:
    case Failure::kNone:
      break;
  }
  return {500, response.error};
}

// "POST /v1/chat/completions 200 stream: 812 prompt tokens (640 cached), 96 answered, stop, 2.31
// s".
void Completions::log_end(const Call& call, const runners::Response* response, int status) {
  std::string line = call.path + " " + std::to_string(status) + (call.body.stream ? " stream" : "");
  if (response) {
    line += ": " + std::to_string(response->prompt_tokens) + " prompt tokens (" +
            std::to_string(response->cached_tokens) + " cached), " +
            std::to_string(response->completion_tokens) + " answered, " +
            (response->error.empty() ? response->answer.finish_reason : response->error);
  } else {
    line += ": the client left";
  }
  line += ", " + format_seconds(monotonic_seconds() - call.begun_s);
  if (settings_.log_text) {
    const auto& messages = call.body.conversation.messages;
    const std::string asked = call.body.prompt   ? call.body.prompt->text
                              : messages.empty() ? ""
                                                 : messages.back().content;
    line += "; asked \"" + asked + "\", answered \"" + call.text + "\"";
  }
  log_.line(line);
}

}  // namespace ds4::runners::serve
