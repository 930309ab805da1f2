// Every finding about the machine, provoked by spoiling a healthy one.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "runners/box_lock.h"
#include "runners/doctor/mounts.h"
#include "tests/unit/runners/doctor/fake_machine.h"

namespace ds4::runners::doctor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DoctorMachine : public ::testing::Test {
 protected:
  Finding memory(const std::string& check) const {
    return checked(check_memory(machine_.sources, machine_.gpus), check);
  }
  Finding permission(const std::string& check) const {
    return checked(check_permissions(machine_.sources), check);
  }
  Finding host(const std::string& check) const {
    return checked(check_host(machine_.sources), check);
  }
  Finding gpu(const std::string& check, bool needed = true) const {
    return checked(check_gpus(machine_.sources, machine_.gpus, needed), check);
  }
  static Finding checked(const Findings& findings, const std::string& check) {
    expect_remedies(findings);
    return find(findings, check);
  }

  FakeMachine machine_;
};

TEST_F(DoctorMachine, AHealthyMachineHasNothingWorseThanOk) {
  for (const Findings& findings :
       {check_memory(machine_.sources, machine_.gpus), check_permissions(machine_.sources),
        check_host(machine_.sources), check_gpus(machine_.sources, machine_.gpus, true)}) {
    for (const Finding& finding : findings) {
      EXPECT_EQ(finding.level, Level::kOk) << finding.check << ": " << finding.text;
    }
  }
}

TEST_F(DoctorMachine, ExplainsFreeAndAvailable) {
  EXPECT_THAT(memory("memory").text, HasSubstr("a program can have 110 GiB (MemAvailable): 100 GiB "
                                               "free at once (MemFree), and 10.0 GiB"));
}

TEST_F(DoctorMachine, PageCacheMattersWhereTheGpuSharesTheMemory) {
  machine_.meminfo({.free = 41, .available = 110, .cached = 70});
  EXPECT_EQ(memory("page-cache").level, Level::kNote);
  EXPECT_THAT(memory("page-cache").text, HasSubstr("41.0 GiB only"));
  EXPECT_THAT(memory("page-cache").remedy, HasSubstr("drop_caches"));
  machine_.gpus.gpus[0].state.total_bytes = int64_t{80} << 30;
  machine_.gpus.gpus[0].state.free_bytes = int64_t{79} << 30;
  EXPECT_EQ(memory("page-cache").check, "") << "a card has a memory of its own";
}

TEST_F(DoctorMachine, FindsMemoryThatBelongsToNobody) {
  machine_.meminfo({.free = 20, .available = 30});
  EXPECT_EQ(memory("hidden-memory").level, Level::kWarning);
  EXPECT_THAT(memory("hidden-memory").text, HasSubstr("81.0 GiB"));
  auto& state = machine_.gpus.gpus[0].state;
  state.n_processes = 1;
  state.processes[0] = {4711, int64_t{80} << 30};
  EXPECT_EQ(memory("hidden-memory").check, "") << "a process holds it";
}

TEST_F(DoctorMachine, SwapInUse) {
  machine_.meminfo({.swap_total = 64, .swap_free = 61});
  EXPECT_EQ(memory("swap").level, Level::kWarning);
  EXPECT_THAT(memory("swap").remedy, HasSubstr("swapoff"));
  machine_.meminfo(
      {.free = 1, .available = 4, .anonymous = 104, .swap_total = 64, .swap_free = 61});
  EXPECT_THAT(memory("swap").remedy, Not(HasSubstr("swapoff"))) << "there is no room for it";
  machine_.meminfo({.swap_total = 0, .swap_free = 0});
  EXPECT_EQ(memory("swap").level, Level::kOk);
}

