// Ctrl-C for verbs that wait in a thread of their own: INT and TERM as a call.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>

namespace ds4::cli {

/// INT and TERM while it lives: the first calls `on_stop` on a thread of its own, a second ends the
/// process. To be made before any other thread, so that none of them takes the signals.
class StopSignals {
 public:
  explicit StopSignals(std::function<void()> on_stop) {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    watcher_ = std::thread([this, on_stop = std::move(on_stop)] {
      bool told = false;
      while (!over_) {
        const timespec moment{0, 100'000'000};
        if (sigtimedwait(&signals_, nullptr, &moment) < 0) continue;
        if (told) std::_Exit(130);
        told = true;
        on_stop();
      }
    });
  }
  ~StopSignals() {
    over_ = true;
    watcher_.join();
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  sigset_t signals_{};
  std::atomic<bool> over_ = false;
  std::thread watcher_;
};

}  // namespace ds4::cli
