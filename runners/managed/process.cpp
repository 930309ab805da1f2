#include "runners/managed/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/error.h"

extern char** environ;

namespace ds4::runners::managed {
namespace {

constexpr double kKilled_s = 5;             // a killed process is waited for
constexpr double kLeftover_s = 5;           // what the server leaves has so long after its own TERM
constexpr unsigned kCloseOnExec = 1u << 2;  // CLOSE_RANGE_CLOEXEC

void pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

// "NAME=value" of this process's environment and what is set for the server.
std::vector<std::string> environment(const ServerStart& start, const std::string& mark) {
  auto set = start.env;
  set.emplace_back(guard::kMarkVariable, mark);
  std::vector<std::string> entries;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    const bool replaced =
        std::any_of(set.begin(), set.end(), [&](const auto& pair) { return pair.first == name; });
    if (!replaced) entries.push_back(text);
  }
  for (const auto& [name, value] : set) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

struct Child {
  pid_t parent;
  const char* folder;
  int output, failed;  // write ends
  char* const* argv;
  char** env;
};

// Between fork and exec; of a process with threads, so async-signal-safe calls only (execvpe reads
// PATH from the environment, which nobody changes).
[[noreturn]] void become(const Child& child) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int error = 0;
  if (::getppid() != child.parent) ::_exit(127);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (::dup2(nothing, 0) < 0 || ::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0) {
    error = errno;
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::signal(signal, SIG_DFL);
  if (error == 0 && *child.folder && ::chdir(child.folder) != 0) error = errno;
  // The line to the supervisor is open on exec for this process's sake.
  if (::syscall(SYS_close_range, 3u, ~0u, kCloseOnExec) != 0) {
    for (int fd = 3; fd < 1024; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (error == 0) {
    ::execvpe(child.argv[0], child.argv, child.env);
    error = errno;
  }
  [[maybe_unused]] const ssize_t told = ::write(child.failed, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

std::string ServerEnd::text() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

ServerProcess::ServerProcess(const ServerStart& start) : mark_(guard::mark_of(::getpid())) {
  int output[2], failed[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(failed, O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kMachine, std::string("cannot make a pipe: ") + std::strerror(errno),
                "Raise the limit of open files (ulimit -n).");
  }
  std::vector<std::string> words = start.words, entries = environment(start, mark_);
  const std::vector<char*> argv = pointers(words);
  std::vector<char*> env = pointers(entries);
  const Child child{::getpid(), start.folder.c_str(), output[1],
                    failed[1],  argv.data(),          env.data()};
  pid_ = ::fork();
  if (pid_ == 0) become(child);
  int error = pid_ < 0 ? errno : 0;
  ::close(output[1]);
  ::close(failed[1]);
  output_ = output[0];
  ::fcntl(output_, F_SETFL, O_NONBLOCK);
  // Ends when the server has begun, its end being closed by that.
  if (pid_ > 0 && ::read(failed[0], &error, sizeof error) == sizeof error) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  ::close(failed[0]);
  if (error == 0) return;
  ::close(output_);
  const bool missing = error == ENOENT;
  throw Error(ErrorCode::kMachine,
              "cannot run `" + start.words[0] + "`" +
                  (start.folder.empty() ? "" : " in " + start.folder) + ": " + std::strerror(error),
              missing ? "Install the server, or write its path in `launch.command`."
                      : "Mend `launch.command` or `launch.folder`.");
}

ServerProcess::~ServerProcess() {
  stop(0);
  ::close(output_);
}

const std::optional<ServerEnd>& ServerProcess::ended() {
  int status = 0;
  if (!end_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    end_ = WIFSIGNALED(status) ? ServerEnd{0, WTERMSIG(status)} : ServerEnd{WEXITSTATUS(status), 0};
  }
  return end_;
}

std::vector<guard::ProcessMark> ServerProcess::left() {
  ended();
  std::vector<guard::ProcessMark> processes = guard::marked_processes(mark_);
  for (const guard::ProcessMark& process : known_) {
    const bool listed = std::find(processes.begin(), processes.end(), process) != processes.end();
    if (!listed && guard::still_runs(process)) processes.push_back(process);
  }
  return processes;
}

bool ServerProcess::stop(double patience_s) {
  if (!ended()) known_ = guard::process_tree(pid_);
  if (!end_ && patience_s > 0) ::kill(pid_, SIGTERM);
  const double told = monotonic_seconds();
  double ended_at = -1;
  bool asked = patience_s <= 0;
  while (!left().empty() && monotonic_seconds() - told < patience_s) {
    if (end_ && ended_at < 0) ended_at = monotonic_seconds();
    if (end_ && !asked) {
      asked = true;
      for (const guard::ProcessMark& process : left()) guard::signal_process(process, SIGTERM);
    }
    if (ended_at >= 0 && monotonic_seconds() - ended_at > kLeftover_s) break;
    pause();
  }
  const bool clean = left().empty();
  const double killed = monotonic_seconds();
  while (monotonic_seconds() - killed < kKilled_s) {
    const auto processes = left();
    if (processes.empty()) break;
    for (const guard::ProcessMark& process : processes) guard::signal_process(process, SIGKILL);
    pause();
  }
  return clean;
}

}  // namespace ds4::runners::managed
