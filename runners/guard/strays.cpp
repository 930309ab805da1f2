#include "runners/guard/strays.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "runners/guard/group.h"

namespace ds4::runners::guard {
namespace {

constexpr size_t kMostEnvironment = size_t{1} << 20;
constexpr int kWaits = 500;  // of 10 ms

template <typename What>
void each_process(const What& what) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    const std::string name = entry.path().filename();
    const auto end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, pid);
    if (parsed.ec == std::errc() && parsed.ptr == end) what(pid);
  }
}

// The environment a process was started with; "" of another user's.
std::string environment_of(pid_t pid) {
  const int fd =
      ::open(("/proc/" + std::to_string(pid) + "/environ").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text;
  std::array<char, 65536> bytes;
  ssize_t n = 0;
  while (text.size() < kMostEnvironment && (n = ::read(fd, bytes.data(), bytes.size())) > 0) {
    text.append(bytes.data(), static_cast<size_t>(n));
  }
  ::close(fd);
  return text;
}

bool has_entry(const std::string& environment, const std::string& entry) {
  const std::string wanted = std::string(1, '\0') + entry + std::string(1, '\0');
  return (std::string(1, '\0') + environment).find(wanted) != std::string::npos;
}

}  // namespace

std::string mark_of(pid_t worker) {
  const std::optional<ProcessStat> stat = read_stat(worker);
  return stat ? mark_of(worker, stat->start_ticks) : "";
}

std::string mark_of(pid_t worker, uint64_t start_ticks) {
  return std::to_string(worker) + "." + std::to_string(start_ticks);
}

std::vector<ProcessMark> marked_processes(const std::string& mark) {
  std::vector<ProcessMark> found;
  if (mark.empty()) return found;
  const std::string entry = std::string(kMarkVariable) + "=" + mark;
  each_process([&](pid_t pid) {
    const std::optional<ProcessStat> before = read_stat(pid);
    if (!before || before->state == 'Z' || !has_entry(environment_of(pid), entry)) return;
    // Read again: the environment was that process's if the number still is.
    const ProcessMark process{pid, before->start_ticks};
    if (still_runs(process)) found.push_back(process);
  });
  return found;
}

std::vector<ProcessMark> process_tree(pid_t root) {
  std::vector<std::pair<pid_t, ProcessMark>> all;  // parent, child
  std::vector<ProcessMark> tree;
  each_process([&](pid_t pid) {
    const std::optional<ProcessStat> stat = read_stat(pid);
    if (!stat || stat->state == 'Z') return;
    if (pid == root) tree.push_back({pid, stat->start_ticks});
    all.push_back({stat->parent, {pid, stat->start_ticks}});
  });
  for (size_t i = 0; i < tree.size(); ++i) {
    for (const auto& [parent, child] : all) {
      if (parent == tree[i].pid) tree.push_back(child);
    }
  }
  return tree;
}

bool still_runs(const ProcessMark& process) {
  const std::optional<ProcessStat> stat = read_stat(process.pid);
  return stat && stat->start_ticks == process.start_ticks && stat->state != 'Z';
}

void signal_process(const ProcessMark& process, int number) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0));
  // Looked at behind the opening: what runs by that number now is what the descriptor is about.
  if (still_runs(process)) {
    if (pidfd >= 0) {
      ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0);
    } else {
      ::kill(process.pid, number);
    }
  }
  if (pidfd >= 0) ::close(pidfd);
}

void end_marked(const std::string& mark) {
  for (int i = 0; i < kWaits; ++i) {
    const std::vector<ProcessMark> left = marked_processes(mark);
    if (left.empty()) return;
    for (const ProcessMark& process : left) signal_process(process, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace ds4::runners::guard
