// The HTTP server over a queue of requests: addresses, keys, limits and the small endpoints. The
// only folder that knows the server half of cpp-httplib.
#pragma once

#include <memory>
#include <string>

#include "runners/serve/log.h"
#include "runners/serve/metrics.h"
#include "runners/serve/queue.h"
#include "runners/serve/settings.h"

namespace ds4::runners::serve {

class Server {
 public:
  /// Takes the address and begins to listen; until ready() is called every request is told that
  /// the model is loading (503). All is borrowed. Throws Error(kUsage) for an address that others
  /// reach and no key, Error(kMachine) when the address cannot be had.
  Server(const Settings& settings, RequestQueue& queue, Metrics& metrics, Log& log);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  /// "http://127.0.0.1:8000"
  std::string url() const;
  void ready();
  /// Waits for replies that are being written, a few seconds at most, and closes all connections.
  /// The queue is closed before, or they would not end.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ds4::runners::serve
