// Lines for whoever watches a server, on standard error. Texts of models and users are in them only
// where the caller was told to.
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace ds4::runners::serve {

/// Safe to be used by any thread.
class Log {
 public:
  explicit Log(bool quiet) : quiet_(quiet) {}
  /// One line, with the moment in front; control characters become blanks.
  void line(const std::string& text);
  /// The same for what needs to be said once: later calls with this key say nothing.
  void once(const std::string& key, const std::string& text);

 private:
  std::mutex mutex_;
  const bool quiet_;
  std::set<std::string> said_;
};

}  // namespace ds4::runners::serve
