// The queue of a server as the work of a target: requests come from connections, wait their turn,
// and are taken by whatever target runs.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "runners/serve/exchange.h"
#include "runners/serve/metrics.h"

namespace ds4::runners::serve {

class RequestQueue final : public Work {
 public:
  /// `most_waiting` requests may wait for the target beside those it has; `metrics` is borrowed.
  RequestQueue(size_t most_waiting, Metrics& metrics)
      : most_waiting_(most_waiting), metrics_(metrics) {}

  /// Queues a request; nothing when the queue is full or closed.
  std::shared_ptr<Exchange> post(Request request);
  /// No more requests, and those there are end as cancelled. Safe to be called by any thread.
  void close();
  /// The target failed: every request ends with this error, and later ones are not taken.
  void fail(const std::string& error);
  bool closed() const;

  std::optional<Item> next(bool wait) override;
  bool progress(int64_t id, int64_t prompt_done, int64_t completion_done) override;
  void text(int64_t id, const Pieces& pieces) override;
  void done(int64_t id, Response response) override;

 private:
  void end(Exchange& exchange, Response response);
  void show_counts() const;  // with mutex_ held

  const size_t most_waiting_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::shared_ptr<Exchange>> waiting_;
  struct Taken {
    std::shared_ptr<Exchange> exchange;
    double waited_s = 0;
  };
  std::map<int64_t, Taken> taken_;
  int64_t next_id_ = 0;
  bool closed_ = false;
};

}  // namespace ds4::runners::serve
