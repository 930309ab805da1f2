#include "runners/outcome/kernel_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "engine/base/hash.h"
#include "runners/outcome/phrases.h"

namespace ds4::runners::outcome {
namespace {

constexpr size_t kMostLines = 20;
constexpr int kStartTimeField = 22;  // of /proc/PID/stat (proc(5)); 3 is the state

std::string first_line(const char* path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

// A field of /proc/PID/stat from the third on: those behind the name, which may hold anything.
std::string stat_field(pid_t pid, int field) {
  const std::string line = first_line(("/proc/" + std::to_string(pid) + "/stat").c_str());
  const size_t name_end = line.rfind(')');
  if (name_end == line.npos) return "";
  std::istringstream rest(line.substr(name_end + 1));
  std::string value;
  for (int i = 3; i <= field; ++i) rest >> value;
  return value;
}

bool concerns_us(std::string_view line) {
  return !line_that_tells(line, Tells::kDriverNoMemory).empty() ||
         !line_that_tells(line, Tells::kKernelOomKill).empty() ||
         !line_that_tells(line, Tells::kGpuFault).empty();
}

}  // namespace

std::string boot_id() {
  return first_line("/proc/sys/kernel/random/boot_id");
}

std::string machine_mark() {
  const std::string id = first_line("/etc/machine-id");
  return id.empty() ? "" : sha256_hex("ds4-sweep " + id).substr(0, 16);
}

int64_t start_ticks(pid_t pid) {
  const std::string ticks = stat_field(pid, kStartTimeField);
  // A zombie is no supervisor any more.
  return ticks.empty() || process_state(pid) == 'Z' ? 0 : std::stoll(ticks);
}

char process_state(pid_t pid) {
  const std::string state = stat_field(pid, 3);
  return state.empty() ? '\0' : state[0];
}

int64_t group_oom_kills(const std::filesystem::path& own, const std::filesystem::path& groups) {
  std::ifstream list(own);
  for (std::string line; std::getline(list, line);) {  // "4:memory:/a/b", or "0::/a/b" of version 2
    const size_t kinds = line.find(':') + 1, path = line.find(':', kinds) + 1;
    if (kinds == 0 || path == 0) continue;
    const std::string kind = line.substr(kinds, path - 1 - kinds), below = line.substr(path);
    if (kind != "memory" && !kind.empty()) continue;
    std::ifstream counts(groups.string() + (kind.empty()
                                                ? below + "/memory.events"
                                                : "/memory" + below + "/memory.oom_control"));
    std::string name;
    for (int64_t value = 0; counts >> name >> value;) {
      if (name == "oom_kill") return value;
    }
  }
  return -1;
}

KernelCounters read_kernel_counters() {
  KernelCounters counters;
  counters.group_oom_kills = group_oom_kills();
  std::ifstream stream("/proc/vmstat");
  std::string name;
  int64_t value = 0;
  while (stream >> name >> value) {
    if (name == "oom_kill") counters.oom_kills = value;
    if (name == "pswpin" || name == "pswpout") counters.swapped_pages += value;
  }
  return counters;
}

KernelWatch::KernelWatch()
    : begin_(read_kernel_counters()), log_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  if (log_ >= 0) ::lseek(log_, 0, SEEK_END);
}

KernelWatch::~KernelWatch() {
  if (log_ >= 0) ::close(log_);
}

KernelCounters KernelWatch::since() const {
  const KernelCounters now = read_kernel_counters();
  const bool known = begin_.group_oom_kills >= 0 && now.group_oom_kills >= 0;
  return {now.oom_kills - begin_.oom_kills, now.swapped_pages - begin_.swapped_pages,
          known ? now.group_oom_kills - begin_.group_oom_kills : -1};
}

std::vector<std::string> KernelWatch::lines() {
  std::vector<std::string> lines;
  std::array<char, 8192> record;  // one read gives one record
  while (log_ >= 0) {
    const ssize_t n = ::read(log_, record.data(), record.size());
    if (n < 0 && errno == EPIPE) continue;  // records were overwritten before we came to them
    if (n <= 0) break;
    std::string_view text(record.data(), static_cast<size_t>(n));
    // "priority,sequence,time,flags;message\n" and then lines of a dictionary.
    text.remove_prefix(std::min(text.find(';') + 1, text.size()));
    text = text.substr(0, text.find('\n'));
    if (concerns_us(text) && n_lines_++ < kMostLines) lines.emplace_back(text);
  }
  return lines;
}

}  // namespace ds4::runners::outcome