TEST_F(DoctorMachine, Pressure) {
  machine_.write("proc/pressure/memory", "some avg10=12.50 avg60=1.00 avg300=0.00 total=9\n");
  EXPECT_EQ(memory("pressure").level, Level::kWarning);
  EXPECT_THAT(memory("pressure").text, HasSubstr("12.5 %"));
  machine_.remove("proc/pressure");
  EXPECT_EQ(memory("pressure").level, Level::kWarning);
  EXPECT_THAT(memory("pressure").remedy, HasSubstr("psi=1"));
}

TEST_F(DoctorMachine, SharedMemoryLimitsAndPromises) {
  EXPECT_EQ(memory("shared-memory").check, "");
  machine_.meminfo({.shared = 3});
  EXPECT_EQ(memory("shared-memory").level, Level::kNote);
  machine_.write("sys/fs/cgroup/user.slice/memory.max", "8589934592\n");  // of a group above
  EXPECT_THAT(memory("memory-group").text, HasSubstr("8.00 GiB"));
  machine_.write("proc/self/cgroup", "0::/../../etc\n");
  EXPECT_EQ(memory("memory-group").check, "") << "left the hierarchy";
  machine_.write("proc/sys/vm/overcommit_memory", "2\n");
  EXPECT_EQ(memory("overcommit").level, Level::kWarning);
  machine_.limits("unlimited", "0", "1000000");
  EXPECT_EQ(memory("address-space").level, Level::kProblem);
}

TEST_F(DoctorMachine, AMachineThatTellsNothingCannotBeRead) {
  const auto code = [&]() -> int {
    try {
      check_memory(machine_.sources, machine_.gpus);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("proc/meminfo"));
      return ds4::exit_code(error.code());
    }
    return 0;
  };
  machine_.remove("proc/meminfo");
  EXPECT_EQ(code(), 3);
  for (const std::string& text :
       {std::string(), std::string("MemTotal: -5 kB\nMemAvailable: 3 kB\n"),
        std::string("MemTotal: 99999999999999999999999 kB\nMemAvailable: 3 kB\n"),
        std::string("MemTotal: 10 kB\nMemAvailable: 20 kB\n"),  // more than there is
        std::string("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), std::string(5'000'000, 'x'),
        std::string("MemTotal\0MemAvailable", 21)}) {
    machine_.write("proc/meminfo", text);
    EXPECT_EQ(code(), 3) << text.substr(0, 50);
  }
  machine_.remove("proc/meminfo");
  ASSERT_EQ(::mkfifo(machine_.path("proc/meminfo").c_str(), 0600), 0);
  EXPECT_EQ(code(), 3) << "must not wait for a writer";
}

TEST_F(DoctorMachine, AbsurdFiguresEndNothing) {
  machine_.write("proc/meminfo",
                 "MemTotal: 1000 kB\nMemAvailable: 900 kB\nMemFree: 9999999999 kB\nSwapTotal: 5 "
                 "kB\nSwapFree: 700 kB\nCached: -1 kB\n");
  EXPECT_EQ(memory("memory").level, Level::kOk);
  EXPECT_EQ(memory("swap").level, Level::kOk);
  machine_.write("proc/pressure/memory", "some avg10=1e99 avg60\n");
  EXPECT_EQ(memory("pressure").level, Level::kWarning);
  machine_.write("proc/self/cgroup", "0::/" + std::string(100000, 'a') + "\n");
  EXPECT_EQ(memory("memory-group").check, "");
}

TEST_F(DoctorMachine, WhatTheGuardMayNotDo) {
  machine_.capabilities("0");
  machine_.limits("8388608", "0", "unlimited");
  EXPECT_EQ(permission("lock-memory").level, Level::kWarning);
  EXPECT_THAT(permission("lock-memory").text, HasSubstr("8.00 MiB"));
  EXPECT_THAT(permission("lock-memory").remedy, HasSubstr("ulimit -l"));
  EXPECT_EQ(permission("oom-score").level, Level::kNote);
  EXPECT_EQ(permission("priority").level, Level::kNote);
  machine_.limits("unlimited", "40", "unlimited");
  EXPECT_EQ(permission("lock-memory").level, Level::kOk);
  EXPECT_EQ(permission("priority").check, "");
  machine_.capabilities(std::to_string(1 << 14));  // decimal digits read as hexadecimal: not bit 14
  machine_.limits("8388608", "0", "unlimited");
  EXPECT_EQ(permission("lock-memory").level, Level::kOk);  // 0x16384 has bit 14
  machine_.capabilities("zz");
  EXPECT_EQ(permission("oom-score").level, Level::kNote);
}

