#include "engine/base/mapped_files.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "engine/base/error.h"

namespace ds4 {
namespace {

// Real checkpoints have 48 shards; `reap validate` maps two.
constexpr size_t kPlaces = 256;

// The handler may run while another thread fills a place, so it reads atomics and a message that
// was complete before `begin` said so.
struct Place {
  std::atomic<uintptr_t> begin{0};  // 0 = free
  std::atomic<uintptr_t> end{0};
  std::array<char, 1024> message{};
};

std::array<Place, kPlaces> g_places;
std::mutex g_mutex;  // between remember and forget; the handler takes none
std::atomic_flag g_reported = ATOMIC_FLAG_INIT;
struct sigaction g_before {};
const int g_exit_code = exit_code(ErrorCode::kIo);

const Place* place_of(uintptr_t address) {
  for (const Place& place : g_places) {
    const uintptr_t begin = place.begin.load(std::memory_order_acquire);
    if (begin != 0 && address >= begin && address < place.end.load()) return &place;
  }
  return nullptr;
}

// Async-signal-safe calls only.
void on_bus_error(int, siginfo_t* info, void*) {
  const Place* place = place_of(reinterpret_cast<uintptr_t>(info->si_addr));
  if (place == nullptr) {
    ::sigaction(SIGBUS, &g_before, nullptr);  // the access happens again, and with it the signal
    return;
  }
  if (g_reported.test_and_set()) {
    while (true) ::pause();  // another thread is writing the message
  }
  const char* text = place->message.data();
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
  ::_exit(g_exit_code);
}

}  // namespace

void guard_mapped_files() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, &g_before);
}

int remember_mapped_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::lock_guard lock(g_mutex);
  for (size_t i = 0; i < kPlaces; ++i) {
    Place& place = g_places[i];
    if (place.begin.load() != 0) continue;
    const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
    std::snprintf(place.message.data(), place.message.size(),
                  "ds4-sweep: %.700s: cannot be read any more: the file was cut shorter while it "
                  "was in use, or its disk fails\n"
                  "  Restore the file and start again; leave the files of a checkpoint alone while "
                  "it is loaded.\n",
                  path.c_str());
    place.end.store(begin + bytes.size());
    place.begin.store(begin, std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

void forget_mapped_file(int place) {
  if (place < 0) return;
  const std::lock_guard lock(g_mutex);
  g_places[static_cast<size_t>(place)].begin.store(0, std::memory_order_release);
}

}  // namespace ds4
