// How far memory gets under the floor before the guard has ended a process that takes it at a rate:
// the table of docs/guard.md. It takes about 1 GiB more than the floor leaves, for real; run it on
// a machine with memory to spare.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "engine/base/clock.h"
#include "probes/host_memory.h"
#include "runners/guard/watch.h"

namespace {

using namespace ds4;
using namespace ds4::runners::guard;

constexpr int64_t kMiB = int64_t{1} << 20, kGiB = int64_t{1} << 30;
constexpr int64_t kStep = 4 * kMiB;

// Takes memory at `rate` bytes per second (0 = as fast as the machine gives) up to `most`.
[[noreturn]] void hog(double rate, int64_t most, bool deaf) {
  ::setpgid(0, 0);
  if (deaf) ::signal(SIGTERM, SIG_IGN);
  const double begin = monotonic_seconds();
  for (int64_t taken = 0; taken < most; taken += kStep) {
    void* piece =
        ::mmap(nullptr, kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) break;
    std::memset(piece, 1, kStep);
    const double ahead =
        rate > 0 ? static_cast<double>(taken) / rate - (monotonic_seconds() - begin) : 0;
    if (ahead > 0) std::this_thread::sleep_for(std::chrono::duration<double>(ahead));
  }
  while (true) ::pause();
}

void measure(const char* what, double rate, int64_t room, bool deaf) {
  const int64_t available = probes::read_machine_memory().available_bytes;
  Setup setup;
  setup.limits.floor_bytes.fill(available - room);
  setup.limits.grace_s = 2;
  // The hog may never take the machine below 6 GiB, whatever the guard does.
  const int64_t most = available - 6 * kGiB;
  Watch watch(setup);
  const pid_t pid = ::fork();
  if (pid == 0) hog(rate, most, deaf);
  ::setpgid(pid, pid);
  watch.guard(std::make_unique<Group>(pid));
  const double begin = monotonic_seconds();
  while (!watch.target_ended() && monotonic_seconds() - begin < 30) {
    if (watch.due_in_s() <= 0) watch.tick();
    pollfd ended{watch.target_fd(), POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(std::ceil(watch.due_in_s() * 1000)));
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  const auto verdict = watch.verdict();
  if (!verdict) {
    std::printf("| %s | %s | nothing fired |\n", what, deaf ? "no" : "yes");
    return;
  }
  std::printf("| %s | %s | %s | %s | %.0f | %.2f | %.2f | %.2f |\n", what, deaf ? "no" : "yes",
              std::string(name(verdict->action)).c_str(), std::string(name(verdict->rule)).c_str(),
              verdict->reaction_s * 1000, -verdict->rate_bytes_s / kGiB,
              static_cast<double>(verdict->value_bytes - verdict->limit_bytes) / kGiB,
              static_cast<double>(verdict->lowest_bytes - verdict->limit_bytes) / kGiB);
}

}  // namespace

int main() {
  std::puts(
      "| takes | listens | action | rule | reaction (ms) | GiB/s seen | fired at, GiB over the "
      "floor | lowest |");
  std::puts("|---|---|---|---|---|---|---|---|");
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (const bool deaf : {false, true}) {
      measure("1 GiB/s", 1.0 * kGiB, 3 * kGiB / 2, deaf);
      measure("4 GiB/s", 4.0 * kGiB, 4 * kGiB, deaf);
      measure("as fast as it can", 0, 5 * kGiB, deaf);
    }
  }
  return 0;
}
