// A child process of ours: started from this executable, dies with us, read line by line with a
// deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::runners {

/// How a child ended.
struct Exit {
  int code = 0;    // exit status, when signal is 0
  int signal = 0;  // the signal that killed it
};

struct ChildOptions {
  bool outlives_us = false;  // no PDEATHSIG: it hears of our death by the end of its input
  bool keep_input = false;   // its input stays open behind `input`, for send()
};

/// A child running `/proc/self/exe ARGS`, with `input` on its standard input, protocol lines on its
/// descriptor kProtocolFd and everything it prints on a log pipe. It gets SIGKILL when this process
/// dies (PDEATHSIG, unless it outlives us), and its own process group, so that Ctrl-C reaches us
/// alone.
/// Start and use it from the main thread: PDEATHSIG follows the thread that forked.
class ChildProcess {
 public:
  static constexpr int kProtocolFd = 3;
  static constexpr size_t kLogTailBytes = 8192;

  /// Sees everything the child prints, as it is read.
  using OnLog = std::function<void(std::string_view bytes)>;

  ChildProcess(const std::vector<std::string>& arguments, std::string_view input, OnLog on_log = {},
               ChildOptions options = {});
  ~ChildProcess();  // kills and reaps a child still running
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class Wait { kLine, kTimeout, kInterrupted, kEnded };
  /// Waits until a protocol line is complete, `timeout` passes, a signal handler ran (EINTR), the
  /// descriptor `other` became readable (also kInterrupted), or the child closed the pipe. On kLine
  /// `line` holds it without its newline. The input is fed while waiting.
  Wait wait_line(std::chrono::milliseconds timeout, std::string& line, int other = -1);

  /// More input, for a child with keep_input. Never waits; what does not fit goes with the next
  /// wait_line().
  void send(std::string_view text);

  void kill();
  /// Reaps the child; call after kEnded or kill(). Kills it if it does not end within `grace`.
  Exit wait_exit(std::chrono::milliseconds grace = std::chrono::seconds(10));

  pid_t pid() const { return pid_; }
  /// Readable when wait_line() would find something; -1 when the child has closed it.
  int protocol_fd() const { return protocol_fd_; }
  /// The last kLogTailBytes of what the child printed.
  const std::string& log_tail() const { return log_; }

 private:
  bool take_line(std::string& line);
  void drain_log();
  void feed_input();

  pid_t pid_ = -1;
  ChildOptions options_;
  int input_fd_ = -1, protocol_fd_ = -1, log_fd_ = -1;
  std::string input_;   // not yet written
  std::string buffer_;  // protocol bytes read
  size_t scanned_ = 0;  // bytes of buffer_ known to hold no newline
  std::string log_;
  OnLog on_log_;
  std::optional<Exit> exit_;
};

}  // namespace ds4::runners
