// Where each finding begins: the figure that is still well beside the one that is not, every key
// and capability by itself, and what must not be counted.
#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "reports/store/store.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/doctor/fake_machine.h"

namespace ds4::runners::doctor {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30, kMiB = int64_t{1} << 20;

class DoctorLimits : public ::testing::Test {
 protected:
  Level memory(const std::string& check) const {
    return find(check_memory(machine_.sources, machine_.gpus), check).level;
  }
  Level permission(const std::string& check) const {
    return find(check_permissions(machine_.sources), check).level;
  }
  Level host(const std::string& check) const {
    return find(check_host(machine_.sources), check).level;
  }
  Finding gpu(const std::string& check, bool needed = true) const {
    return find(check_gpus(machine_.sources, machine_.gpus, needed), check);
  }
  Level database(const std::string& check) const {
    return find(check_database(machine_.sources, "/home/r.db"), check).level;
  }
  // Another row of meminfo, in bytes.
  void add(const std::string& key, int64_t bytes) const {
    machine_.write("proc/meminfo", read_file(machine_.path("proc/meminfo")) + key + ": " +
                                       std::to_string(bytes >> 10) + " kB\n");
  }

  FakeMachine machine_;
};

TEST_F(DoctorLimits, PageCacheFromATenthOfTheMemoryOn) {
  machine_.meminfo({.free = 98, .available = 110});
  EXPECT_EQ(memory("page-cache"), Level::kOk);
  machine_.meminfo({.free = 97, .available = 110});
  EXPECT_EQ(memory("page-cache"), Level::kNote);
}

TEST_F(DoctorLimits, HiddenMemoryFromFourGiBAndSixPercentOn) {
  machine_.meminfo({.free = 94});  // 7 GiB of 120
  EXPECT_EQ(memory("hidden-memory"), Level::kOk);
  machine_.meminfo({.free = 93});
  EXPECT_EQ(memory("hidden-memory"), Level::kWarning);
  machine_.meminfo({.total = 16, .free = 5, .available = 8, .cached = 4, .anonymous = 2});  // 4
  EXPECT_EQ(memory("hidden-memory"), Level::kOk);
  machine_.meminfo({.total = 16, .free = 4, .available = 8, .cached = 4, .anonymous = 2});
  EXPECT_EQ(memory("hidden-memory"), Level::kWarning);
}

TEST_F(DoctorLimits, WhatTheKernelAccountsForIsNotHidden) {
  for (const char* key :
       {"SwapCached", "KernelStack", "PageTables", "SecPageTables", "Percpu", "Hugetlb"}) {
    machine_.meminfo({.free = 20, .available = 30});  // 81 GiB
    add(key, 80 * kGiB);
    EXPECT_EQ(memory("hidden-memory"), Level::kOk) << key;
  }
  machine_.meminfo({.free = 20, .available = 30});
  add("NoSuchRow", 80 * kGiB);
  EXPECT_EQ(memory("hidden-memory"), Level::kWarning);
}

TEST_F(DoctorLimits, ProcessesOnACardExplainNothingOfTheMachinesMemory) {
  machine_.meminfo({.free = 20, .available = 30});
  auto& state = machine_.gpus.gpus[0].state;
  state.n_processes = 2;
  state.processes[0] = {1, 40 * kGiB};
  state.processes[1] = {2, 38 * kGiB};
  EXPECT_EQ(memory("hidden-memory"), Level::kOk);
  state.processes[1].used_bytes = -1;  // not told
  EXPECT_EQ(memory("hidden-memory"), Level::kWarning);
  state.processes[1].used_bytes = 38 * kGiB;
  state.total_bytes = 80 * kGiB;
  EXPECT_EQ(memory("hidden-memory"), Level::kWarning);
}

TEST_F(DoctorLimits, ALittleSwapIsANoteAndAGibibyteAWarning) {
  const std::string rest =
      "MemTotal: 100000000 kB\nMemAvailable: 90000000 kB\nMemFree: 90000000 kB\n"
      "Cached: 9000000 kB\nSwapTotal: 8388608 kB\nSwapFree: ";
  machine_.write("proc/meminfo", rest + "7340033 kB\n");
  EXPECT_EQ(memory("swap"), Level::kNote);
  machine_.write("proc/meminfo", rest + "7340032 kB\n");
  EXPECT_EQ(memory("swap"), Level::kWarning);
}

TEST_F(DoctorLimits, PressureFromFivePercentOn) {
  machine_.write("proc/pressure/memory", "some avg10=4.99 avg60=90.00 avg300=0.00 total=9\n");
  EXPECT_EQ(memory("pressure"), Level::kOk);
  machine_.write("proc/pressure/memory", "some avg10=5.00 avg60=0.00 avg300=0.00 total=9\n");
  EXPECT_EQ(memory("pressure"), Level::kWarning);
}

TEST_F(DoctorLimits, TheNarrowestGroupLimitCountsAndOneOfAllTheMemoryIsNone) {
  const auto limit = [&](const std::string& group, int64_t bytes) {
    machine_.write("sys/fs/cgroup/user.slice" + group + "/memory.max",
                   std::to_string(bytes) + "\n");
  };
  const auto text = [&] {
    return find(check_memory(machine_.sources, machine_.gpus), "memory-group").text;
  };
  limit("", 120 * kGiB);
  EXPECT_EQ(text(), "") << "no less than there is";
  limit("/run", 30 * kGiB);
  EXPECT_THAT(text(), HasSubstr("may use 30.0 GiB"));
  limit("", 20 * kGiB);
  EXPECT_THAT(text(), HasSubstr("may use 20.0 GiB"));
  limit("/run", 10 * kGiB);
  EXPECT_THAT(text(), HasSubstr("may use 10.0 GiB"));
}

TEST_F(DoctorLimits, OvercommitOfAlwaysIsNoLimit) {
  machine_.write("proc/sys/vm/overcommit_memory", "1\n");
  EXPECT_EQ(memory("overcommit"), Level::kOk);
}

TEST_F(DoctorLimits, EachCapabilityAllowsItsOwn) {
  machine_.limits("65536", "0", "unlimited");
  struct Row {
    int bit;
    Level lock, oom, priority;
  };
  for (const Row& row : {Row{14, Level::kOk, Level::kNote, Level::kNote},
                         Row{23, Level::kWarning, Level::kNote, Level::kOk},
                         Row{24, Level::kWarning, Level::kOk, Level::kNote}}) {
    char digits[20];
    std::snprintf(digits, sizeof digits, "%016llx", 1ull << row.bit);
    machine_.capabilities(digits);
    EXPECT_EQ(permission("lock-memory"), row.lock) << row.bit;
    EXPECT_EQ(permission("oom-score"), row.oom) << row.bit;
    EXPECT_EQ(permission("priority"), row.priority) << row.bit;
  }
}

TEST_F(DoctorLimits, LimitsInThePlaceOfCapabilities) {
  machine_.capabilities("0");
  machine_.limits(std::to_string(256 * kMiB), "35", "unlimited");
  EXPECT_EQ(permission("lock-memory"), Level::kOk);
  EXPECT_EQ(permission("priority"), Level::kOk);
  machine_.limits(std::to_string(256 * kMiB - 1), "34", "unlimited");
  EXPECT_EQ(permission("lock-memory"), Level::kWarning);
  EXPECT_EQ(permission("priority"), Level::kNote);
}

TEST_F(DoctorLimits, ClocksOfEveryKindOfMachine) {
  for (const char* source :
       {"tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "xen"}) {
    machine_.write("sys/devices/system/clocksource/clocksource0/current_clocksource", source);
    EXPECT_EQ(host("clock"), Level::kOk) << source;
  }
  machine_.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm");
  EXPECT_EQ(host("clock"), Level::kWarning);
}

TEST_F(DoctorLimits, LoadFromAQuarterOfTheProcessorsOn) {
  machine_.write("proc/loadavg", "1.00 9 9 1/2 3\n");
  EXPECT_EQ(host("load"), Level::kOk);
  machine_.write("proc/loadavg", "1.01 0 0 1/2 3\n");
  EXPECT_EQ(host("load"), Level::kWarning);
}

TEST_F(DoctorLimits, GovernorsThatBeginSlowly) {
  const std::string file = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
  for (const char* slow : {"powersave", "conservative"}) {
    machine_.write(file, slow);
    EXPECT_EQ(host("governor"), Level::kNote) << slow;
  }
  for (const char* fast : {"performance", "schedutil", "ondemand"}) {
    machine_.write(file, fast);
    EXPECT_EQ(host("governor"), Level::kOk) << fast;
  }
}

TEST_F(DoctorLimits, EachReasonForSlowClocksByItself) {
  struct Row {
    int64_t bit;
    Level level;
    const char* text;
  };
  for (const Row& row :
       {Row{probes::kThrottleIdle, Level::kOk, "MHz"},
        Row{probes::kThrottleHardware, Level::kWarning, "the hardware slows it down"},
        Row{probes::kThrottlePowerBrake, Level::kWarning, "the power supply"},
        Row{probes::kThrottleHwThermal, Level::kWarning, "it is too hot"},
        Row{probes::kThrottleSwThermal, Level::kWarning, "the driver keeps it"},
        Row{probes::kThrottlePowerCap, Level::kNote, "its power limit"},
        Row{probes::kThrottleSettings, Level::kNote, "set to a fixed value"}}) {
    machine_.gpus.gpus[0].state.throttle_reasons = row.bit;
    EXPECT_EQ(gpu("gpu-clocks").level, row.level) << row.text;
    EXPECT_THAT(gpu("gpu-clocks").text, HasSubstr(row.text));
  }
}

TEST_F(DoctorLimits, TenDegreesBelowSlowingDown) {
  auto& gpu_ = machine_.gpus.gpus[0];
  gpu_.state.temperature_c = 84;  // of 95
  EXPECT_EQ(gpu("gpu-temperature").level, Level::kOk);
  gpu_.state.temperature_c = 85;
  EXPECT_EQ(gpu("gpu-temperature").level, Level::kWarning);
  gpu_.facts.slowdown_c = -1;  // not told
  EXPECT_EQ(gpu("gpu-temperature").level, Level::kOk);
  gpu_.facts.persistence = -1;
  EXPECT_EQ(gpu("gpu-persistence").level, Level::kOk);
}

TEST_F(DoctorLimits, TheDriverThatIsJustNewEnough) {
  machine_.gpus.cuda_version = 13000;
  EXPECT_EQ(gpu("gpu-driver").level, Level::kOk);
  machine_.gpus.cuda_version = 12990;
  EXPECT_EQ(gpu("gpu-driver").level, Level::kProblem);
  machine_.gpus.cuda_version = 0;  // not told
  EXPECT_EQ(gpu("gpu-driver").level, Level::kOk);
}

TEST_F(DoctorLimits, EveryGpuIsLookedAt) {
  machine_.gpus.gpus.push_back(machine_.gpus.gpus[0]);
  machine_.gpus.gpus[1].state.total_bytes = 80 * kGiB;
  machine_.gpus.gpus[1].state.free_bytes = 79 * kGiB;
  EXPECT_THAT(gpu("gpu").text, HasSubstr("GPU 0, NVIDIA GB10: shares the machine's memory"));
  machine_.gpus.gpus[1].facts.persistence = 0;
  EXPECT_THAT(gpu("gpu-persistence").text, HasSubstr("GPU 1, "));
  auto& state = machine_.gpus.gpus[1].state;
  state.n_processes = 2;
  state.processes[0] = {11, -1};
  state.processes[1] = {12, kGiB};
  int others = 0;
  for (const Finding& finding : check_gpus(machine_.sources, machine_.gpus, true)) {
    if (finding.check == "gpu") {
      EXPECT_TRUE(finding.text.find("shares") != finding.text.npos ||
                  finding.text.find("79.0 GiB of 80.0 GiB free") != finding.text.npos)
          << finding.text;
    }
    others += finding.check == "gpu-processes";
  }
  EXPECT_EQ(others, 2);
}

TEST_F(DoctorLimits, RoomForResults) {
  const auto room = [&](int64_t bytes) {
    machine_.disk.free_bytes = bytes;
    return database("database-disk");
  };
  EXPECT_EQ(room(4 * kGiB), Level::kOk);
  EXPECT_EQ(room(4 * kGiB - 1), Level::kWarning);
  EXPECT_EQ(room(256 * kMiB), Level::kWarning);
  EXPECT_EQ(room(256 * kMiB - 1), Level::kProblem);
}

TEST_F(DoctorLimits, ADatabaseWhoseRunsHaveEnded) {
  const auto file = machine_.path("r.db");
  {
    const auto store = reports::Store::open(file);
    for (const char* id :
         {"11111111-1111-4111-8111-111111111111", "22222222-1111-4111-8111-111111111111"}) {
      reports::RunRow run;
      run.id = id;
      run.started_at = "2026-03-01T00:00:00Z";
      store->add_run(run, std::vector<reports::CellRow>{});
      store->finish_run(id, "2026-03-01T00:01:00Z");
    }
  }
  const Finding finding = find(check_database(machine_.sources, file), "database");
  EXPECT_EQ(finding.level, Level::kOk);
  EXPECT_THAT(finding.text, HasSubstr("2 runs, all of them finished"));
}

TEST_F(DoctorLimits, OnlyCellsWithAnEngineHaveWeightsAndEachCheckpointIsReadOnce) {
  profiles::Cell cell;
  cell.profile.checkpoint = "/nowhere";
  cell.profile.target = "scripted";
  profiles::Plan plan;
  plan.cells = {cell};
  EXPECT_TRUE(check_weights(machine_.sources, plan, false).empty());
  cell.profile.target = "engine";
  cell.profile.checkpoint = test_support::source_dir() / "checkpoints/tiny";
  plan.cells = {cell, cell};
  const Findings findings = check_weights(machine_.sources, plan, false);
  EXPECT_EQ(std::count_if(findings.begin(), findings.end(),
                          [](const Finding& finding) { return finding.check == "weights"; }),
            1);
}

TEST_F(DoctorLimits, CasesThatCannotBeMade) {
  profiles::Plan plan = profiles::make_plan(
      profiles::load_profile(test_support::source_dir() / "profiles/tiny.toml"));
  EXPECT_EQ(find(check_datasets(plan), "datasets").level, Level::kOk);
  for (profiles::SuiteSection& section : plan.cells.at(0).profile.suites) {
    if (section.name == "needle") section.parameters["lengths"] = std::vector<int64_t>{1};
  }
  const Finding finding = find(check_datasets(plan), "datasets");
  EXPECT_EQ(finding.level, Level::kProblem);
  EXPECT_FALSE(finding.remedy.empty());
}

TEST_F(DoctorLimits, ATightFitIsANoteWithItsRemedy) {
  const profiles::Plan plan = profiles::make_plan(
      profiles::load_profile(test_support::source_dir() / "profiles/tiny.toml"));
  profiles::Machine machine;
  const auto with = [&](int64_t mib) {
    machine.memory = profiles::MemoryPool{mib * kMiB, 0, 0};
    return find(check_fit(plan, machine), "fit");
  };
  int64_t less = 1, fits = 8192;  // MiB
  while (fits - less > 1) {
    const int64_t middle = (fits + less) / 2;
    (with(middle).level == Level::kOk ? fits : less) = middle;
  }
  const Finding finding = with(less);
  EXPECT_EQ(finding.level, Level::kNote) << finding.text;
  EXPECT_THAT(finding.text, HasSubstr("tight"));
  EXPECT_FALSE(finding.remedy.empty());
}

}  // namespace
}  // namespace ds4::runners::doctor