TEST_F(DoctorMachine, KernelsWithoutPidfd) {
  for (const char* release : {"5.2.99", "4.19.0-27", "", "x.y", "6", "\x1b[31m"}) {
    machine_.write("proc/sys/kernel/osrelease", release);
    EXPECT_EQ(permission("pidfd").level, Level::kNote) << release;
    EXPECT_THAT(permission("pidfd").text, Not(HasSubstr("\x1b")));
  }
  for (const char* release : {"5.3.0", "5.10.0-33", "6.1.0", "10.0"}) {
    machine_.write("proc/sys/kernel/osrelease", release);
    EXPECT_EQ(permission("pidfd").level, Level::kOk) << release;
  }
}

TEST_F(DoctorMachine, KernelLog) {
  machine_.remove("dev/kmsg");
  EXPECT_EQ(permission("kernel-log").level, Level::kNote);
}

TEST_F(DoctorMachine, ClockBootIdLoadAndGovernor) {
  machine_.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
  EXPECT_EQ(host("clock").level, Level::kWarning);
  machine_.remove("sys/devices/system/clocksource");
  EXPECT_EQ(host("clock").level, Level::kNote);
  machine_.write("proc/sys/kernel/random/boot_id", "unknown\n");
  EXPECT_EQ(host("boot-id").level, Level::kWarning);
  machine_.write("proc/loadavg", "3.00 1 1 1/2 3\n");
  EXPECT_EQ(host("load").level, Level::kWarning);
  EXPECT_THAT(host("load").text, HasSubstr("on 4 processors"));
  machine_.write("proc/loadavg", "nan");
  EXPECT_EQ(host("load").check, "");
  machine_.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  EXPECT_EQ(host("governor").level, Level::kNote);
}

TEST_F(DoctorMachine, AnotherRunHasTheMachine) {
  BoxLock lock(machine_.sources.lock_file, std::chrono::seconds(0));
  lock.name_run("3f2a91c0");
  EXPECT_EQ(host("lock").level, Level::kNote);
  EXPECT_THAT(host("lock").text, HasSubstr("run 3f2a91c0"));
}

TEST_F(DoctorMachine, NoGpuIsAProblemOnlyWhereOneIsNeeded) {
  machine_.gpus = {};
  machine_.gpus.why_none = "Driver/library version mismatch";
  EXPECT_EQ(gpu("gpu-driver", true).level, Level::kProblem);
  EXPECT_THAT(gpu("gpu-driver", true).text, HasSubstr("version mismatch"));
  EXPECT_EQ(gpu("gpu-driver", false).level, Level::kNote);
  machine_.gpus.why_none = "";
  EXPECT_EQ(gpu("gpu-driver", true).level, Level::kProblem);
}

TEST_F(DoctorMachine, OldDriver) {
  machine_.gpus.cuda_version = 12080;
  EXPECT_EQ(gpu("gpu-driver", true).level, Level::kProblem);
  EXPECT_THAT(gpu("gpu-driver", true).text, HasSubstr("CUDA up to 12.8"));
  EXPECT_EQ(gpu("gpu-driver", false).level, Level::kNote);
}

