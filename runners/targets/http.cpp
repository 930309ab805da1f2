// A server that speaks the OpenAI protocol as a target: so many requests at a time, each on a
// connection and a thread of its own.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/error.h"
#include "runners/openai/json.h"
#include "runners/targets/http_counter.h"
#include "runners/targets/http_probe.h"
#include "runners/targets/registry.h"

namespace ds4::runners {
namespace {

constexpr double kLook_s = 0.02;  // between looks at what is under way

http::Limits limits_of(const profiles::Profile& profile) {
  const profiles::ServerSection& server = profile.server;
  return {.connect_s = server.connect_timeout_s,
          .first_byte_s = server.first_byte_timeout_s,
          .stall_s = server.stall_timeout_s,
          .first_byte_setting = "server.first_byte_timeout",
          .stall_setting = "server.stall_timeout"};
}

// The key from the environment. It stays in this process: no message, row or file has it.
std::string read_key(const profiles::Profile& profile) {
  const std::string& name = profile.server.api_key_env;
  if (name.empty()) return "";
  const char* key = std::getenv(name.c_str());
  if (key && *key) return key;
  throw Error(ErrorCode::kProfile,
              profile.path.string() + ": the environment variable `" + name +
                  "` of `server.api_key_env` is not set",
              "Set it to the server's key, or remove `server.api_key_env`.");
}

// A connection, and the request that is under way on it.
struct Lane {
  explicit Lane(const std::string& origin, const std::string& key, const http::Limits& limits)
      : client(origin, key, limits) {}
  // Only when the work threw is anything under way here.
  ~Lane() {
    client.cancel();
    if (thread.joinable()) thread.join();
  }

  http::Client client;
  std::thread thread;
  int64_t id = -1;  // of the work's item; -1 = idle
  ExpectedPrompt prompt;
  std::optional<LiveText> live;
  bool finished = false;  // under the target's mutex, like the response
  Response response;
};

class HttpTarget final : public Target {
 public:
  explicit HttpTarget(const profiles::Profile& profile)
      : profile_(profile), address_(profiles::parse_server_address(profile.server.url)) {}

  Capabilities open(const OnPhase& on_phase) override {
    key_ = read_key(profile_);
    http::Limits patient = limits_of(profile_);
    patient.whole_s = profile_.case_timeout_s;
    client_ = std::make_unique<http::Client>(address_.origin, key_, patient);
    try {
      findings_ = probe_server(*client_, address_, profile_.server, on_phase);
    } catch (const Error& error) {
      throw Error(error.code(), redacted(error.what()), error.hint());
    }
    counter_.emplace(*client_, address_, findings_, profile_.checkpoint);
    Capabilities& can = findings_.capabilities;
    can.remote = true;
    can.exact_token_counts = counter_->exact();
    auto found = nlohmann::json::parse(can.findings);
    found["token_counts"] = counter_->source();
    found["concurrency"] = profile_.server.concurrency;
    can.findings = redacted(openai::dump_json(found));
    can.description = redacted(can.description);
    return can;
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return counter_->count({conversation});
  }

  int64_t measure_tokens(const Conversation& conversation) override {
    return counter_->measure({conversation});
  }

  void run(Work& work) override {
    while (std::ssize(lanes_) < profile_.server.concurrency) {
      lanes_.push_back(std::make_unique<Lane>(address_.origin, key_, limits_of(profile_)));
    }
    while (true) {
      fill_lanes(work);
      if (busy() == 0) return;
      {
        std::unique_lock lock(mutex_);
        // Without a free lane a request that is due waits for an answer.
        const double due_s = busy() < std::ssize(lanes_) ? work.due_in() : kLook_s;
        const std::chrono::duration<double> look(std::min(kLook_s, due_s));
        ended_.wait_for(lock, look, [&] {
          return std::any_of(lanes_.begin(), lanes_.end(),
                             [](const auto& lane) { return lane->finished; });
        });
      }
      for (const auto& lane : lanes_) look_at(*lane, work);
    }
  }

