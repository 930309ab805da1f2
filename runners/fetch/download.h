// One file from the web to its place: resumed where a half of it lies, followed through
// redirections, whole and of the right hash or not there at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runners/http/client.h"
#include "runners/http/web_address.h"

namespace ds4::runners::fetch {

struct Wanted {
  std::string url;
  std::filesystem::path path;
  int64_t bytes = 0;   // no more are taken
  std::string sha256;  // 64 lower-case digits
};

struct Download {
  bool whole = false;      // false: it was told to stop, and the half stays
  int64_t resumed_at = 0;  // bytes that lay there already and were right
  int redirects = 0;       // of the last try
  int tries = 0;
};

class Downloader {
 public:
  static constexpr int kMostRedirects = 5;

  /// A server may be silent for `patience_s` before it is given up.
  explicit Downloader(double patience_s = 60);
  ~Downloader();

  /// The bytes that are there so far, now and then.
  using OnProgress = std::function<void(int64_t bytes)>;

  /// Throws Error(kIo) with what went wrong, whether a half stays, and what to do: no way to the
  /// host, a refusal, a redirection too many or to a place without TLS, a file of another length or
  /// hash, a full disk. A connection that breaks off is taken up again as long as bytes come.
  Download get(const Wanted& wanted, const OnProgress& on_progress);

  /// From any thread: the download under way ends soon, and later ones at once.
  void stop();

 private:
  class Transfer;
  http::Client& client(const std::string& origin);
  bool stopped();

  const double patience_s_;
  std::mutex mutex_;  // of the following
  std::map<std::string, std::unique_ptr<http::Client>> clients_;
  bool stopped_ = false;
};

}  // namespace ds4::runners::fetch
