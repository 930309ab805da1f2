#include "runners/guard/group.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "engine/base/error.h"
#include "runners/guard/container.h"

namespace ds4::runners::guard {
namespace {

// Linux 6.9: the signal goes to the group that the pidfd's process leads or led.
constexpr unsigned kSignalGroup = 1u << 2;

int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// Whether the pidfd's process has ended (it may not be reaped yet).
bool has_ended(int pidfd) noexcept {
  pollfd waiting{pidfd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLIN) != 0;
}

std::string_view next_field(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
  const size_t end = std::min(text.size(), text.find(' '));
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(end);
  return field;
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
  return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text) {
  // The name may hold blanks and brackets; the last bracket ends it.
  const size_t bracket = text.rfind(')');
  if (bracket == std::string_view::npos) return std::nullopt;
  text.remove_prefix(bracket + 1);
  ProcessStat stat;
  const std::string_view state = next_field(text);
  if (state.size() != 1) return std::nullopt;
  stat.state = state[0];
  if (!parse(next_field(text), stat.parent)) return std::nullopt;
  if (!parse(next_field(text), stat.group)) return std::nullopt;
  for (int skipped = 6; skipped < 22; ++skipped) next_field(text);
  if (!parse(next_field(text), stat.start_ticks)) return std::nullopt;
  return stat;
}

std::optional<ProcessStat> read_stat(pid_t pid) {
  std::array<char, 32> path{};
  std::array<char, 1024> text;
  const auto end = std::to_chars(path.data() + 6, path.data() + 20, pid).ptr;
  std::copy_n("/proc/", 6, path.data());
  std::copy_n("/stat", 6, end);
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  if (n <= 0) return std::nullopt;
  return parse_stat({text.data(), static_cast<size_t>(n)});
}

Group::Group(pid_t leader, std::optional<uint64_t> start_ticks, bool use_pidfd, Scope scope)
    : leader_(leader), scope_(scope) {
  const std::string who = "process " + std::to_string(leader);
  // Opened first: whatever is then read of that number is this process, or the number is free.
  if (use_pidfd) pidfd_ = open_pidfd(leader);
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    if (pidfd_ >= 0) ::close(pidfd_);
    throw Error(ErrorCode::kUsage, who + what, hint);
  };
  const std::optional<ProcessStat> stat = leader > 1 ? read_stat(leader) : std::nullopt;
  if (!stat || stat->state == 'Z') {
    refuse(": there is none to guard", "Name the process id of a running server.");
  }
  if (start_ticks && *start_ticks != stat->start_ticks) {
    refuse(": its number was given to another process meanwhile", "Name the running one.");
  }
  if (scope == Scope::kGroup && stat->group == ::getpgrp()) {
    refuse(": belongs to the guard's own process group, which would be ended with it",
           "Start the server in a group of its own: setsid COMMAND.");
  }
  if (scope == Scope::kGroup && stat->group != leader) {
    refuse(" does not lead its process group; that is " + std::to_string(stat->group),
           "Name the leader, after looking at what else is in its group: ps -o pid,args -g " +
               std::to_string(stat->group));
  }
  start_ticks_ = stat->start_ticks;
}

Group::~Group() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool Group::leader_runs() const noexcept {
  if (pidfd_ >= 0) return !has_ended(pidfd_);
  const std::optional<ProcessStat> stat = read_stat(leader_);
  return stat && stat->start_ticks == start_ticks_ && stat->state != 'Z' && stat->state != 'X';
}

bool Group::signal(int number) const noexcept {
  const bool whole_group = scope_ == Scope::kGroup;
  if (pidfd_ >= 0) {
    const unsigned flags = whole_group ? kSignalGroup : 0;
    if (::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, flags) == 0) return true;
    if (errno == ESRCH || !whole_group) return false;
  }
  // An older kernel. While the leader is there, running or not reaped, its number is the group's.
  // When it is gone the number stays taken as long as the group has a process, but nothing says
  // that it has: then nobody is signalled.
  const std::optional<ProcessStat> stat = read_stat(leader_);
  if (!stat || stat->start_ticks != start_ticks_) return false;
  if (!whole_group) return ::kill(leader_, number) == 0;
  return stat->group == leader_ && ::kill(-leader_, number) == 0;
}

std::vector<pid_t> Group::members() const {
  if (scope_ == Scope::kNamespace)
    return leader_runs() ? std::vector{leader_} : std::vector<pid_t>();
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    const std::string name = entry.path().filename();
    if (!parse(name, pid) || std::to_string(pid) != name) continue;
    const std::optional<ProcessStat> stat = read_stat(pid);
    if (stat && stat->group == leader_ && stat->state != 'Z') pids.push_back(pid);
  }
  return pids;
}

std::unique_ptr<Group> open_target(std::string_view name) {
  constexpr std::string_view kPid = "pid:", kContainer = "container:";
  pid_t pid = 0;
  if (name.starts_with(kContainer)) {
    const std::string_view id = name.substr(kContainer.size());
    auto group =
        std::make_unique<Group>(container_init(id), std::nullopt, true, Group::Scope::kNamespace);
    // Asked again: the number was still the container's when its pidfd was opened.
    if (container_init(id) == group->id()) return group;
    throw Error(ErrorCode::kUsage, "container " + std::string(id) + " was just restarted",
                "Try again.");
  }
  if (name.starts_with(kPid) && parse(name.substr(kPid.size()), pid) &&
      name == std::string(kPid) + std::to_string(pid)) {
    return std::make_unique<Group>(pid);
  }
  throw Error(ErrorCode::kUsage, "`" + std::string(name) + "` names nothing to guard",
              "Write pid:1234 or container:ID.");
}

}  // namespace ds4::runners::guard
