#include "runners/targets/http_probe.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "runners/openai/json.h"
#include "runners/openai/piece.h"

namespace ds4::runners {
namespace {

using nlohmann::json;
using openai::ThinkingSwitch;

constexpr int64_t kFewTokens = 16;
constexpr int64_t kThinkingTokens = 256;  // in which reasoning shows, marked or in its own field
constexpr int64_t kCallTokens = 128;
constexpr int64_t kTopLogprobs = 2;

constexpr const char* kGreeting = "Say OK.";
constexpr const char* kRiddle = "What is 17 * 23? Think about it, then answer with the number.";
constexpr const char* kRawPrompt = "The capital of France is";
constexpr const char* kTool =
    R"({"name": "get_weather", "description": "The weather in a city now.", "parameters":)"
    R"( {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})";

// Prose, numbers and code in about equal parts, as prompts of suites are.
std::string sample_text() {
  std::string text;
  for (int i = 0; i < 24; ++i) {
    const std::string n = std::to_string(1000 + i * 37);
    text += "Line " + n + ": the keeper of house " + std::to_string(i) +
            " wrote down what the river had brought, and when.\n" + "int f" + n +
            "(int a) { return a * " + std::to_string(i + 3) + " + " + n + "; }\n";
  }
  return text;
}

Request request_of(const std::string& text, int64_t max_tokens) {
  Request request;
  Message message;
  message.role = "user";
  message.content = text;
  request.conversation.messages.push_back(std::move(message));
  request.limits.max_tokens = max_tokens;
  return request;
}

bool shows_reasoning(const openai::Answer& answer) {
  return !answer.reasoning.empty() || answer.content.find("</think>") != std::string::npos ||
         answer.content.starts_with("<think>");
}

class Probe {
 public:
  Probe(http::Client& client, const profiles::ServerAddress& address,
        const profiles::ServerSection& server, const Target::OnPhase& on_phase)
      : client_(client), address_(address), server_(server), on_phase_(on_phase) {}

  ServerFindings run() {
    find_model();
    look_around();
    out_.habits.chat = server_.form == "chat";
    find_streaming();
    find_thinking();
    find_logprobs();
    find_raw_prompts();
    find_tools();
    find_tokenizer();
    describe();
    return std::move(out_);
  }

 private:
  http::Reply get(const std::string& path) {
    on_phase_("load", path);
    return client_.send({path, ""});
  }

  // Each request may take a whole `limits.case_timeout`, so each is told of.
  Exchange put(const openai::Body& body, bool (*enough)(const openai::Answer&) = nullptr) {
    on_phase_("load", asking_);
    return ask(client_, address_, body, nullptr, enough);
  }

  void find_model() {
    const http::Reply reply = get(address_.base + "/models");
    if (reply.trouble != http::Trouble::kNone && reply.status == 0) {
      throw Error(ErrorCode::kMachine, address_.origin + ": " + reply.what,
                  "Start the server, or mend `server.url`.");
    }
    require_key(reply);
    const std::vector<openai::Model> models =
        reply.status == 200 ? openai::read_models(reply.body) : std::vector<openai::Model>{};
    json names = json::array();
    std::string list;
    for (const openai::Model& model : models) {
      names.push_back(model.id);
      list += (list.empty() ? "" : ", ") + model.id;
    }
    found_["models"] = names;
    out_.habits.model = server_.model;
    if (models.empty()) {
      if (!server_.model.empty()) return;
      throw Error(ErrorCode::kProfile, address_.origin + address_.base + "/models lists no model",
                  "Name the model in `server.model`.");
    }
    const auto wanted = std::find_if(models.begin(), models.end(), [&](const openai::Model& model) {
      return model.id == server_.model;
    });
    if (server_.model.empty() && models.size() == 1) {
      out_.habits.model = models.front().id;
      take_model(models.front());
    } else if (wanted != models.end()) {
      take_model(*wanted);
    } else {
      throw Error(ErrorCode::kProfile,
                  server_.model.empty()
                      ? address_.origin + " serves several models: " + list
                      : address_.origin + " does not list the model `" + server_.model + "`",
                  "Set `server.model` to one of: " + list + ".");
    }
  }

  void take_model(const openai::Model& model) {
    if (!model.owner.empty()) found_["owner"] = model.owner;
    if (model.context_length > 0) found_["context_length"] = model.context_length;
  }

