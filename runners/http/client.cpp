#include "runners/http/client.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <limits>

#include "engine/base/clock.h"
#include "engine/base/units.h"

namespace ds4::runners::http {
namespace {

constexpr auto kForever = std::chrono::hours(24 * 365);  // our own limits are the finer ones
constexpr auto kStopAgain = std::chrono::milliseconds(20);
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr std::array kPauses_s = {0.2, 1.0};  // before the second and the third try

std::chrono::duration<double> seconds(double s) {
  return std::chrono::duration<double>(s);
}

// "text/event-stream" of "Text/Event-Stream; charset=utf-8".
std::string media_type(std::string value) {
  value.resize(std::min(value.find(';'), value.size()));
  while (!value.empty() && value.back() == ' ') value.pop_back();
  for (char& c : value) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return value;
}

bool unreachable(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
    case httplib::Error::BindIPAddress:
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification:
      return true;
    default:
      return false;
  }
}

std::string say(httplib::Error error, bool head_seen) {
  switch (error) {
    case httplib::Error::ConnectionTimeout:
      return "no connection in time";
    case httplib::Error::SSLConnection:
      return "TLS could not be agreed on";
    case httplib::Error::SSLServerVerification:
      return "the server's certificate is not trusted; SSL_CERT_FILE names other authorities";
    default:
      if (unreachable(error)) return "no connection: nobody listens there, or the name is unknown";
      return head_seen ? "the connection broke off within the reply"
                       : "the connection was closed without a reply";
  }
}

std::string named(std::string_view setting) {
  return setting.empty() ? "" : ", the limit `" + std::string(setting) + "`";
}

}  // namespace

Client::Client(const std::string& origin, const std::string& key, const Limits& limits)
    : key_(key), limits_(limits), connection_(std::make_unique<httplib::Client>(origin)) {
  // httplib writes without MSG_NOSIGNAL: a server that hangs up must not end this process.
  std::signal(SIGPIPE, SIG_IGN);
  connection_->set_keep_alive(true);
  connection_->set_tcp_nodelay(true);
  connection_->set_follow_location(false);
  connection_->set_decompress(false);
  connection_->set_url_encode(false);  // an address is sent as it was given
  const double connect = limits.connect_s > 0 ? limits.connect_s : 1e9;
  connection_->set_connection_timeout(
      std::chrono::duration_cast<std::chrono::milliseconds>(seconds(connect)));
  connection_->set_read_timeout(kForever);
  connection_->set_write_timeout(kForever);
  watcher_ = std::thread([this] { watch(); });
}

Client::~Client() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

Reply Client::send(const Call& call, const OnBytes& on_bytes) {
  Reply reply;
  for (size_t tries = 0;; ++tries) {
    const int retries = static_cast<int>(tries);
    reply = Reply{};
    reply.retries = retries;
    if (cancelled()) {
      reply.trouble = Trouble::kCancelled;
      reply.begun_s = reply.end_s = monotonic_seconds();
      return reply;
    }
    try_once(call, on_bytes, reply);
    const bool transport =
        reply.trouble == Trouble::kUnreachable || reply.trouble == Trouble::kLost;
    if (!transport || reply.status != 0 || tries == kPauses_s.size()) return reply;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(kPauses_s[tries]), [&] { return cancelled_; });
  }
}

