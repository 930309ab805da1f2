#include "runners/serve/listener.h"

#include <httplib.h>

#include <chrono>

#include "engine/base/error.h"

namespace ds4::runners::serve {

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Listener::Listener(httplib::Server& http, const std::string& host, int port)
    : http_(http), host_(host) {
  // The library's own choice, SO_REUSEPORT, lets two servers have one port without a word.
  http_.set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  port_ = port;
  const bool bound =
      port == 0 ? (port_ = http_.bind_to_any_port(host)) > 0 : http_.bind_to_port(host, port);
  if (!bound) {
    throw Error(ErrorCode::kMachine, "cannot listen on " + host + ", port " + std::to_string(port),
                "Another process has the port, or this machine has no such address; choose "
                "another --port (0 takes any that is free) or --host.");
  }
  thread_ = std::thread([this] { http_.listen_after_bind(); });
  while (!http_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Listener::~Listener() {
  stop();
}

void Listener::stop() {
  if (!listens()) return;
  http_.stop();
  thread_.join();
}

std::string Listener::url() const {
  const bool six = host_.find(':') != std::string::npos;
  return "http://" + (six ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
}

}  // namespace ds4::runners::serve
