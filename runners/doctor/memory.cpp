// Memory as the kernel accounts for it, and what its words mean for a run.
#include <algorithm>
#include <charconv>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "runners/doctor/checks.h"

namespace ds4::runners::doctor {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr const char* kLargest = "ps -eo pid,rss,comm --sort=-rss | head";

// As the launchers of suites that refuse to start with more of it in use.
constexpr int64_t kMuchSwap = kGiB;
constexpr int64_t kMuchShared = kGiB;
// Page cache that makes a visible difference to programs that count it as used.
constexpr double kMuchCache = 0.1;
// The kernel's own tables and firmware stay well below this share.
constexpr double kUnaccountedShare = 0.06;
constexpr int64_t kUnaccounted = 4 * kGiB;
// Hundredths of a percent: no healthy machine waits so long for memory.
constexpr int kMuchPressure = 500;

// Where GPU and processors share the memory, the driver tells no memory of the GPU's own.
bool shares_memory(const GpuReport& gpus) {
  return std::any_of(gpus.gpus.begin(), gpus.gpus.end(),
                     [](const Gpu& gpu) { return gpu.state.total_bytes < 0; });
}

Finding amounts(int64_t total, int64_t available, int64_t free) {
  return {Level::kOk, "memory",
          format_bytes(total) + " in all; a program can have " + format_bytes(available) +
              " (MemAvailable): " + format_bytes(free) + " free at once (MemFree), and " +
              format_bytes(std::max<int64_t>(0, available - free)) +
              " that the kernel gives back for the asking, page cache above all",
          ""};
}

// What the kernel accounts to no process, cache or table of its own: held by a driver.
int64_t unaccounted(std::string_view meminfo, int64_t total) {
  int64_t known = 0;
  for (const char* key : {"MemFree", "Buffers", "Cached", "SwapCached", "AnonPages", "Slab",
                          "KernelStack", "PageTables", "SecPageTables", "Percpu", "Hugetlb"}) {
    known += kib_field(meminfo, key).value_or(0);
  }
  return std::max<int64_t>(0, total - known);
}

int64_t of_gpu_processes(const GpuReport& gpus) {
  int64_t bytes = 0;
  for (const Gpu& gpu : gpus.gpus) {
    if (gpu.state.total_bytes >= 0) continue;  // in a memory of its own
    for (int i = 0; i < gpu.state.n_processes; ++i) {
      bytes += std::max<int64_t>(0, gpu.state.processes[static_cast<size_t>(i)].used_bytes);
    }
  }
  return bytes;
}

Finding swap_finding(std::string_view meminfo, int64_t available) {
  const int64_t total = kib_field(meminfo, "SwapTotal").value_or(0);
  const int64_t used = std::max<int64_t>(0, total - kib_field(meminfo, "SwapFree").value_or(total));
  if (total == 0) return {Level::kOk, "swap", "no swap: nothing can be hidden in it", ""};
  if (used == 0) return {Level::kOk, "swap", format_bytes(total) + ", none of it in use", ""};
  const bool room = available > 2 * used;
  return {
      used >= kMuchSwap ? Level::kWarning : Level::kNote, "swap",
      format_bytes(used) + " of " + format_bytes(total) +
          " in use: memory ran short here, and what lies there comes back while times are "
          "taken",
      room ? "sudo swapoff -a && sudo swapon -a" : std::string("End what fills it: ") + kLargest};
}

// "some avg10=1.23 ..." as 123; -1 when it does not say.
int some_pressure(std::string_view text) {
  const size_t at = text.find("some avg10=");
  if (at == std::string_view::npos) return -1;
  text.remove_prefix(at + 11);
  double percent = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  return error == std::errc() && percent >= 0 && percent <= 100 ? static_cast<int>(percent * 100)
                                                                : -1;
}

Finding pressure_finding(const Sources& sources) {
  const int pressure = some_pressure(sources.text("proc/pressure/memory").value_or(""));
  if (pressure < 0) {
    return {Level::kWarning, "pressure",
            "the kernel tells no pressure: the guard cannot see a machine that only moves pages",
            "Add psi=1 to GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo "
            "reboot"};
  }
  const std::string text = "processes waited for memory " + format_number(pressure / 100.0) +
                           " % of the last ten seconds";
  if (pressure < kMuchPressure) return {Level::kOk, "pressure", text, ""};
  return {Level::kWarning, "pressure", text, kLargest};
}

// The narrowest limit of this process's control group and those above it; -1 = none.
int64_t group_limit(const Sources& sources) {
  const std::string groups = sources.text("proc/self/cgroup").value_or("");
  const size_t at = groups.find("0::/");
  if (at == std::string::npos) return -1;
  std::string path = groups.substr(at + 3, groups.find('\n', at) - at - 3);
  if (path.find("..") != std::string::npos) return -1;
  int64_t narrowest = -1;
  while (true) {
    const std::string word = sources.word("sys/fs/cgroup" + path + "/memory.max");
    int64_t bytes = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), bytes);
    if (error == std::errc() && bytes >= 0 && (narrowest < 0 || bytes < narrowest)) {
      narrowest = bytes;
    }
    if (path.empty()) return narrowest;
    path.resize(path.rfind('/'));
  }
}

