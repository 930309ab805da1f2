// How a server takes its address: this machine's own unless it was told another, alone on its port.
#pragma once

#include <string>
#include <thread>

namespace httplib {
class Server;
}

namespace ds4::runners::serve {

inline constexpr const char* kLoopback = "127.0.0.1";

/// Whether only this machine reaches an address: 127.0.0.0/8, ::1, localhost.
bool is_loopback(const std::string& host);

class Listener {
 public:
  /// Takes the port, 0 = any that is free, and begins to answer on a thread of its own. The server
  /// is borrowed, its routes are set. Throws Error(kMachine) when the address cannot be had.
  Listener(httplib::Server& http, const std::string& host, int port);
  ~Listener();  // stop()
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool listens() const { return thread_.joinable(); }
  /// Closes all connections.
  void stop();

  int port() const { return port_; }
  /// "http://127.0.0.1:8000"
  std::string url() const;

 private:
  httplib::Server& http_;
  const std::string host_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace ds4::runners::serve
