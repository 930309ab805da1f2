// One connection to an HTTP server: a request at a time, bounded in every phase, to be cancelled
// from anywhere. A thin layer over cpp-httplib; knows neither JSON nor tokens.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace httplib {
class Client;
}

namespace ds4::runners::http {

/// Seconds; 0 = no limit of its own.
struct Limits {
  double connect_s = 10;
  double first_byte_s = 0;  // from the beginning of a try to the reply's head
  double stall_s = 0;       // between bytes of a reply
  double whole_s = 0;       // of a try

  // The settings they come from, for messages; "" = none that a user could change.
  const char* first_byte_setting = "";
  const char* stall_setting = "";
};

struct Call {
  std::string path;                                               // "/v1/chat/completions"
  std::string body;                                               // JSON to POST; "" = GET
  std::vector<std::pair<std::string, std::string>> headers = {};  // besides those of every request
};

/// How a request ended, apart from what the server said.
enum class Trouble {
  kNone,
  kUnreachable,  // no connection, or no certificate that is trusted
  kLost,         // the connection was, and broke off; `status` tells whether a reply had begun
  kLate,         // one of the limits
  kCancelled,
};

struct Reply {
  int status = 0;             // 0 = no reply began
  std::string content_type;   // lower case, without parameters
  std::string location;       // where a redirection points; it is not followed
  std::string content_range;  // which part of a file this is, "bytes 100-199/200"
  std::string body;           // unless it went to the receiver
  bool body_cut = false;      // it was longer than kMostBody
  Trouble trouble = Trouble::kNone;
  std::string what;    // of the trouble, one line
  int retries = 0;     // tries before the last one, each without a reply
  double begun_s = 0;  // of the last try, on the monotonic clock
  double head_s = -1;  // the reply's head was there; -1 = never
  double end_s = 0;
};

class Client {
 public:
  static constexpr size_t kMostBody = size_t{16} << 20;

  /// `key` goes out as a bearer token, to this origin alone: redirections are not followed. An
  /// empty one is none. Certificates are checked against the system's authorities (SSL_CERT_FILE
  /// and SSL_CERT_DIR name others). SIGPIPE is ignored from here on in this process.
  Client(const std::string& origin, const std::string& key, const Limits& limits);
  ~Client();

  /// Takes the bytes of a reply with status 200 or 206 as they come, with the head and the time on
  /// the monotonic clock; false: no more are wanted.
  using OnBytes = std::function<bool(const Reply& head, std::string_view bytes, double time_s)>;

  /// Sends and waits for the end. A try that ends without a reply by an error of the transport is
  /// repeated, twice at most. Never throws for what a server does.
  Reply send(const Call& call, const OnBytes& on_bytes = nullptr);

  /// From any thread: the request under way ends soon, and later ones at once, until renew().
  void cancel();
  void renew();

 private:
  void try_once(const Call& call, const OnBytes& on_bytes, Reply& reply);
  void watch();
  double next_deadline() const;
  void begin_watch();
  void end_watch(Reply& reply);
  bool cancelled();

  const std::string key_;
  const Limits limits_;
  std::unique_ptr<httplib::Client> connection_;

  // What the watching thread looks at.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool active_ = false, closing_ = false, cancelled_ = false;
  bool head_seen_ = false;
  double begun_s_ = 0, last_byte_s_ = 0;
  Trouble stopped_ = Trouble::kNone;  // by the watcher
  std::string stopped_why_;
  std::thread watcher_;
};

}  // namespace ds4::runners::http
