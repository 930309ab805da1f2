// A process group that is watched and may be ended: told apart from any other by a pidfd, or where
// the kernel has none by the start time of its leader; never by name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::runners::guard {

/// Of /proc/PID/stat.
struct ProcessStat {
  char state = '?';  // 'Z' = ended, not reaped
  pid_t parent = 0;
  pid_t group = 0;
  uint64_t start_ticks = 0;  // since boot
};
std::optional<ProcessStat> read_stat(pid_t pid);
/// The fields of the text of a stat file; nothing when it is none.
std::optional<ProcessStat> parse_stat(std::string_view text);

class Group {
 public:
  enum class Scope {
    kGroup,      // the processes of the leader's process group
    kNamespace,  // the leader is number 1 of a process namespace, which ends with it: a container
  };

  /// The group that `leader` leads. With `start_ticks` the process must have begun then: a number
  /// that was given to another process meanwhile is refused. Throws Error(kUsage): no such process,
  /// another one, not the leader of its group, or a group this process itself belongs to. Without
  /// `use_pidfd` it does as on a kernel that has none.
  explicit Group(pid_t leader, std::optional<uint64_t> start_ticks = {}, bool use_pidfd = true,
                 Scope scope = Scope::kGroup);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  pid_t id() const { return leader_; }
  uint64_t start_ticks() const { return start_ticks_; }
  /// Becomes readable when the leader has ended; -1 on kernels without.
  int pidfd() const { return pidfd_; }
  /// The leader runs: neither ended nor replaced by another process of its number.
  bool leader_runs() const noexcept;
  /// Sends a signal to every process of the group, or to number 1 of the namespace. False when
  /// there is none any more, or when the group can no longer be told from another that may have its
  /// number.
  bool signal(int number) const noexcept;
  /// The processes of the group now, zombies left out; of a namespace number 1 alone. Reads all of
  /// /proc: not for the hot path.
  std::vector<pid_t> members() const;

 private:
  pid_t leader_ = 0;
  uint64_t start_ticks_ = 0;
  int pidfd_ = -1;
  Scope scope_;
};

/// The group of "pid:1234", or the container of "container:ID". Throws Error(kUsage), also for any
/// other text.
std::unique_ptr<Group> open_target(std::string_view name);

}  // namespace ds4::runners::guard