  // What sizing prompts cost.
  std::vector<probes::Sample> observe() override {
    const HttpCounter::Cost cost = counter_ ? counter_->take_cost() : HttpCounter::Cost{};
    if (cost.requests == 0) return {};
    return {{"sizing_requests", static_cast<double>(cost.requests), 0, ""},
            {"sizing_tokens", static_cast<double>(cost.tokens), 0, ""},
            {"sizing_time", cost.seconds, 0, ""}};
  }

  void close() override {
    lanes_.clear();
    counter_.reset();
    client_.reset();
  }

 private:
  int64_t busy() const {
    return std::count_if(lanes_.begin(), lanes_.end(),
                         [](const auto& lane) { return lane->id >= 0; });
  }

  void fill_lanes(Work& work) {
    for (const auto& lane : lanes_) {
      if (lane->id >= 0) continue;
      std::optional<Work::Item> item = work.next(/*wait=*/busy() == 0);
      if (!item) return;
      start(*lane, std::move(*item));
    }
  }

  void start(Lane& lane, Work::Item item) {
    lane.id = item.id;
    lane.live.emplace(parses_text(item.request, findings_.habits),
                      item.request.conversation.thinking);
    lane.finished = false;
    lane.client.renew();
    lane.prompt = counter_->expect(item.request);
    lane.thread = std::thread([this, &lane, request = std::move(item.request)] {
      Exchange exchange =
          ask(lane.client, address_, body_of(request, findings_.habits), &*lane.live);
      const bool streamed = exchange.streamed;
      Response response = response_of(std::move(exchange), request, findings_.habits, lane.prompt);
      redact(response);
      if (streamed) {
        lane.live->finish();
      } else if (response.error.empty()) {
        lane.live->add(response);
      }
      const std::lock_guard lock(mutex_);
      lane.response = std::move(response);
      lane.finished = true;
      ended_.notify_one();
    });
  }

  void look_at(Lane& lane, Work& work) {
    if (lane.id < 0) return;
    bool finished = false;
    {
      const std::lock_guard lock(mutex_);
      finished = lane.finished;
    }
    const int64_t pieces = lane.live->arrivals();
    const Pieces came = lane.live->take();
    if (!came.empty()) work.text(lane.id, came);
    // Asked once more at the end: a request that was late is to be found so.
    const bool go_on = work.progress(lane.id, pieces > 0 ? lane.prompt.tokens : 0, pieces);
    if (!finished) {
      if (!go_on) lane.client.cancel();
      return;
    }
    lane.thread.join();
    // It came whole before the cancelling was heard.
    if (!go_on && lane.response.error.empty()) lane.response.answer.finish_reason = "cancelled";
    const int64_t id = lane.id;
    lane.id = -1;
    work.done(id, std::move(lane.response));
  }

  // Servers repeat a wrong key in their complaints, and a debugging proxy repeats everything.
  std::string redacted(std::string text) const {
    if (key_.empty()) return text;
    for (size_t at = text.find(key_); at != std::string::npos; at = text.find(key_, at)) {
      text.replace(at, key_.size(), "***");
    }
    return text;
  }

  void redact(Response& response) const {
    for (std::string* text : {&response.error, &response.doubt, &response.answer.text,
                              &response.answer.reasoning, &response.answer.content}) {
      *text = redacted(std::move(*text));
    }
  }

  const profiles::Profile profile_;
  const profiles::ServerAddress address_;
  std::string key_;
  std::unique_ptr<http::Client> client_;  // for what is asked beside the work
  ServerFindings findings_;
  std::optional<HttpCounter> counter_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::mutex mutex_;
  std::condition_variable ended_;
};

}  // namespace

std::unique_ptr<Target> make_http_target(const profiles::Profile& profile) {
  return std::make_unique<HttpTarget>(profile);
}

}  // namespace ds4::runners