TEST_F(DoctorMachine, ThrottledHotAndCold) {
  auto& gpu_ = machine_.gpus.gpus[0];
  gpu_.state.throttle_reasons = probes::kThrottlePowerCap | probes::kThrottleHwThermal;
  EXPECT_EQ(gpu("gpu-clocks").level, Level::kWarning);
  EXPECT_THAT(gpu("gpu-clocks").text, HasSubstr("too hot, it is at its power limit"));
  gpu_.state.throttle_reasons = probes::kThrottleSettings;
  EXPECT_EQ(gpu("gpu-clocks").level, Level::kNote);
  gpu_.state.throttle_reasons = -1;
  gpu_.state.sm_clock_mhz = -1;
  EXPECT_EQ(gpu("gpu-clocks").level, Level::kOk);
  EXPECT_EQ(gpu("gpu-temperature").check, "");
  gpu_.state.temperature_c = 90;
  EXPECT_EQ(gpu("gpu-temperature").level, Level::kWarning);
  EXPECT_EQ(gpu("gpu-persistence").check, "");
  gpu_.facts.persistence = 0;
  EXPECT_EQ(gpu("gpu-persistence").level, Level::kNote);
}

TEST_F(DoctorMachine, OtherProcessesOnTheGpuByNameAndNothingHostileFromIt) {
  auto& state = machine_.gpus.gpus[0].state;
  state.n_processes = 1;
  state.processes[0] = {4711, int64_t{77} << 30};
  machine_.write("proc/4711/comm", "vllm\x1b[2J\n");
  const Finding finding = gpu("gpu-processes");
  EXPECT_EQ(finding.level, Level::kWarning);
  EXPECT_THAT(finding.text, HasSubstr("process 4711 (vllm?[2J) uses NVIDIA GB10 and holds 77.0"));
  EXPECT_THAT(finding.remedy, HasSubstr("kill 4711"));
  state.n_processes = -1;
  EXPECT_EQ(gpu("gpu-processes").level, Level::kNote);
}

TEST(DoctorMounts, TheLongestMountThatHoldsThePath) {
  const std::string table =
      "27 1 0:24 / / rw - ext4 /dev/root rw\n"
      "30 27 0:26 / /fast\\040disk rw shared:1 master:2 - xfs /dev/nvme rw\n"
      "31 27 0:27 / /net rw - nfs4 server:/x rw\n"
      "33 31 0:29 / /net rw - cifs //s/x rw\n";
  EXPECT_EQ(mount_type(table, "/home/x"), "ext4");
  EXPECT_EQ(mount_type(table, "/fast disk/db"), "xfs");
  EXPECT_EQ(mount_type(table, "/fast diskette"), "ext4");
  EXPECT_EQ(mount_type(table, "/net"), "cifs") << "the later hides the earlier";
  EXPECT_EQ(mount_type("30 27 0:26 / /data rw - xfs /dev/nvme rw\n" + table, "/data/x"), "xfs")
      << "of a longer point, wherever it stands";
  for (const char* hostile : {"", "\n\n", "a b c", "1 2 3 4 / rw ext4", "1 2 3 4 / rw -",
                              "1 2 3 4 \\04 rw - ext4 x", " - - - - - - - - -"}) {
    mount_type(hostile, "/home");
  }
  EXPECT_EQ(file_system_kind("fuse.sshfs"), FileSystem::kNetwork);
  EXPECT_EQ(file_system_kind("nfs4"), FileSystem::kNetwork);
  EXPECT_EQ(file_system_kind("tmpfs"), FileSystem::kMemory);
  EXPECT_EQ(file_system_kind("btrfs"), FileSystem::kLocal);
  EXPECT_EQ(file_system_kind(""), FileSystem::kLocal);
}

TEST(DoctorFinding, ExitCodes) {
  const Findings warning{{Level::kOk, "a", "", ""}, {Level::kWarning, "b", "", ""}};
  const Findings problem{{Level::kProblem, "c", "", ""}};
  EXPECT_EQ(exit_code({}, true), 0);
  EXPECT_EQ(exit_code({{Level::kNote, "n", "", ""}}, true), 0);
  EXPECT_EQ(exit_code(warning, false), 0);
  EXPECT_EQ(exit_code(warning, true), 1);
  EXPECT_EQ(exit_code(problem, false), 1);
}

}  // namespace
}  // namespace ds4::runners::doctor