  void require_key(const http::Reply& reply) const {
    if (reply.status != 401 && reply.status != 403) return;
    throw Error(ErrorCode::kMachine,
                address_.origin + " refuses the key: HTTP " + std::to_string(reply.status) + ": " +
                    openai::read_error(reply.body),
                "Name the environment variable that holds it in `server.api_key_env`.");
  }

  // What is there besides the protocol, and who it is.
  void look_around() {
    const http::Reply health = get(address_.root + "/health");
    found_["health"] = health.status == 200;
    const http::Reply metrics = get(address_.root + "/metrics");
    found_["metrics"] = metrics.status == 200 && metrics.body.find("# TYPE") != std::string::npos;
    const http::Reply version = get(address_.root + "/version");
    if (version.status != 200) return;
    const json object = openai::parse_json(version.body);
    if (std::string text = openai::text_of(object, "version"); !text.empty()) {
      found_["version"] = text;
    }
  }

  // A request that must be answered, with as many wishes as the server bears.
  void find_streaming() {
    asking_ = "streaming";
    ServerHabits& habits = out_.habits;
    habits.end_mark = false;  // nothing is taken as given yet
    habits.states_counts = false;
    openai::Body body = body_of(request_of(kGreeting, kFewTokens), habits);
    body.stream = body.stream_usage = true;
    Exchange exchange = put(body);
    if (exchange.reply.status >= 400 && exchange.reply.status < 500) {
      require_key(exchange.reply);
      note_refusal("stream_options", exchange);
      body.stream_usage = false;
      exchange = put(body);
    }
    if (judge(exchange, habits).failure != Failure::kNone && exchange.reply.status >= 400) {
      note_refusal("stream", exchange);
      body.stream = false;
      exchange = put(body);
    }
    if (const Judged judged = judge(exchange, habits); judged.failure != Failure::kNone) {
      throw Error(ErrorCode::kMachine,
                  address_.origin + " does not answer a first request: " + judged.why,
                  "Send one by hand (curl) and read the server's log.");
    }
    const openai::Answer& answer = exchange.answer;
    habits.streams = exchange.streamed && server_.stream;
    habits.end_mark = !exchange.streamed || answer.end_mark;
    habits.states_counts = answer.usage && answer.usage->completion_tokens >= 0;
    thinks_by_itself_ = note_reasoning(answer);
    found_["streaming"] = {{"pieces", answer.arrivals.size()},
                           {"as_events", exchange.streamed},
                           {"end_mark", habits.end_mark},
                           {"usage", habits.states_counts}};
    if (habits.streams && habits.states_counts) find_usage_each();
  }

  void find_usage_each() {
    openai::Body body = body_of(request_of(kGreeting, kFewTokens), out_.habits);
    body.usage_each = true;
    const Exchange exchange = put(body);
    const auto& arrivals = exchange.answer.arrivals;
    const bool all = !arrivals.empty() &&
                     std::all_of(arrivals.begin(), arrivals.end(),
                                 [](const openai::Arrival& arrival) { return arrival.tokens > 0; });
    out_.habits.usage_each = all && judge(exchange, out_.habits).failure == Failure::kNone;
    found_["streaming"]["usage_in_each_piece"] = out_.habits.usage_each;
  }

  // Whether reasoning shows with thinking asked for, or against, in this way; nothing when the
  // request failed.
  std::optional<bool> reasons(ThinkingSwitch way, bool on) {
    Request request = request_of(kRiddle, kThinkingTokens);
    request.conversation.thinking = on ? ThinkingMode::kThinking : ThinkingMode::kChat;
    ServerHabits habits = out_.habits;
    habits.thinking = way;
    const Exchange exchange = put(body_of(request, habits), shows_reasoning);
    if (note_reasoning(exchange.answer)) return true;  // whatever would have come behind it
    if (judge(exchange, habits).failure != Failure::kNone) return std::nullopt;
    return false;
  }

  bool note_reasoning(const openai::Answer& answer) {
    const bool shows = shows_reasoning(answer);
    if (shows && answer.reasoning.empty()) out_.habits.marks_reasoning = true;
    return shows;
  }

