#include "runners/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "engine/base/error.h"

namespace ds4::runners {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Pipe {
  int read_end = -1, write_end = -1;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kMachine, std::string("cannot make a pipe: ") + std::strerror(errno),
                "Raise the limit of open files (ulimit -n).");
  }
  return {ends[0], ends[1]};
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_child(pid_t parent, bool outlives, const Pipe& input, const Pipe& protocol,
                               const Pipe& log, char* const* argv) {
  if (!outlives) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before PDEATHSIG was armed
  ::setpgid(0, 0);
  // dup2 clears O_CLOEXEC; move the protocol end first, since its number may be 0, 1 or 2 of ours.
  if (::dup2(protocol.write_end, ChildProcess::kProtocolFd) < 0 || ::dup2(input.read_end, 0) < 0 ||
      ::dup2(log.write_end, 1) < 0 || ::dup2(log.write_end, 2) < 0) {
    ::_exit(127);
  }
  if (protocol.write_end == ChildProcess::kProtocolFd) ::fcntl(protocol.write_end, F_SETFD, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, std::string_view input,
                           OnLog on_log, ChildOptions options)
    : options_(options), input_(input), on_log_(std::move(on_log)) {
  std::vector<char*> argv{const_cast<char*>("ds4-sweep")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  // Reserve low descriptors, so that no pipe end below collides with 0..3 in the child.
  Pipe in = make_pipe(), protocol = make_pipe(), log = make_pipe();
  for (int* fd : {&in.read_end, &in.write_end, &protocol.read_end, &protocol.write_end,
                  &log.read_end, &log.write_end}) {
    if (*fd > kProtocolFd) continue;
    const int moved = ::fcntl(*fd, F_DUPFD_CLOEXEC, kProtocolFd + 1);
    close_fd(*fd);
    *fd = moved;
  }
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become_child(parent, options.outlives_us, in, protocol, log, argv.data());
  // Also here: whoever is told the number next must find the group made.
  if (pid_ > 0) ::setpgid(pid_, pid_);
  close_fd(in.read_end);
  close_fd(protocol.write_end);
  close_fd(log.write_end);
  input_fd_ = in.write_end;
  protocol_fd_ = protocol.read_end;
  log_fd_ = log.read_end;
  if (pid_ < 0) {
    throw Error(ErrorCode::kMachine, std::string("cannot start a worker: ") + std::strerror(errno),
                "Check the limits of processes and memory.");
  }
  ::fcntl(input_fd_, F_SETFL, O_NONBLOCK);
  ::fcntl(protocol_fd_, F_SETFL, O_NONBLOCK);
  ::fcntl(log_fd_, F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  if (!exit_ && pid_ > 0) {
    kill();
    wait_exit();
  }
  close_fd(input_fd_);
  close_fd(protocol_fd_);
  close_fd(log_fd_);
}

bool ChildProcess::take_line(std::string& line) {
  const size_t newline = buffer_.find('\n', scanned_);
  if (newline == std::string::npos) {
    scanned_ = buffer_.size();
    return false;
  }
  line.assign(buffer_, 0, newline);
  buffer_.erase(0, newline + 1);
  scanned_ = 0;
  return true;
}

void ChildProcess::drain_log() {
  std::array<char, 4096> bytes;
  while (log_fd_ >= 0) {
    const ssize_t n = ::read(log_fd_, bytes.data(), bytes.size());
    if (n == 0) close_fd(log_fd_);
    if (n <= 0) break;
    log_.append(bytes.data(), static_cast<size_t>(n));
    if (on_log_) on_log_({bytes.data(), static_cast<size_t>(n)});
    if (log_.size() > 2 * kLogTailBytes) log_.erase(0, log_.size() - kLogTailBytes);
  }
  if (log_.size() > kLogTailBytes) log_.erase(0, log_.size() - kLogTailBytes);
}

void ChildProcess::feed_input() {
  while (!input_.empty()) {
    const ssize_t n = ::write(input_fd_, input_.data(), input_.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) break;  // EPIPE: the child is gone; its end is reported by the protocol pipe
    input_.erase(0, static_cast<size_t>(n));
  }
  if (!options_.keep_input || !input_.empty()) close_fd(input_fd_);
}

void ChildProcess::send(std::string_view text) {
  if (input_fd_ < 0) return;  // it is gone
  input_ += text;
  feed_input();
}

ChildProcess::Wait ChildProcess::wait_line(milliseconds timeout, std::string& line, int other) {
  const auto deadline = steady_clock::now() + timeout;
  while (true) {
    if (take_line(line)) return Wait::kLine;
    if (protocol_fd_ < 0) return Wait::kEnded;
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    std::array<pollfd, 4> fds{{{protocol_fd_, POLLIN, 0},
                               {log_fd_, POLLIN, 0},
                               {input_.empty() && options_.keep_input ? -1 : input_fd_, POLLOUT, 0},
                               {other, POLLIN, 0}}};
    const int ready = ::poll(fds.data(), fds.size(),
                             static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60000)));
    if (ready < 0 && errno == EINTR) return Wait::kInterrupted;
    if (ready == 0 && left.count() <= 0) return Wait::kTimeout;
    if (fds[1].revents) drain_log();
    if (fds[2].revents) feed_input();
    if (!fds[0].revents && fds[3].revents) return Wait::kInterrupted;
    if (!fds[0].revents) continue;
    std::array<char, 65536> bytes;
    const ssize_t n = ::read(protocol_fd_, bytes.data(), bytes.size());
    if (n > 0) {
      buffer_.append(bytes.data(), static_cast<size_t>(n));
    } else if (n == 0) {
      close_fd(protocol_fd_);
    }
  }
}

void ChildProcess::kill() {
  if (exit_ || pid_ <= 0) return;
  // Still our unreaped child, so neither number can have been reused.
  ::kill(-pid_, SIGKILL);  // the worker's process group: whatever it started
  ::kill(pid_, SIGKILL);   // the worker itself, if it had not made its group yet
}

Exit ChildProcess::wait_exit(milliseconds grace) {
  const auto deadline = steady_clock::now() + grace;
  bool killed = false;
  while (!exit_) {
    drain_log();
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == pid_) {
      ::kill(-pid_, SIGKILL);  // what it left in its group; before it is reaped, the number is ours
      int status = 0;
      ::waitpid(pid_, &status, 0);
      exit_ = WIFSIGNALED(status) ? Exit{0, WTERMSIG(status)} : Exit{WEXITSTATUS(status), 0};
    } else if (!killed && steady_clock::now() > deadline) {
      kill();
      killed = true;
    } else {
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  drain_log();
  return *exit_;
}

}  // namespace ds4::runners
