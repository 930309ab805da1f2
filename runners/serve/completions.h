// A posted request from its bytes to its reply: read, queued, waited for, written whole or as a
// stream. Runs on the connection's thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "runners/openai/reply.h"
#include "runners/serve/log.h"
#include "runners/serve/queue.h"
#include "runners/serve/settings.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace ds4::runners::serve {

/// Writes an error as the protocol has it, and counts it.
void refuse(httplib::Response& reply, const openai::Refusal& refusal, Metrics& metrics);

class Completions {
 public:
  /// All borrowed.
  Completions(const Settings& settings, RequestQueue& queue, Metrics& metrics, Log& log);

  /// `chat`: /v1/chat/completions, else /v1/completions.
  void answer(const httplib::Request& request, httplib::Response& reply, const std::string& body,
              bool chat);
  /// Says which keys were ignored, each of them once.
  void tell_unknown(const std::vector<std::string>& keys);
  /// The error for a name that is not this server's, if it is none.
  std::optional<openai::Refusal> wrong_model(const std::string& name) const;
  /// Requests that are being answered now.
  int active() const { return active_; }
  /// What every object says of the model and the moment.
  openai::ReplyHead head(const std::string& prefix);

 private:
  struct Call;
  void answer_whole(Call& call, httplib::Response& reply);
  void answer_stream(const std::shared_ptr<Call>& call, httplib::Response& reply);
  bool stream_on(Call& call, const std::function<bool(const std::string&)>& write);
  runners::Request request_of(const openai::Body& body);
  openai::Refusal refusal_of(const Call& call, const runners::Response& response) const;
  void log_end(const Call& call, const runners::Response* response, int status);

  const Settings& settings_;
  RequestQueue& queue_;
  Metrics& metrics_;
  Log& log_;
  const uint64_t seed_;  // of requests that name none
  const double start_s_;
  const int64_t started_at_;  // seconds since 1970
  std::atomic<uint64_t> count_ = 0;
  std::atomic<int> active_ = 0;
};

}  // namespace ds4::runners::serve
