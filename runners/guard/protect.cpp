#include "runners/guard/protect.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace ds4::runners::guard {
namespace {

bool set_oom_score(const std::string& pid, int score) {
  std::ofstream file("/proc/" + pid + "/oom_score_adj");
  file << score << std::flush;
  return file.good();
}

}  // namespace

std::vector<std::string> protect_this_process() {
  std::vector<std::string> notes;
  // On fault: of a large executable only what the guard uses is kept. What it needs to act was
  // used once by the time this is called.
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
    notes.push_back(std::string("memory not locked (") + std::strerror(errno) +
                    "): raise the limit, e.g. LimitMEMLOCK=infinity or `ulimit -l unlimited`");
  }
  if (!set_oom_score("self", -1000)) {
    notes.emplace_back(
        "not protected from the OOM killer: needs CAP_SYS_RESOURCE, e.g. OOMScoreAdjust=-1000 of "
        "a systemd unit");
  }
  if (::setpriority(PRIO_PROCESS, 0, -15) != 0) {
    notes.emplace_back("ordinary priority: needs CAP_SYS_NICE or LimitNICE=-15");
  }
  return notes;
}

bool offer_to_oom_killer(pid_t pid) {
  return set_oom_score(std::to_string(pid), 800);
}

}  // namespace ds4::runners::guard