void Client::try_once(const Call& call, const OnBytes& on_bytes, Reply& reply) {
  httplib::Request request;
  request.method = call.body.empty() ? "GET" : "POST";
  request.path = call.path;
  request.body = call.body;
  request.headers = {{"Accept", "*/*"}, {"Accept-Encoding", "identity"}};
  if (!call.body.empty()) request.headers.emplace("Content-Type", "application/json");
  if (!key_.empty()) request.headers.emplace("Authorization", "Bearer " + key_);
  for (const auto& [name, value] : call.headers) request.headers.emplace(name, value);
  bool unwanted = false;
  request.response_handler = [&](const httplib::Response& head) {
    reply.head_s = monotonic_seconds();
    reply.status = head.status;
    reply.content_type = media_type(head.get_header_value("Content-Type"));
    reply.location = head.get_header_value("Location");
    reply.content_range = head.get_header_value("Content-Range");
    {
      const std::lock_guard lock(mutex_);
      head_seen_ = true;
      last_byte_s_ = reply.head_s;
    }
    changed_.notify_all();  // another limit holds from here on
    return true;
  };
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    const double now = monotonic_seconds();
    {
      const std::lock_guard lock(mutex_);
      last_byte_s_ = now;
    }
    if (on_bytes && (reply.status == 200 || reply.status == 206)) {
      unwanted = !on_bytes(reply, {data, size}, now);
    } else {
      const size_t room = kMostBody - reply.body.size();
      reply.body.append(data, std::min(size, room));
      unwanted = reply.body_cut = size > room;
    }
    return !unwanted;
  };
  httplib::Response response;
  auto error = httplib::Error::Success;
  reply.begun_s = monotonic_seconds();
  begin_watch();
  const bool sent = connection_->send(request, response, error);
  end_watch(reply);
  reply.end_s = monotonic_seconds();
  if (reply.trouble != Trouble::kNone || sent || unwanted) return;
  reply.trouble = unreachable(error) ? Trouble::kUnreachable : Trouble::kLost;
  reply.what = say(error, reply.status != 0);
}

void Client::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  changed_.notify_all();
}

void Client::renew() {
  const std::lock_guard lock(mutex_);
  cancelled_ = false;
}

bool Client::cancelled() {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void Client::begin_watch() {
  {
    const std::lock_guard lock(mutex_);
    active_ = true;
    head_seen_ = false;
    begun_s_ = last_byte_s_ = monotonic_seconds();
    stopped_ = Trouble::kNone;
  }
  changed_.notify_all();
}

void Client::end_watch(Reply& reply) {
  {
    const std::lock_guard lock(mutex_);
    active_ = false;
    reply.trouble = stopped_;
    reply.what = stopped_why_;
  }
  changed_.notify_all();
}

// When the next limit is reached, as things stand.
double Client::next_deadline() const {
  double next = kNever;
  if (limits_.whole_s > 0) next = begun_s_ + limits_.whole_s;
  if (!head_seen_ && limits_.first_byte_s > 0) {
    next = std::min(next, begun_s_ + limits_.first_byte_s);
  }
  if (head_seen_ && limits_.stall_s > 0) next = std::min(next, last_byte_s_ + limits_.stall_s);
  return next;
}

void Client::watch() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    if (!active_) {
      changed_.wait(lock, [&] { return active_ || closing_; });
      continue;
    }
    const double now = monotonic_seconds(), deadline = next_deadline();
    if (stopped_ == Trouble::kNone) {
      stopped_why_.clear();
      if (cancelled_) {
        stopped_ = Trouble::kCancelled;
      } else if (now >= deadline) {
        stopped_ = Trouble::kLate;
        const bool whole = limits_.whole_s > 0 && now >= begun_s_ + limits_.whole_s;
        stopped_why_ = whole ? "not done after " + format_seconds(limits_.whole_s)
                       : head_seen_
                           ? "nothing came for " + format_seconds(limits_.stall_s) +
                                 named(limits_.stall_setting)
                           : "no reply began within " + format_seconds(limits_.first_byte_s) +
                                 named(limits_.first_byte_setting);
      }
    }
    if (stopped_ != Trouble::kNone) {
      // Again and again: a connection that is still being made cannot be stopped yet.
      lock.unlock();
      connection_->stop();
      lock.lock();
      changed_.wait_for(lock, kStopAgain, [&] { return !active_ || closing_; });
    } else if (deadline == kNever) {
      changed_.wait(lock);
    } else {
      changed_.wait_for(lock, seconds(deadline - now));
    }
  }
}

}  // namespace ds4::runners::http
