#include "runners/serve/server.h"

#include <httplib.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/openai/reply.h"
#include "runners/openai/request.h"
#include "runners/serve/completions.h"
#include "runners/serve/listener.h"

namespace ds4::runners::serve {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr time_t kKeepAlive_s = 5;
constexpr time_t kReadTimeout_s = 30;   // between bytes of a request
constexpr time_t kWriteTimeout_s = 30;  // for a client that does not read
constexpr size_t kSpareThreads = 32;    // for all that does not wait for the target
constexpr double kStopWait_s = 3;       // for replies that are being written

bool same_key(const std::string& a, const std::string& b) {
  // In time that tells nothing of where they differ.
  unsigned char different = a.size() != b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    different |= static_cast<unsigned char>(a[i] ^ (i < b.size() ? b[i] : 0));
  }
  return different == 0;
}

// "http://localhost:3000" -> "localhost"; "" for what is no such thing.
std::string host_of(const std::string& origin) {
  const size_t begin = origin.find("://");
  if (begin == std::string::npos) return "";
  std::string host = origin.substr(begin + 3);
  if (!host.empty() && host[0] == '[') return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

bool is_json(const httplib::Request& request) {
  const std::string type = request.get_header_value("Content-Type");
  return type == "application/json" || type.starts_with("application/json;") ||
         type.starts_with("application/json ");
}

}  // namespace

class Server::Impl {
 public:
  Impl(const Settings& settings, RequestQueue& queue, Metrics& metrics, Log& log)
      : settings_(settings),
        metrics_(metrics),
        log_(log),
        completions_(settings, queue, metrics, log) {
    if (!is_loopback(settings.host) && settings.api_key.empty() && !settings.open) {
      throw Error(ErrorCode::kUsage,
                  "--host " + settings.host +
                      ": other machines would reach the server, and it "
                      "asks for no key",
                  "Name a variable with a key (--api-key-env DS4_API_KEY), or allow everybody with "
                  "--no-key.");
    }
    const size_t threads =
        settings.most_waiting + static_cast<size_t>(settings.sequences) + kSpareThreads;
    http_.new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
    http_.set_tcp_nodelay(true);
    http_.set_keep_alive_timeout(kKeepAlive_s);
    http_.set_keep_alive_max_count(100000);
    http_.set_read_timeout(kReadTimeout_s);
    http_.set_write_timeout(kWriteTimeout_s);
    http_.set_payload_max_length(settings.most_body_bytes);
    add_routes();
    add_fallbacks();
    listener_.emplace(http_, settings.host, settings.port);
  }

  ~Impl() { stop(); }

  void stop() {
    if (!listener_->listens()) return;
    const double end = monotonic_seconds() + kStopWait_s;
    while (completions_.active() > 0 && monotonic_seconds() < end) {
      std::this_thread::sleep_for(10ms);
    }
    listener_->stop();
  }

  const Listener& listener() const { return *listener_; }
  void ready() { ready_ = true; }

 private:
  using Handle =
      std::function<void(const httplib::Request&, httplib::Response&, const std::string& body)>;

  void add_routes() {
    post("/v1/chat/completions", [this](const auto& request, auto& reply, const auto& body) {
      completions_.answer(request, reply, body, /*chat=*/true);
    });
    post("/v1/completions", [this](const auto& request, auto& reply, const auto& body) {
      completions_.answer(request, reply, body, /*chat=*/false);
    });
    post("/tokenize",
         [this](const auto&, auto& reply, const auto& body) { tokenize(reply, body); });
    post("/detokenize",
         [this](const auto&, auto& reply, const auto& body) { detokenize(reply, body); });
    get("/v1/models", [this](const auto&, auto& reply, const auto&) {
      reply.set_content(openai::write_models(completions_.head(""), settings_.context_length),
                        "application/json");
    });
    get("/health", [](const auto&, auto& reply, const auto&) {
      reply.set_content("{\"status\":\"ok\"}", "application/json");
    });
    get("/metrics", [this](const auto&, auto& reply, const auto&) {
      reply.set_content(metrics_.text(), "text/plain; version=0.0.4; charset=utf-8");
    });
  }

  // What no route answers, and what goes wrong in one, as the protocol's errors.
  void add_fallbacks() {
    // Before a body is read: what it would become has no bound.
    http_.set_pre_routing_handler([this](const auto& request, auto& reply) {
      if (!request.has_header("Content-Encoding")) {
        return httplib::Server::HandlerResponse::Unhandled;
      }
      refuse(reply, {415, "bodies must come without a Content-Encoding"}, metrics_);
      return httplib::Server::HandlerResponse::Handled;
    });
    http_.set_error_handler([this](const httplib::Request& request, httplib::Response& reply) {
      if (!reply.body.empty()) return;
      const std::string what = request.method + " " + request.path.substr(0, 200);
      const bool lost = reply.status == 404;
      refuse(reply,
             {reply.status, lost ? "there is no " + what + "; docs/serve.md lists what there is"
                                 : what + " could not be read"},
             metrics_);
    });
    http_.set_exception_handler(
        [this](const httplib::Request& request, httplib::Response& reply, std::exception_ptr e) {
          std::string what = "an exception";
          try {
            std::rethrow_exception(e);
          } catch (const std::exception& known) {
            what = known.what();
          } catch (...) {
          }
          log_.line(request.path.substr(0, 200) + " failed: " + what);
          refuse(reply, {500, "the request could not be answered; the server's log says why"},
                 metrics_);
        });
  }

