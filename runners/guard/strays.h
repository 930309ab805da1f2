// Processes of a server wherever they went: it is started with a mark in its environment, which its
// children keep when they leave its process group or lose their parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ds4::runners::guard {

/// The variable that holds the mark.
inline constexpr const char* kMarkVariable = "DS4_SWEEP_WORKER";

/// A process told apart from a later one of its number.
struct ProcessMark {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  bool operator==(const ProcessMark&) const = default;
};

/// The mark of what a worker starts: its number and start ticks. "" when there is none.
std::string mark_of(pid_t worker);
std::string mark_of(pid_t worker, uint64_t start_ticks);

/// The running processes with that mark, of this user; none of "". A process that wrote over its
/// environment (to change its title) is not found. Reads all of /proc: not for the hot path.
std::vector<ProcessMark> marked_processes(const std::string& mark);

/// The running descendants of a process, itself included. A child whose parent has ended is none.
std::vector<ProcessMark> process_tree(pid_t root);

/// False for a zombie and for another process of its number.
bool still_runs(const ProcessMark& process);

/// Sends a signal to that very process, if it still runs.
void signal_process(const ProcessMark& process, int number);

/// Kills all with that mark and waits until they are gone, 5 s at most.
void end_marked(const std::string& mark);

}  // namespace ds4::runners::guard
