// What the kernel tells everyone about memory and this machine, before and after a launch: its OOM
// killer's count, swap traffic, lines of its log, the boot and the machine themselves.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ds4::runners::outcome {

/// Identity of this boot (/proc/sys/kernel/random/boot_id); "" where it cannot be read.
std::string boot_id();

/// A name for this machine that says nothing about it: 16 hexadecimal digits of a hash of
/// /etc/machine-id; "" where there is none.
std::string machine_mark();

/// When a process was started, in the kernel's ticks since boot: with its number, who it is. 0 when
/// there is no such process.
int64_t start_ticks(pid_t pid);

/// The state letter of a process ('R', 'S', 'D', 'T', ...); 0 when there is none.
char process_state(pid_t pid);

/// Counters of /proc/vmstat; 0 where the kernel does not count.
struct KernelCounters {
  int64_t oom_kills = 0;        // processes ended by the OOM killer since boot, of anyone
  int64_t swapped_pages = 0;    // in and out
  int64_t group_oom_kills = 0;  // as group_oom_kills()
};
KernelCounters read_kernel_counters();

/// Processes of this process's memory cgroup that the OOM killer ended, for whatever limit: a
/// process of another group is nobody of ours. -1 where the kernel does not say. `own` is this
/// process's list of groups, `groups` where they are mounted, version 1 or 2.
int64_t group_oom_kills(const std::filesystem::path& own = "/proc/self/cgroup",
                        const std::filesystem::path& groups = "/sys/fs/cgroup");

/// From its construction on: counters since, and the lines of the kernel's log that concern memory
/// or the GPU, where /dev/kmsg may be read.
class KernelWatch {
 public:
  KernelWatch();
  ~KernelWatch();
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  const KernelCounters& at_begin() const { return begin_; }
  /// Growth since the beginning; of group_oom_kills -1 where it is not known.
  KernelCounters since() const;
  /// New lines since the last call, at most 20 in all.
  std::vector<std::string> lines();

 private:
  KernelCounters begin_;
  int log_ = -1;
  size_t n_lines_ = 0;
};

}  // namespace ds4::runners::outcome
