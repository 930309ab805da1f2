// What this user may do that the guard would like to.
#include <charconv>

#include "engine/base/units.h"
#include "runners/doctor/checks.h"

namespace ds4::runners::doctor {
namespace {

// linux/capability.h
constexpr int kIpcLock = 14, kSysNice = 23, kSysResource = 24;

// The guard's whole address space counts against the limit when it locks itself, libraries too.
constexpr int64_t kLockNeed = int64_t{256} << 20;

uint64_t capabilities(const Sources& sources) {
  const std::string status = sources.text("proc/self/status").value_or("");
  const std::string_view text = field(status, "CapEff");
  uint64_t bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 16);
  return error == std::errc() ? bits : 0;
}

// The soft limit in a row of /proc/self/limits; -1 = unlimited or not told.
int64_t soft_limit(const Sources& sources, std::string_view name) {
  const std::string limits = sources.text("proc/self/limits").value_or("");
  const size_t at = limits.find(name);
  if (at == std::string::npos) return -1;
  std::string_view row(limits);
  row.remove_prefix(at + name.size());
  row.remove_prefix(std::min(row.size(), row.find_first_not_of(' ')));
  int64_t value = -1;
  const auto [end, error] = std::from_chars(row.data(), row.data() + row.size(), value);
  return error == std::errc() ? value : -1;
}

// 5.3 brought pidfd_open.
bool has_pidfd(const std::string& release) {
  int major = 0, minor = 0;
  const char* end = release.data() + release.size();
  const auto first = std::from_chars(release.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end) return false;
  std::from_chars(first.ptr + 1, end, minor);
  return major > 5 || (major == 5 && minor >= 3);
}

}  // namespace

Findings check_permissions(const Sources& sources) {
  const uint64_t allowed = capabilities(sources);
  const auto may = [&](int capability) { return (allowed >> capability & 1) != 0; };
  Findings findings;
  const int64_t lock = soft_limit(sources, "Max locked memory");
  if (may(kIpcLock) || lock < 0 || lock >= kLockNeed) {
    findings.push_back({Level::kOk, "lock-memory", "the guard may lock its memory", ""});
  } else {
    findings.push_back({Level::kWarning, "lock-memory",
                        "only " + format_bytes(lock) +
                            " may be locked: when memory is short the guard may be waiting for its "
                            "own pages",
                        "ulimit -l unlimited (memlock in /etc/security/limits.conf, "
                        "LimitMEMLOCK=infinity of a systemd unit)"});
  }
  if (may(kSysResource)) {
    findings.push_back(
        {Level::kOk, "oom-score", "the guard may exempt itself from the OOM killer", ""});
  } else {
    findings.push_back({Level::kNote, "oom-score",
                        "the guard cannot exempt itself from the OOM killer; it offers the worker "
                        "first",
                        "OOMScoreAdjust=-900 of a systemd unit (packaging/nightly has one)"});
  }
  if (!may(kSysNice) && soft_limit(sources, "Max nice priority") < 35) {
    findings.push_back({Level::kNote, "priority",
                        "the guard runs at ordinary priority, behind a busy machine's queue",
                        "LimitNICE=-15 of a systemd unit"});
  }
  const std::string release = sources.word("proc/sys/kernel/osrelease");
  if (has_pidfd(release)) {
    findings.push_back({Level::kOk, "pidfd",
                        "processes are held by descriptor (kernel " + release +
                            "), so a number used twice hits nobody",
                        ""});
  } else {
    findings.push_back({Level::kNote, "pidfd",
                        "kernel " + (release.empty() ? "unknown" : release) +
                            " has no pidfd: the guard compares start times instead",
                        "Use Linux 5.3 or newer: uname -r"});
  }
  if (!sources.text("dev/kmsg")) {
    findings.push_back({Level::kNote, "kernel-log",
                        "the kernel log cannot be read: a driver's words on why memory ran out are "
                        "missed",
                        "sudo sysctl kernel.dmesg_restrict=0, and membership in the group adm"});
  }
  return findings;
}

}  // namespace ds4::runners::doctor
