#include "runners/guard/attach.h"

#include <poll.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "runners/guard/guard_process.h"

namespace ds4::runners::guard {
namespace {

volatile std::sig_atomic_t g_dismissed = 0;

void dismiss(int) {
  g_dismissed = 1;
}

}  // namespace

std::optional<Verdict> attach(const Setup& setup, const std::string& target, Phase phase,
                              const std::function<void(const Watch&)>& armed) {
  struct sigaction action {};
  action.sa_handler = dismiss;  // no SA_RESTART: poll() must return
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  Watch watch(setup);
  watch.set_phase(phase);
  auto group = open_target(target);
  if (auto refusal = watch.refusal()) return refusal;  // it would be ended at once
  watch.guard(std::move(group));
  armed(watch);
  while (!g_dismissed && !watch.target_ended()) {
    pollfd ended{watch.target_fd(), POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(std::ceil(watch.due_in_s() * 1000)));
    if (watch.due_in_s() <= 0) watch.tick();
  }
  return watch.verdict();
}

}  // namespace ds4::runners::guard
