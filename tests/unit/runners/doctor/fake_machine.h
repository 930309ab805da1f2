// A healthy machine as files under a folder; a test spoils what it wants found.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "engine/base/files.h"
#include "runners/doctor/checks.h"
#include "tests/support/command.h"

namespace ds4::runners::doctor {

class FakeMachine {
 public:
  FakeMachine() {
    meminfo({});
    write("proc/pressure/memory",
          "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 total=0\n");
    write("proc/self/cgroup", "0::/user.slice/run\n");
    write("sys/fs/cgroup/user.slice/run/memory.max", "max\n");
    write("proc/sys/vm/overcommit_memory", "0\n");
    limits("unlimited", "0", "unlimited");
    capabilities("000001ffffffffff");
    write("proc/sys/kernel/osrelease", "6.11.0-1016-nvidia\n");
    write("dev/kmsg", "");
    write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    write("proc/sys/kernel/random/boot_id", "6f2d8f3e-1111-4222-8333-444455556666\n");
    write("proc/loadavg", "0.10 0.20 0.30 1/234 5678\n");
    write("proc/stat", "cpu 1\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\nintr 5\n");
    write("proc/self/mountinfo",
          "27 1 0:24 / / rw,relatime - ext4 /dev/root rw\n"
          "30 27 0:26 / /fast\\040disk rw shared:1 master:2 - xfs /dev/nvme rw\n"
          "31 27 0:27 / /net rw - nfs4 server:/x rw\n"
          "32 27 0:28 / /ram rw - tmpfs tmpfs rw\n");
    sources.root = folder_.path();
    sources.lock_file = folder_ / "lock";
    sources.gpus = [this] { return gpus; };
    sources.disk = [this](const std::filesystem::path&) { return disk; };
    sources.direct = [this](const std::filesystem::path&) { return direct; };
    disk.free_bytes = int64_t{500} << 30;
    disk.writable = true;
    Gpu gpu;
    gpu.facts = {"NVIDIA GB10", 2600, 4000, 95, 1};
    gpu.state.temperature_c = 40;
    gpu.state.sm_clock_mhz = 208;
    gpu.state.memory_clock_mhz = 4000;
    gpu.state.throttle_reasons = probes::kThrottleIdle;
    gpu.state.n_processes = 0;
    gpus = {"", "580.95.05", 13000, {gpu}};
  }

  void write(const std::string& path, const std::string& text) const {
    const auto file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;  // need not survive anything
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(folder_ / path); }
  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  struct Memory {  // GiB
    int total = 120, free = 100, available = 110, cached = 10, anonymous = 8, shared = 0;
    int swap_total = 8, swap_free = 8;
  };
  void meminfo(Memory m) const {
    const auto row = [](const char* key, int gib) {
      return std::string(key) + ":  " + std::to_string(int64_t{gib} << 20) + " kB\n";
    };
    write("proc/meminfo", row("MemTotal", m.total) + row("MemFree", m.free) +
                              row("MemAvailable", m.available) + "Buffers: 0 kB\n" +
                              row("Cached", m.cached) + row("AnonPages", m.anonymous) +
                              row("Shmem", m.shared) + row("SwapTotal", m.swap_total) +
                              row("SwapFree", m.swap_free) + row("Slab", 1));
  }
  void limits(const std::string& locked, const std::string& nice,
              const std::string& addresses) const {
    write("proc/self/limits",
          "Limit                     Soft Limit           Hard Limit   Units\n"
          "Max locked memory         " +
              locked + "            " + locked + "  bytes\n" + "Max address space         " +
              addresses + "       " + addresses + "  bytes\nMax nice priority         " + nice +
              "    " + nice + "\n");
  }
  void capabilities(const std::string& hexadecimal) const {
    write("proc/self/status", "Name:\tx\nCapPrm:\t0\nCapEff:\t" + hexadecimal + "\n");
  }

  Sources sources;
  GpuReport gpus;
  DiskReport disk;
  bool direct = true;

 private:
  test_support::TemporaryFolder folder_;
};

/// The finding of that check, the worst where there are several; one of no check where there is
/// none.
inline Finding find(const Findings& findings, const std::string& check) {
  Finding found;
  for (const Finding& finding : findings) {
    if (finding.check == check && (found.check.empty() || finding.level > found.level)) {
      found = finding;
    }
  }
  return found;
}

/// A finding worse than ok says what to do.
inline void expect_remedies(const Findings& findings) {
  for (const Finding& finding : findings) {
    EXPECT_FALSE(finding.text.empty()) << finding.check;
    if (finding.level != Level::kOk) {
      EXPECT_FALSE(finding.remedy.empty()) << finding.check;
    }
  }
}

}  // namespace ds4::runners::doctor