  void find_thinking() {
    Capabilities& can = out_.capabilities;
    if (!out_.habits.chat) {  // our own rendering decides
      can.thinking = can.no_thinking = true;
      return;
    }
    asking_ = "thinking";
    const bool by_itself =
        thinks_by_itself_ || reasons(ThinkingSwitch::kNone, true).value_or(false);
    json tried = json::object();
    for (const ThinkingSwitch way : openai::kThinkingSwitches) {
      const std::string name(openai::name_of(way));
      if (server_.thinking != "auto" && server_.thinking != name) continue;
      // What it does not do by itself shows an effect first.
      const std::optional<bool> first = reasons(way, !by_itself);
      tried[name][by_itself ? "off" : "on"] = words(first);
      if (!first || *first == by_itself) continue;
      const std::optional<bool> second = reasons(way, by_itself);
      tried[name][by_itself ? "on" : "off"] = words(second);
      if (!second || *second != by_itself) continue;
      out_.habits.thinking = way;
      break;
    }
    const bool switched = out_.habits.thinking != ThinkingSwitch::kNone;
    can.thinking = by_itself || switched;
    can.no_thinking = !by_itself || switched;
    found_["thinking"] = {{"by_itself", by_itself},
                          {"stands_in_the_text", out_.habits.marks_reasoning},
                          {"switch", openai::name_of(out_.habits.thinking)},
                          {"tried", tried}};
  }

  static const char* words(std::optional<bool> reasoned) {
    return !reasoned ? "refused" : *reasoned ? "reasoning" : "no reasoning";
  }

  void find_logprobs() {
    if (!out_.habits.chat) return;
    asking_ = "log-probabilities";
    openai::Body body = body_of(request_of(kGreeting, kFewTokens), out_.habits);
    body.stream = body.stream_usage = body.usage_each = false;
    body.logprobs = true;
    body.top_logprobs = kTopLogprobs;
    const Exchange exchange = put(body);
    note_refusal("logprobs", exchange);
    const auto& tokens = exchange.answer.logprobs;
    const bool any = std::any_of(tokens.begin(), tokens.end(), [](const TokenLogprob& token) {
      return token.logprob && *token.logprob < 0;
    });
    const bool tops = any && std::any_of(tokens.begin(), tokens.end(), [](const TokenLogprob& t) {
                        return std::ssize(t.top) >= kTopLogprobs;
                      });
    out_.capabilities.logprobs = any;
    found_["logprobs"] = {{"chat", any}, {"chat_top", tops}};
  }

  void find_raw_prompts() {
    asking_ = "raw prompts";
    Request request;
    request.raw = suites::RawPrompt{kRawPrompt};
    request.limits.max_tokens = 1;
    const auto asked = [&](bool wishes, bool plain) {
      openai::Body body = body_of(request, out_.habits);
      body.stream = body.stream_usage = body.usage_each = false;
      body.echo = body.logprobs = wishes;
      body.top_logprobs = wishes ? 1 : 0;
      body.plain_prompt = plain;
      return put(body);
    };
    const Exchange bare = asked(false, false);
    const bool raw = judge(bare, out_.habits).failure == Failure::kNone;
    out_.capabilities.raw_prompts = raw;
    found_["completions"] = raw;
    note_refusal("completions", bare);
    if (!raw) {
      if (out_.habits.chat) return;
      throw Error(ErrorCode::kMachine,
                  address_.origin + " answers no raw prompt: " + judge(bare, out_.habits).why,
                  "Use server.form = \"chat\".");
    }
    const Exchange plain = asked(false, true);
    out_.habits.plain_prompts = judge(plain, out_.habits).failure == Failure::kNone;
    // One letter is one token in every vocabulary, so that a second one was put in front.
    request.raw->text = "a";
    out_.habits.adds_begin = prompt_tokens(asked(false, out_.habits.plain_prompts)) > 1;
    request.raw->text = kRawPrompt;
    found_["begin_token_in_front"] = out_.habits.adds_begin;
    const Exchange echoed = asked(true, out_.habits.plain_prompts);
    note_refusal("echo", echoed);
    const bool echo = echoed.answer.content.starts_with(kRawPrompt);
    const auto& tokens = echoed.answer.logprobs;
    const bool priced = std::any_of(tokens.begin(), tokens.end(),
                                    [](const TokenLogprob& t) { return t.logprob.has_value(); });
    out_.capabilities.prompt_logprobs = echo && priced && tokens.size() > 2;
    out_.habits.raw_logprobs = priced;
    if (!out_.habits.chat) out_.capabilities.logprobs = priced;
    found_["echo"] = echo;
    found_["logprobs"]["completions"] = priced;
    found_["logprobs"]["prompt"] = out_.capabilities.prompt_logprobs;
  }