  void get(const char* path, Handle handle) {
    http_.Get(path, [this, handle](const httplib::Request& request, httplib::Response& reply) {
      if (const auto refusal = not_admitted(request)) return refuse(reply, *refusal, metrics_);
      handle(request, reply, "");
    });
  }

  void post(const char* path, Handle handle) {
    http_.Post(path, [this, handle](const httplib::Request& request, httplib::Response& reply,
                                    const httplib::ContentReader& reader) {
      std::optional<openai::Refusal> refusal = not_admitted(request);
      if (!refusal && !is_json(request)) {
        refusal = openai::Refusal{415, "the Content-Type must be application/json"};
      }
      // Read to its end even when it is refused: the next request stands behind it.
      const std::string body = read(request, reader, refusal);
      if (refusal) return refuse(reply, *refusal, metrics_);
      reply.status = -1;
      handle(request, reply, body);
    });
  }

  // The body, "" when it is refused already or now.
  std::string read(const httplib::Request& request, const httplib::ContentReader& reader,
                   std::optional<openai::Refusal>& refusal) const {
    std::string body;
    size_t size = 0;
    const size_t most = settings_.most_body_bytes;
    const auto take = [&](const char* data, size_t n) {
      size += n;
      if (refusal || size > most) {
        body = std::string();
      } else {
        body.append(data, n);
      }
      return size <= 2 * most;  // no length was said, and there is no end to it
    };
    const bool whole = request.is_multipart_form_data()
                           ? reader([](const httplib::MultipartFormData&) { return true; }, take)
                           : reader(take);
    if (refusal) return "";
    const size_t stated =
        std::strtoull(request.get_header_value("Content-Length").c_str(), nullptr, 10);
    if (size > most || (!whole && stated > most)) {
      refusal = openai::Refusal{413, "the body is larger than " + std::to_string(most) +
                                         " bytes, the limit of this server"};
      return "";
    }
    if (!whole) refusal = openai::Refusal{400, "the body did not come whole"};
    return body;
  }

  // Why a request is not even looked at; nothing when it is.
  std::optional<openai::Refusal> not_admitted(const httplib::Request& request) const {
    const bool health = request.path == "/health";
    if (!settings_.api_key.empty() && !health &&
        !same_key(request.get_header_value("Authorization"), "Bearer " + settings_.api_key)) {
      return openai::Refusal{401, "the key is missing or wrong: send `Authorization: Bearer KEY`",
                             "", "invalid_api_key"};
    }
    // A page of a stranger in this machine's browser reaches loopback addresses, too.
    const std::string origin = request.get_header_value("Origin");
    if (settings_.api_key.empty() && !origin.empty() && !is_loopback(host_of(origin))) {
      return openai::Refusal{403, "pages of other origins are served only with an API key"};
    }
    if (!ready_) return openai::Refusal{503, "the model is loading", "", "loading"};
    return std::nullopt;
  }

  // {"prompt"} or {"messages"} -> {"count", "max_model_len", "tokens"}, as vLLM.
  void tokenize(httplib::Response& reply, const std::string& text) {
    openai::ReadBody asked = openai::read_tokenize(text, {settings_.thinking});
    if (!asked_well(asked, reply)) return;
    std::vector<TokenId> tokens;
    if (asked.body.prompt) tokens = asked.body.prompt->tokens;
    try {
      if (tokens.empty()) {
        tokens = settings_.tokenizer->encode(
            asked.body.prompt ? asked.body.prompt->text
                              : render_prompt(asked.body.conversation, settings_.release),
            AddedTokens::kParse);
      }
    } catch (const Error& e) {
      return refuse(reply, {400, std::string(e.what()) + ". " + e.hint()}, metrics_);
    }
    const json out = {{"count", tokens.size()},
                      {"max_model_len", settings_.context_length},
                      {"tokens", tokens},
                      {"token_strs", nullptr}};
    reply.set_content(out.dump(), "application/json");
  }

  // {"tokens"} -> {"prompt"}, as vLLM.
  void detokenize(httplib::Response& reply, const std::string& text) {
    openai::ReadBody asked = openai::read_detokenize(text);
    if (!asked_well(asked, reply)) return;
    const json out = {{"prompt", settings_.tokenizer->decode(asked.body.prompt->tokens)}};
    reply.set_content(out.dump(-1, ' ', false, json::error_handler_t::replace), "application/json");
  }

  bool asked_well(openai::ReadBody& asked, httplib::Response& reply) {
    completions_.tell_unknown(asked.unknown);
    if (!asked.refusal) asked.refusal = completions_.wrong_model(asked.body.model);
    if (!asked.refusal && !settings_.tokenizer) {
      asked.refusal = openai::Refusal{501, "this server's target has no tokenizer"};
    }
    if (asked.refusal) refuse(reply, *asked.refusal, metrics_);
    return !asked.refusal;
  }

  const Settings& settings_;
  Metrics& metrics_;
  Log& log_;
  Completions completions_;
  httplib::Server http_;
  std::atomic<bool> ready_ = false;
  std::optional<Listener> listener_;  // the last: it answers from when it is made
};

Server::Server(const Settings& settings, RequestQueue& queue, Metrics& metrics, Log& log)
    : impl_(std::make_unique<Impl>(settings, queue, metrics, log)) {}

Server::~Server() = default;

int Server::port() const {
  return impl_->listener().port();
}

std::string Server::url() const {
  return impl_->listener().url();
}

void Server::ready() {
  impl_->ready();
}

void Server::stop() {
  impl_->stop();
}

}  // namespace ds4::runners::serve
