#include "runners/managed/output.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace ds4::runners::managed {
namespace {

constexpr size_t kLongestLine = 8192;  // a longer one is cut into several
constexpr size_t kTailLines = 40;
constexpr size_t kMostFileBytes = size_t{1} << 30;

}  // namespace

ServerOutput::ServerOutput(int fd, const Keep& keep)
    : fd_(fd), keep_(keep), end_(::eventfd(0, EFD_CLOEXEC)) {
  if (!keep_.file.empty()) {
    std::error_code ignored;  // a folder that cannot be made is told by the file
    std::filesystem::create_directories(keep_.file.parent_path(), ignored);
    file_.open(keep_.file, std::ios::app | std::ios::binary);
    if (!file_) {
      ::close(end_);
      throw Error(ErrorCode::kIo, keep_.file.string() + ": cannot be written",
                  "Name another file in `launch.log`.");
    }
  }
  thread_ = std::thread([this] { work(); });
}

ServerOutput::~ServerOutput() {
  finish();
  ::close(end_);
}

void ServerOutput::finish() {
  if (!thread_.joinable()) return;
  ::eventfd_write(end_, 1);
  thread_.join();
}

void ServerOutput::work() {
  std::array<pollfd, 2> events{{{end_, POLLIN, 0}, {fd_, POLLIN, 0}}};
  while (events[0].revents == 0) {
    ::poll(events.data(), events.size(), -1);
    read_all();
    // At its end the pipe is always readable; then only our end is waited for.
    if ((events[1].revents & POLLHUP) != 0) events[1].fd = -1;
  }
  read_all();
  if (!line_.empty()) end_line(monotonic_seconds());
  if (file_.is_open()) file_.flush();
}

void ServerOutput::read_all() {
  std::array<char, 65536> bytes;
  // Bounded, so that a server that prints without end does not keep this from ending.
  for (int i = 0; i < 64; ++i) {
    const ssize_t n = ::read(fd_, bytes.data(), bytes.size());
    if (n <= 0) break;
    feed({bytes.data(), static_cast<size_t>(n)});
  }
  if (file_.is_open()) file_.flush();
}

void ServerOutput::feed(std::string_view bytes) {
  const double now = monotonic_seconds();
  for (const char c : bytes) {
    // A progress bar writes over its line.
    if (c == '\n' || c == '\r') {
      if (!line_.empty()) end_line(now);
    } else {
      line_ += c;
      if (line_.size() >= kLongestLine) end_line(now);
    }
  }
}

void ServerOutput::end_line(double time_s) {
  const std::string& secret = keep_.secret;
  for (size_t at = 0; !secret.empty() && (at = line_.find(secret, at)) != line_.npos; at += 3) {
    line_.replace(at, secret.size(), "***");
  }
  line_ += '\n';
  if (keep_.tell) std::fwrite(line_.data(), 1, line_.size(), keep_.tell);
  if (file_.is_open() && written_ < kMostFileBytes) {
    file_ << line_;
    written_ += line_.size();
  }
  line_.pop_back();
  const std::lock_guard lock(mutex_);
  facts_.line(line_, time_s - keep_.began_s);
  if (tail_.size() == kTailLines) tail_.erase(tail_.begin());
  tail_.push_back(std::exchange(line_, {}));
}

std::vector<probes::Sample> ServerOutput::take_samples() {
  const std::lock_guard lock(mutex_);
  return facts_.take();
}

std::string ServerOutput::phase() {
  const std::lock_guard lock(mutex_);
  return facts_.phase();
}

std::string ServerOutput::tail(size_t lines) {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (size_t i = tail_.size() - std::min(lines, tail_.size()); i < tail_.size(); ++i) {
    text += (text.empty() ? "" : "\n") + tail_[i];
  }
  return text;
}

}  // namespace ds4::runners::managed