  // A call that comes back, or a prompt that the tool makes longer.
  void find_tools() {
    if (!out_.habits.chat) {  // as part of our own rendering
      out_.capabilities.tools = true;
      return;
    }
    asking_ = "tools";
    Request request = request_of("What is the weather in Paris? Use the function.", kCallTokens);
    Message system;
    system.role = "system";
    system.tools.push_back(kTool);
    const openai::Body without = body_of(request, out_.habits);
    request.conversation.messages.insert(request.conversation.messages.begin(), system);
    const Exchange with = put(body_of(request, out_.habits));
    note_refusal("tools", with);
    const bool answered = judge(with, out_.habits).failure == Failure::kNone;
    const bool called = !with.answer.tool_calls.empty();
    int64_t longer = 0;
    if (answered && !called) {
      openai::Body first = without;
      first.max_tokens = 1;
      longer = prompt_tokens(with) - prompt_tokens(put(first));
    }
    out_.capabilities.tools = called || longer > 0;
    found_["tools"] = {{"answered", answered}, {"called", called}, {"longer_prompt", longer}};
  }

  static int64_t prompt_tokens(const Exchange& exchange) {
    return exchange.answer.usage ? std::max<int64_t>(0, exchange.answer.usage->prompt_tokens) : 0;
  }

  void find_tokenizer() {
    asking_ = "token counts";
    const Request small = request_of(kGreeting, 1), large = request_of(sample_text(), 1);
    for (const Request* request : {&small, &large}) {
      const Exchange exchange = put(body_of(*request, out_.habits));
      if (const int64_t tokens = prompt_tokens(exchange); tokens > 0) {
        out_.counted.push_back({*request, tokens});
      }
    }
    if (out_.counted.size() < 2) out_.counted.clear();
    found_["tokenize"] = "none";
    if (out_.counted.empty() || !out_.habits.chat) return;
    const std::pair<TokenizeForm, const char*> forms[] = {
        {TokenizeForm::kMessages, "/tokenize of messages"},
        {TokenizeForm::kTemplate, "/apply-template and /tokenize"}};
    for (const auto& [form, name] : forms) {
      const auto count = [&, form = form, name = name](const Request& request) {
        on_phase_("load", name);
        return ask_tokenizer(client_, address_, form, body_of(request, out_.habits));
      };
      const int64_t s = count(small), l = count(large);
      if (s <= 0 || l <= 0) continue;
      const bool same = s == out_.counted[0].tokens && l == out_.counted[1].tokens;
      found_["tokenize"] = name;
      found_["tokenize_agrees"] = same;
      if (!same) continue;  // it counts something else than what is asked
      out_.tokenize = form;
      out_.capabilities.exact_token_counts = true;
      return;
    }
  }

  void note_refusal(const char* what, const Exchange& exchange) {
    const Judged judged = judge(exchange, out_.habits);
    if (judged.failure != Failure::kNone) found_["refused"][what] = judged.why;
  }

  void describe() {
    std::string text = out_.habits.model + " at " + address_.origin + address_.base;
    for (const char* key : {"owner", "version"}) {
      if (found_.contains(key)) text += ", " + found_[key].get<std::string>();
    }
    out_.capabilities.description = text;
    out_.capabilities.findings = openai::dump_json(found_);
  }

  http::Client& client_;
  const profiles::ServerAddress& address_;
  const profiles::ServerSection& server_;
  const Target::OnPhase& on_phase_;
  ServerFindings out_;
  const char* asking_ = "";  // what the requests now are about
  json found_ = json::object();
  bool thinks_by_itself_ = false;
};

}  // namespace

ServerFindings probe_server(http::Client& client, const profiles::ServerAddress& address,
                            const profiles::ServerSection& server,
                            const Target::OnPhase& on_phase) {
  return Probe(client, address, server, on_phase).run();
}

int64_t ask_tokenizer(http::Client& client, const profiles::ServerAddress& address,
                      TokenizeForm form, const openai::Body& body) {
  std::string asked = openai::write_messages(body);
  if (form == TokenizeForm::kTemplate) {
    const http::Reply made = client.send({address.root + "/apply-template", asked});
    if (made.status != 200) return -1;
    const std::string prompt = openai::text_of(openai::parse_json(made.body), "prompt");
    if (prompt.empty()) return -1;
    asked = openai::dump_json(
        json{{"content", prompt}, {"add_special", true}, {"parse_special", true}});
  }
  const http::Reply reply = client.send({address.root + "/tokenize", asked});
  if (reply.status != 200 || reply.trouble != http::Trouble::kNone) return -1;
  const json object = openai::parse_json(reply.body);
  if (const int64_t count = openai::count_of(object, "count"); count >= 0) return count;
  const json* tokens = openai::member(object, "tokens");
  return tokens && tokens->is_array() ? static_cast<int64_t>(tokens->size()) : -1;
}

}  // namespace ds4::runners
