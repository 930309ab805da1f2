// Writes lines to a file and syncs it, on a thread of its own: a disk that is slow to sync must not
// keep the guard from the next reading.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <thread>

namespace ds4::runners::guard {

class Recorder {
 public:
  /// What is lost at most when the machine stops: this, and what the disk takes to sync.
  static constexpr double kSync_s = 0.5;

  /// Creates the file, emptying an old one, with `header` synced, so that it is found after a
  /// reset. Throws Error(kIo).
  Recorder(const std::filesystem::path& path, std::string_view header);
  ~Recorder();  // writes and syncs what is left
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// Hands one line over; `urgent` has it synced at once. Never waits: with more lines than the
  /// disk takes, the newest are dropped and counted. Allocates nothing.
  void add(std::string_view line, bool urgent) noexcept;

  int64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  /// The longest that write and sync took together, in seconds.
  double slowest_sync_s() const { return slowest_sync_s_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kLines = 128;
  static constexpr size_t kLineBytes = 2048;
  struct Line {
    uint32_t size = 0;
    std::array<char, kLineBytes> text;
  };

  void work();
  void wake() noexcept;

  int fd_ = -1, wake_ = -1;
  std::array<Line, kLines> ring_;
  std::atomic<uint32_t> handed_{0};  // lines given to add()
  std::atomic<uint32_t> taken_{0};   // of these, lines that are in the file
  std::atomic<bool> urgent_{false}, ending_{false};
  std::atomic<int64_t> dropped_{0};
  std::atomic<double> slowest_sync_s_{0};
  std::thread thread_;
};

}  // namespace ds4::runners::guard
