// An HTTP server on the loopback whose every byte is the test's own, so that it can behave as badly
// as servers do: stop in the middle, drip, lie, never end.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace ds4::test_support {

struct HttpRequest {
  std::string method, path, body;
  std::map<std::string, std::string> headers;  // names in lower case
};

/// One accepted connection while its request is answered.
class HttpConnection {
 public:
  explicit HttpConnection(int fd, const std::atomic<bool>& closing) : fd_(fd), closing_(closing) {}

  /// False when the client is gone.
  bool write(std::string_view bytes);
  /// Waits; false when the client hung up or the server is being closed meanwhile.
  bool wait(double seconds);
  /// Ends the connection at once, with a reset instead of a good-bye.
  void reset();

  // In a form that clients understand; "Connection: close" in each head.
  void reply(int status, std::string_view type, std::string_view body);
  /// The head of a reply in chunks.
  void begin(std::string_view type);
  bool chunk(std::string_view bytes);
  void end();

 private:
  int fd_;
  const std::atomic<bool>& closing_;
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, HttpConnection&)>;

  /// Serves at once, each connection on a thread of its own; one request a connection. Port 0 is
  /// any that is free.
  explicit HttpServer(Handler handler, int port = 0);
  ~HttpServer();

  std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return origin() + "/v1"; }
  int port() const { return port_; }
  /// Requests so far, in the order in which they came.
  std::vector<HttpRequest> requests() const;
  int most_at_once() const { return most_at_once_; }
  void set_handler(Handler handler);

 private:
  void accept_all();
  void serve(int fd);

  mutable std::mutex mutex_;
  Handler handler_;
  std::vector<HttpRequest> requests_;
  std::vector<std::thread> threads_;
  std::atomic<bool> closing_ = false;
  std::atomic<int> at_once_ = 0, most_at_once_ = 0;
  int listener_ = -1, port_ = 0;
  std::thread acceptor_;
};

}  // namespace ds4::test_support
