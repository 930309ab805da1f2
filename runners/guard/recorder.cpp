#include "runners/guard/recorder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace ds4::runners::guard {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// A new file's name lies in its folder, which has to be synced too.
void sync_folder(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

Recorder::Recorder(const std::filesystem::path& path, std::string_view header)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (fd_ < 0 || !write_all(fd_, header) || ::fdatasync(fd_) != 0) {
    const std::string why = std::strerror(errno);
    if (fd_ >= 0) ::close(fd_);
    throw Error(ErrorCode::kIo, path.string() + ": " + why,
                "The guard's telemetry goes there; free space or name another database with --db.");
  }
  sync_folder(path);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { work(); });
}

Recorder::~Recorder() {
  ending_ = true;
  wake();
  thread_.join();
  ::close(wake_);
  ::close(fd_);
}

void Recorder::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);  // full: awake anyway
}

void Recorder::add(std::string_view line, bool urgent) noexcept {
  const uint32_t next = handed_.load(std::memory_order_relaxed);
  if (next - taken_.load(std::memory_order_acquire) >= kLines || line.size() > kLineBytes) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Line& slot = ring_[next % kLines];
  std::memcpy(slot.text.data(), line.data(), line.size());
  slot.size = static_cast<uint32_t>(line.size());
  if (urgent) urgent_.store(true, std::memory_order_relaxed);
  handed_.store(next + 1, std::memory_order_release);
  wake();
}

void Recorder::work() {
  double synced_s = monotonic_seconds();
  bool unsynced = false;
  while (true) {
    const bool last = ending_.load();  // read before the lines: none is handed over after it
    const uint32_t handed = handed_.load(std::memory_order_acquire);
    for (uint32_t i = taken_.load(std::memory_order_relaxed); i != handed; ++i) {
      const Line& line = ring_[i % kLines];
      if (!write_all(fd_, {line.text.data(), line.size})) {
        dropped_.fetch_add(1, std::memory_order_relaxed);  // a full disk; the guard goes on
      }
      taken_.store(i + 1, std::memory_order_release);
      unsynced = true;
    }
    const double begin_s = monotonic_seconds();
    if (unsynced && (urgent_.exchange(false) || last || begin_s - synced_s >= kSync_s)) {
      ::fdatasync(fd_);
      synced_s = monotonic_seconds();
      slowest_sync_s_ = std::max(slowest_sync_s_.load(), synced_s - begin_s);
      unsynced = false;
    }
    if (last) return;
    pollfd waiting{wake_, POLLIN, 0};
    ::poll(&waiting, 1, unsynced ? static_cast<int>(kSync_s * 1000) : -1);
    uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_, &wakes, sizeof wakes);
  }
}

}  // namespace ds4::runners::guard
