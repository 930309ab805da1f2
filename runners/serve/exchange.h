// One request between the connection that posted it and the target that answers it: two threads
// that meet here and nowhere else.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "runners/targets/target.h"

namespace ds4::runners::serve {

class Exchange {
 public:
  explicit Exchange(Request request);

  /// What has come since the last call. With neither pieces nor a response nothing came in time.
  struct News {
    std::vector<Pieces> pieces;
    std::optional<Response> response;  // the last there is
    int64_t prompt_tokens = 0;         // computed so far
  };
  /// For the connection: waits for news, at most so long.
  News wait(std::chrono::milliseconds at_most);
  /// The client is gone: whoever works on the request stops at the next chance.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  /// For the target's side.
  const Request& request() const { return request_; }
  double age_s() const;  // since it was posted
  void add(const Pieces& pieces);
  void prompt_at(int64_t tokens) { prompt_tokens_ = tokens; }
  void end(Response response);

 private:
  const Request request_;
  const double posted_s_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<int64_t> prompt_tokens_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  News news_;
};

}  // namespace ds4::runners::serve
