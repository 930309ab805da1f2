#include "runners/box_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace ds4::runners {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr size_t kMostBytes = 128;  // of what a holder writes
constexpr size_t kShownDigits = 8;  // of a run's id
constexpr mode_t kEveryone = 0666;  // the next holder may be another user

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error(ErrorCode::kMachine, file.string() + ": " + why,
              "Remove it if no run uses it, name another lock with DS4_SWEEP_LOCK=FILE, or measure "
              "without one: --no-lock.");
}

// In a folder that everybody writes to, a name may be anything: only a plain file with this one
// name is opened, and an existing one without O_CREAT, as fs.protected_regular demands.
int open_file(const fs::path& file) {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  int fd = ::open(file.c_str(), kFlags);
  if (fd < 0 && errno == ENOENT) {
    fd = ::open(file.c_str(), kFlags | O_CREAT | O_EXCL, kEveryone);
    if (fd >= 0) ::fchmod(fd, kEveryone);  // whatever the umask
    if (fd < 0 && errno == EEXIST) fd = ::open(file.c_str(), kFlags);
  }
  if (fd < 0) {
    refuse(file, errno == ELOOP ? "a symbolic link, no lock file"
                                : std::string("cannot be opened: ") + std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1) {
    ::close(fd);
    refuse(file, "no lock file of ds4-sweep");
  }
  return fd;
}

// Whether `file` still names what was opened.
bool still_there(const fs::path& file, int fd) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::lstat(file.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// The next word of `text` if it consists of `allowed`; anybody may have written the file.
std::string word(std::string_view& text, std::string_view allowed) {
  const size_t end = std::min(text.find_first_of(" \n"), text.size());
  const std::string_view found = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  return found.find_first_not_of(allowed) == std::string_view::npos ? std::string(found) : "";
}

BoxLock::Holder read_holder(int fd) {
  std::array<char, kMostBytes> bytes;
  const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
  std::string_view text(bytes.data(), n > 0 ? static_cast<size_t>(n) : 0);
  BoxLock::Holder holder;
  const std::string pid = word(text, "0123456789");
  std::from_chars(pid.data(), pid.data() + pid.size(), holder.pid);
  holder.since = word(text, "0123456789-T:.Z");
  holder.run = word(text, "0123456789abcdef-");
  holder.alive = holder.pid > 0 && (::kill(holder.pid, 0) == 0 || errno == EPERM);
  return holder;
}

void write_holder(int fd, const std::string& run_id) {
  const std::string text =
      std::to_string(::getpid()) + " " + utc_now() + " " + run_id.substr(0, kShownDigits) + "\n";
  // Only read by people: a full disk must not keep anybody from measuring.
  if (::ftruncate(fd, 0) == 0) {
    [[maybe_unused]] const ssize_t n = ::pwrite(fd, text.data(), text.size(), 0);
  }
}

}  // namespace

std::string BoxLock::Holder::text() const {
  std::string text = run.empty() ? "a run" : "run " + run;
  if (pid > 0) {
    text += " (pid " + std::to_string(pid) +
            (alive ? ")" : ", which is gone; a process it started is not)");
  }
  return since.empty() ? text : text + " since " + since;
}

BoxLock::BoxLock(const fs::path& file, milliseconds wait, const Waiting& waiting) {
  const auto begin = steady_clock::now();
  bool told = false;
  while (true) {
    const int fd = open_file(file);
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && still_there(file, fd)) {
      // Inherited by the worker and the guard on purpose: the machine is free when the last of
      // them has given back its memory, whatever became of the supervisor.
      ::fcntl(fd, F_SETFD, 0);
      fd_ = fd;
      write_holder(fd, "");
      return;
    }
    const Holder holder = read_holder(fd);
    ::close(fd);
    const milliseconds patience = holder.alive ? wait : std::max<milliseconds>(wait, kLastGasp);
    if (steady_clock::now() - begin >= patience) {
      throw Error(ErrorCode::kMachine, "this machine is measuring already: " + holder.text(),
                  "Wait for it (--wait 2h), end it there with Ctrl-C, or measure beside it "
                  "knowingly (--no-lock). Lock: " +
                      file.string());
    }
    if (!told && waiting) waiting(holder);
    told = true;
    std::this_thread::sleep_for(milliseconds(50));
  }
}

BoxLock::~BoxLock() {
  // Not unlinked: whoever waits has it open.
  if (fd_ >= 0) ::close(fd_);
}

void BoxLock::name_run(const std::string& run_id) {
  write_holder(fd_, run_id);
}

std::optional<BoxLock::Holder> BoxLock::holder(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<Holder> holder;
  // A shared lock, held for an instant: two that ask at once do not see each other.
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) holder = read_holder(fd);
  ::close(fd);
  return holder;
}

fs::path BoxLock::default_file() {
  if (const char* file = std::getenv("DS4_SWEEP_LOCK"); file && *file) return file;
  struct stat info {};
  constexpr mode_t kOpenToAll = S_ISVTX | S_IWOTH;
  const bool run_lock = ::lstat("/run/lock", &info) == 0 && S_ISDIR(info.st_mode) &&
                        (info.st_mode & kOpenToAll) == kOpenToAll;
  return fs::path(run_lock ? "/run/lock" : "/tmp") / "ds4-sweep.lock";
}

}  // namespace ds4::runners
