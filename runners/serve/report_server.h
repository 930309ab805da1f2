// The runs of a database as web pages that follow what is being measured: `report --serve`. Reads
// the database, writes nothing, and answers nothing but its own few addresses.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "runners/serve/listener.h"

namespace ds4::runners::serve {

struct ReportSettings {
  std::filesystem::path database;
  std::string host = kLoopback;
  int port = 8484;  // 0 = any that is free
};

class ReportServer {
 public:
  /// Opens the database, takes the address and begins to answer. Throws Error(kIo) without a
  /// database, Error(kMachine) when the address cannot be had.
  explicit ReportServer(const ReportSettings& settings);
  ~ReportServer();  // closes all connections
  ReportServer(const ReportServer&) = delete;
  ReportServer& operator=(const ReportServer&) = delete;

  /// "http://127.0.0.1:8484"
  std::string url() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether a request with this Host header is meant for a server on `own_host`: an address in
/// numbers, `localhost`, `own_host` or this machine's name. A stranger's name that was made to
/// point here (DNS rebinding) is none of them.
bool is_own_host(const std::string& header, const std::string& own_host);

}  // namespace ds4::runners::serve
