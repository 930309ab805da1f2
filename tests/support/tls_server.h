// An HTTPS server on the loopback with a certificate of its own, made when it starts, that only who
// is told of it trusts.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

namespace httplib {
class SSLServer;
}

namespace ds4::test_support {

class TlsServer {
 public:
  /// Writes its certificate, for 127.0.0.1, to `certificate` (PEM): SSL_CERT_FILE makes it trusted.
  /// GET of `path` is answered by `body`; byte ranges are known.
  TlsServer(const std::filesystem::path& certificate, const std::string& path,
            const std::string& body);
  ~TlsServer();

  std::string origin() const { return "https://127.0.0.1:" + std::to_string(port_); }
  /// GET of `path` leads to `location` from now on.
  void redirect(const std::string& path, const std::string& location);

 private:
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace ds4::test_support
