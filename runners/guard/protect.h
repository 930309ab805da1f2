// Keeps this process running when memory is short: locked memory, the last choice of the kernel's
// OOM killer, ahead in the queue for a processor.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ds4::runners::guard {

/// As much as this user may. Returns a sentence with its remedy for each part that was refused.
std::vector<std::string> protect_this_process();

/// Makes `pid` the OOM killer's first choice. False when that is not allowed.
bool offer_to_oom_killer(pid_t pid);

}  // namespace ds4::runners::guard