void check_limits(const Sources& sources, int64_t total, Findings& findings) {
  if (const int64_t limit = group_limit(sources); limit >= 0 && limit < total) {
    findings.push_back(
        {Level::kNote, "memory-group",
         "this shell's control group may use " + format_bytes(limit) +
             ": a run is ended there, but what a GPU takes of shared memory is not counted",
         "systemctl --user show -p MemoryMax; or start from another shell or container"});
  }
  if (sources.word("proc/sys/vm/overcommit_memory") == "2") {
    findings.push_back({Level::kWarning, "overcommit",
                        "the kernel promises no more memory than it has: loading may fail with "
                        "memory to spare",
                        "sudo sysctl vm.overcommit_memory=0"});
  }
  const std::string limits = sources.text("proc/self/limits").value_or("");
  const size_t at = limits.find("Max address space");
  const std::string row =
      at == std::string::npos ? "" : limits.substr(at, limits.find('\n', at) - at);
  if (!row.empty() && row.find("unlimited") == std::string::npos) {
    findings.push_back({Level::kProblem, "address-space",
                        "addresses are limited for this shell: weights cannot be mapped",
                        "ulimit -v unlimited"});
  }
}

}  // namespace

Findings check_memory(const Sources& sources, const GpuReport& gpus) {
  const std::string meminfo = sources.text("proc/meminfo").value_or("");
  const auto total = kib_field(meminfo, "MemTotal");
  const auto available = kib_field(meminfo, "MemAvailable");
  if (!total || !available || *total <= 0 || *available > *total) {
    throw Error(ErrorCode::kMachine,
                (sources.root / "proc/meminfo").string() + ": no sound MemTotal and MemAvailable",
                "Linux 3.14 or newer with /proc mounted is needed: mount -t proc proc /proc");
  }
  const int64_t free = std::min(kib_field(meminfo, "MemFree").value_or(0), *total);
  Findings findings{amounts(*total, *available, free)};

  const int64_t cache = *available - free;
  if (shares_memory(gpus) &&
      static_cast<double>(cache) > kMuchCache * static_cast<double>(*total)) {
    findings.push_back({Level::kNote, "page-cache",
                        format_bytes(cache) +
                            " of page cache: this GPU's driver (cudaMemGetInfo) counts it as "
                            "used and tells programs of " +
                            format_bytes(free) + " only; ds4-sweep counts what can be had",
                        "sync; echo 1 | sudo tee /proc/sys/vm/drop_caches"});
  }
  const int64_t hidden = unaccounted(meminfo, *total) - of_gpu_processes(gpus);
  if (hidden > std::max(kUnaccounted,
                        static_cast<int64_t>(kUnaccountedShare * static_cast<double>(*total)))) {
    findings.push_back({Level::kWarning, "hidden-memory",
                        format_bytes(hidden) +
                            " belong to no process, no cache and no table of the kernel: a driver "
                            "holds them, as after a CUDA process that did not end well",
                        "sudo fuser -v /dev/nvidia*; if nobody is there: sudo reboot"});
  }
  findings.push_back(swap_finding(meminfo, *available));
  findings.push_back(pressure_finding(sources));
  if (const int64_t shared = kib_field(meminfo, "Shmem").value_or(0); shared >= kMuchShared) {
    findings.push_back(
        {Level::kNote, "shared-memory",
         format_bytes(shared) + " of shared memory and tmpfs, which a killed server leaves behind",
         "ls -lS /dev/shm; df -h -t tmpfs"});
  }
  check_limits(sources, *total, findings);
  return findings;
}

}  // namespace ds4::runners::doctor
