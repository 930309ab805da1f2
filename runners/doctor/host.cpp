// The machine around a run: its clock, its identity across a reset, and what else it does.
#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/units.h"
#include "runners/box_lock.h"
#include "runners/doctor/checks.h"

namespace ds4::runners::doctor {
namespace {

// Of a processor, on average over a minute.
constexpr double kMuchLoad = 0.25;

int processors(const Sources& sources) {
  const std::string stat = sources.text("proc/stat").value_or("");
  int n = 0;
  for (size_t at = stat.find("\ncpu"); at != std::string::npos; at = stat.find("\ncpu", at + 1)) {
    ++n;
  }
  return std::max(1, n);
}

bool is_boot_id(const std::string& text) {
  return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

void check_clock(const Sources& sources, Findings& findings) {
  constexpr std::array kGood = {"tsc", "arch_sys_counter", "kvm-clock",
                                "hyperv_clocksource_tsc_page", "xen"};
  const std::string source =
      sources.word("sys/devices/system/clocksource/clocksource0/current_clocksource");
  if (std::find(kGood.begin(), kGood.end(), source) != kGood.end()) {
    findings.push_back({Level::kOk, "clock", "clock source " + source, ""});
  } else if (source.empty()) {
    findings.push_back({Level::kNote, "clock", "the kernel does not tell its clock source",
                        "cat /sys/devices/system/clocksource/clocksource0/current_clocksource"});
  } else {
    findings.push_back({Level::kWarning, "clock",
                        "clock source " + source +
                            ": reading the time is slow, and the kernel distrusts the fast one",
                        "sudo dmesg | grep -i clocksource"});
  }
}

void check_load(const Sources& sources, Findings& findings) {
  const std::string text = sources.word("proc/loadavg");
  double load = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), load);
  if (error != std::errc() || !(load >= 0)) return;
  const int n = processors(sources);
  const std::string sentence = format_number(load) + " processes at work over the last minute on " +
                               std::to_string(n) + (n == 1 ? " processor" : " processors");
  if (load <= kMuchLoad * n) {
    findings.push_back({Level::kOk, "load", sentence, ""});
  } else {
    findings.push_back({Level::kWarning, "load", sentence + ": times will be theirs as well",
                        "ps -eo pid,pcpu,comm --sort=-pcpu | head"});
  }
}

void check_lock(const Sources& sources, Findings& findings) {
  const auto file = sources.lock_file.empty() ? BoxLock::default_file() : sources.lock_file;
  if (const auto holder = BoxLock::holder(file)) {
    findings.push_back({Level::kNote, "lock", "the machine is taken: " + holder->text(),
                        "Wait for it: ds4-sweep run PROFILE --wait 2h"});
  } else {
    findings.push_back({Level::kOk, "lock", "no other run has the machine", ""});
  }
}

}  // namespace

Findings check_host(const Sources& sources) {
  Findings findings;
  check_clock(sources, findings);
  if (const std::string id = sources.word("proc/sys/kernel/random/boot_id"); is_boot_id(id)) {
    findings.push_back({Level::kOk, "boot-id", "a reset of the machine will be recognised", ""});
  } else {
    findings.push_back({Level::kWarning, "boot-id",
                        "the kernel tells no boot id: a reset in mid-run cannot be told from a "
                        "kill",
                        "cat /proc/sys/kernel/random/boot_id"});
  }
  check_load(sources, findings);
  const std::string governor = sources.word("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (governor == "powersave" || governor == "conservative") {
    findings.push_back({Level::kNote, "governor",
                        "processors follow the governor " + governor +
                            ": the first seconds of work "
                            "are slower",
                        "sudo cpupower frequency-set -g performance"});
  }
  check_lock(sources, findings);
  return findings;
}

}  // namespace ds4::runners::doctor
