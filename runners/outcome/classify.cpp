#include "runners/outcome/classify.h"

#include <signal.h>

#include <algorithm>
#include <cstring>

#include "engine/base/units.h"
#include "runners/outcome/phrases.h"

namespace ds4::runners::outcome {
namespace {

constexpr double kWedge_s = 20;         // the supervisor wakes at least once a second
constexpr int kContainerOomExit = 137;  // what container engines report for SIGKILL
constexpr int kBugExit = 5, kNoExecExit = 127;
constexpr size_t kRefusalsInARow = 3;
constexpr size_t kSlowInARow = 3;
constexpr double kSlowLane = 3;  // times slower than before
constexpr int64_t kSlowLaneTokens = 32;

// The last two lines a worker wrote, each on a line of its own: most often they say why it ended.
std::string last_words(const std::string& log) {
  const size_t end = log.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  size_t begin = end;
  for (int lines = 0; begin > 0; --begin) {
    if (log[begin - 1] == '\n' && ++lines == 2) break;
  }
  return "\n" + log.substr(begin, end + 1 - begin);
}

std::string seconds(double s) {
  return format_seconds(s);
}

bool ended_badly(const Evidence& e) {
  return !(e.done && e.exit_code == 0 && e.signal == 0);
}

// The worker was not ended by anyone of ours.
bool by_itself(const Evidence& e) {
  return e.stop == Stop::kNone && ended_badly(e);
}

// A line of what the worker said, or of its log when it ended badly, that tells `what`.
std::string_view told(const Evidence& e, Tells what) {
  const std::string_view line = line_that_tells(e.error, what);
  if (!line.empty() || !by_itself(e)) return line;
  return line_that_tells(e.log_tail, what);
}

// A server that the worker had started ended, by itself.
bool server_ended(const Evidence& e) {
  return e.error_code == "server_ended";
}

bool killed_for_memory(const Evidence& e) {
  // The kernel counts its kills of the whole machine; only those of our group can be ours.
  const bool one_of_ours = e.oom_kills > 0 && e.group_oom_kills != 0;
  return by_itself(e) && (e.signal == SIGKILL || e.server_signal == SIGKILL) && one_of_ours;
}

bool out_of_memory(const Evidence& e) {
  return e.error_code == "memory" || killed_for_memory(e) ||
         (by_itself(e) &&
          (e.exit_code == kContainerOomExit || e.server_code == kContainerOomExit)) ||
         !told(e, Tells::kOutOfMemory).empty();
}

std::string say_memory(const Evidence& e) {
  if (killed_for_memory(e)) {
    std::string text = "killed by the kernel for want of memory";
    for (const std::string& line : e.kernel_lines) {
      if (!line_that_tells(line, Tells::kKernelOomKill).empty()) text += "\n" + line;
    }
    return text;
  }
  if (!e.error.empty()) return e.error;
  if (const auto line = told(e, Tells::kOutOfMemory); !line.empty()) return std::string(line);
  return "ended with exit code " + std::to_string(e.exit_code) +
         ": killed, as container engines report it, most often for want of memory" +
         last_words(e.log_tail);
}

std::string say_error(const Evidence& e) {
  return e.error.empty() ? "ended early" + last_words(e.log_tail) : e.error;
}

template <Tells kWhat>
bool log_tells(const Evidence& e) {
  return !told(e, kWhat).empty();
}

template <Tells kWhat>
std::string say_line(const Evidence& e) {
  if (!e.error.empty()) return e.error;
  return std::string(told(e, kWhat)) +
         (e.signal ? std::string("\nended by signal: ") + ::strsignal(e.signal) : "");
}

// What the last telemetry of a launch that never ended tells.
std::string say_last(const Evidence& e) {
  std::string text;
  if (e.last_reading) {
    text += "\nlast telemetry after " + seconds(e.last_reading->time_s) + ", in " +
            e.last_reading->phase + ": " + format_bytes(e.last_reading->available_bytes) +
            " of memory available";
    if (!e.last_reading->lines.empty()) text += "\n" + e.last_reading->lines;
  }
  if (!e.next_case.empty()) text += "\nfirst case without an answer: " + e.next_case;
  return text;
}

// The last attempts were all refused after earlier ones had been answered.
bool refused_at_the_end(const Evidence& e) {
  const auto refused = [](const AttemptMark& mark) { return mark.outcome == "API_ERROR"; };
  const auto last_served = std::find_if_not(e.attempts.rbegin(), e.attempts.rend(), refused);
  return last_served != e.attempts.rend() &&
         static_cast<size_t>(last_served - e.attempts.rbegin()) >= kRefusalsInARow;
}

// Attempts that ask for the same work: the last three all at under a third of the median speed of
// those before them, of which there are at least three.
bool slow_at_the_end(const Evidence& e) {
  if (e.attempts.empty()) return false;
  std::vector<double> rates;
  for (const AttemptMark& mark : e.attempts) {
    if (mark.shape == e.attempts.back().shape && mark.tokens >= kSlowLaneTokens &&
        mark.decode_tok_s > 0) {
      rates.push_back(mark.decode_tok_s);
    }
  }
  if (rates.size() < 2 * kSlowInARow) return false;
  const auto tail = rates.end() - static_cast<std::ptrdiff_t>(kSlowInARow);
  const double fastest_of_last = *std::max_element(tail, rates.end());
  const auto middle = rates.begin() + (tail - rates.begin()) / 2;
  std::nth_element(rates.begin(), middle, tail);
  return fastest_of_last * kSlowLane < *middle;
}

bool none_answered(const Evidence& e) {
  return !e.attempts.empty() && std::none_of(e.attempts.begin(), e.attempts.end(),
                                             [](const AttemptMark& mark) { return mark.answered; });
}

bool fatal(int signal) {
  constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  return std::find(std::begin(kFatal), std::end(kFatal), signal) != std::end(kFatal);
}

bool driver_had_no_memory(const Evidence& e) {
  return std::any_of(e.kernel_lines.begin(), e.kernel_lines.end(), [](const std::string& line) {
    return !line_that_tells(line, Tells::kDriverNoMemory).empty();
  });
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

std::string say_signal(const Evidence& e) {
  return std::string("killed by signal ") + ::strsignal(e.signal) + last_words(e.log_tail);
}

struct Rule {
  std::string_view outcome;
  std::string_view phases;  // in which it may apply, separated by blanks; "" = any
  bool (*fits)(const Evidence&);
  std::string (*say)(const Evidence&);
};

bool guard_killed(const Evidence& e) {
  return e.guard.kind == GuardAct::Kind::kKilled;
}
std::string say_guard(const Evidence& e) {
  return e.guard.text;
}

// In order: first what happened to the machine, then who ended the worker, then why it ended, then
// what spoils a launch that ended well.
constexpr Rule kRules[] = {
    {"HOST_RESET", "", [](const Evidence& e) { return !e.ended && e.other_boot; },
     [](const Evidence& e) {
       return "the machine was restarted before this launch ended" + say_last(e);
     }},
    {"HOST_OOM", "", [](const Evidence& e) { return !e.ended && e.oom_kills > 0; },
     [](const Evidence& e) {
       return "the supervisor is gone, and meanwhile the kernel's OOM killer ended " +
              std::to_string(e.oom_kills) + " processes on this machine" + say_last(e);
     }},
    {"KILLED", "", [](const Evidence& e) { return !e.ended; },
     [](const Evidence& e) {
       return "its supervisor ended without recording how: killed, or unable to write" +
              say_last(e);
     }},
    {"WATCHDOG_KILL{load}", "start load", guard_killed, say_guard},
    {"WATCHDOG_KILL{capture}", "capture", guard_killed, say_guard},
    {"WATCHDOG_KILL{prefill}", "prefill", guard_killed, say_guard},
    {"WATCHDOG_KILL{decode}", "decode", guard_killed, say_guard},
    {"WATCHDOG_KILL{teardown}", "teardown", guard_killed, say_guard},
    {"WATCHDOG_KILL{idle}", "", guard_killed, say_guard},
    {"HOST_WEDGE", "", [](const Evidence& e) { return e.host_gap_s > kWedge_s; },
     [](const Evidence& e) {
       return "the supervisor was not run for " + seconds(e.host_gap_s) +
              "; no time measured around it means anything";
     }},
    {"interrupted", "", [](const Evidence& e) { return e.stop == Stop::kUser; },
     [](const Evidence&) { return std::string(); }},
    {"PREFLIGHT_REFUSED", "",
     [](const Evidence& e) {
       return !e.refused.empty() || e.guard.kind == GuardAct::Kind::kRefused;
     },
     [](const Evidence& e) { return e.refused.empty() ? e.guard.text : e.refused; }},
    {"HARNESS_ERROR", "", [](const Evidence& e) { return e.guard.kind == GuardAct::Kind::kLost; },
     say_guard},
    {"LOAD_OOM", "start load", out_of_memory, say_memory},
    {"CAPTURE_OOM", "capture", out_of_memory, say_memory},
    {"PREFILL_OOM", "prefill", out_of_memory, say_memory},
    {"DECODE_OOM", "", out_of_memory, say_memory},
    {"KERNEL_CRASH", "", log_tells<Tells::kGpuFault>, say_line<Tells::kGpuFault>},
    {"HARNESS_ERROR", "", log_tells<Tells::kOurBug>, say_line<Tells::kOurBug>},
    {"LOAD_INCOMPATIBLE", "",
     [](const Evidence& e) {
       return e.error_code == "checkpoint" || log_tells<Tells::kIncompatible>(e);
     },
     say_line<Tells::kIncompatible>},
    {"KILLED", "",
     [](const Evidence& e) {
       return server_ended(e) && (e.server_signal == SIGKILL || e.server_signal == SIGTERM);
     },
     say_error},
    {"KERNEL_CRASH", "", server_ended, say_error},
    {"HANG", "", [](const Evidence& e) { return e.error_code == "server_deaf"; }, say_error},
    {"READY_NOT_SERVING", "",
     [](const Evidence& e) { return e.error_code == "server_not_serving"; }, say_error},
    {"LOAD_INCOMPATIBLE", "start load capture",
     [](const Evidence& e) { return e.error_code == "io"; }, say_error},
    {"PREFLIGHT_REFUSED", "start load capture",
     [](const Evidence& e) { return !e.error_code.empty(); }, say_error},
    {"KILLED", "", [](const Evidence& e) { return e.stop == Stop::kDeaf && e.state == 'T'; },
     [](const Evidence& e) {
       return "stopped by a signal (SIGSTOP) and never continued; " + e.deadline;
     }},
    {"HANG", "", [](const Evidence& e) { return e.stop == Stop::kDeaf; },
     [](const Evidence& e) {
       return e.deadline +
              (e.state == 'D' ? "; it slept uninterruptibly, in a driver or on a disk" : "") +
              last_words(e.log_tail);
     }},
    {"TIMEOUT", "", [](const Evidence& e) { return e.stop == Stop::kCellDeadline; },
     [](const Evidence& e) { return e.deadline; }},
    {"KERNEL_CRASH", "", [](const Evidence& e) { return fatal(e.signal); },
     [](const Evidence& e) {
       return std::string("crashed: ") + ::strsignal(e.signal) + last_words(e.log_tail);
     }},
    {"HARNESS_ERROR", "",
     [](const Evidence& e) { return e.exit_code == kBugExit || e.exit_code == kNoExecExit; },
     [](const Evidence& e) {
       return "the worker ended with exit code " + std::to_string(e.exit_code) +
              last_words(e.log_tail);
     }},
    {"DRIVER_NOMEM", "", [](const Evidence& e) { return e.signal != 0 && driver_had_no_memory(e); },
     say_signal},
    {"KILLED", "", [](const Evidence& e) { return e.signal != 0; }, say_signal},
    {"KERNEL_CRASH", "", [](const Evidence& e) { return !e.error.empty(); }, say_error},
    {"KERNEL_CRASH", "", ended_badly,
     [](const Evidence& e) {
       return "ended early with exit code " + std::to_string(e.exit_code) + last_words(e.log_tail);
     }},
    {"READY_NOT_SERVING", "", none_answered,
     [](const Evidence& e) {
       return "none of " + std::to_string(e.attempts.size()) + " requests was answered";
     }},
    {"LANE_WEDGE", "", refused_at_the_end,
     [](const Evidence&) {
       return std::string("answered at first, then refused every request until the end");
     }},
    {"LANE_WEDGE", "", slow_at_the_end,
     [](const Evidence&) {
       return std::string(
           "the last three answers came at under a third of the speed of those before");
     }},
    {"SILENT_FALLBACK", "", [](const Evidence& e) { return !e.fallbacks.empty(); },
     [](const Evidence& e) { return joined(e.fallbacks); }},
    {"SLOW_STATE", "", [](const Evidence& e) { return !e.slow_state.empty(); },
     [](const Evidence& e) { return e.slow_state; }},
    {"CONTAMINATED", "", [](const Evidence& e) { return !e.contamination.empty(); },
     [](const Evidence& e) { return joined(e.contamination); }},
    {"ok", "", [](const Evidence&) { return true; }, [](const Evidence&) { return std::string(); }},
};

bool in_phase(std::string_view phases, std::string_view phase) {
  if (phases.empty()) return true;
  while (!phases.empty()) {
    const size_t end = std::min(phases.find(' '), phases.size());
    if (phases.substr(0, end) == phase) return true;
    phases.remove_prefix(std::min(end + 1, phases.size()));
  }
  return false;
}

// What was seen and did not name the launch.
std::vector<std::string> notes_of(const Evidence& e, std::string_view outcome) {
  std::vector<std::string> notes;
  for (const std::string& line : e.kernel_lines) {
    const bool driver = !line_that_tells(line, Tells::kDriverNoMemory).empty();
    notes.push_back((driver ? "DRIVER_NOMEM: " : "kernel: ") + line);
  }
  if (outcome != "SILENT_FALLBACK") {
    for (const std::string& line : e.fallbacks) notes.push_back("SILENT_FALLBACK: " + line);
  }
  if (outcome != "SLOW_STATE" && !e.slow_state.empty())
    notes.push_back("SLOW_STATE: " + e.slow_state);
  if (outcome != "CONTAMINATED") {
    for (const std::string& line : e.contamination) notes.push_back("CONTAMINATED: " + line);
  }
  return notes;
}

}  // namespace

Finding classify(const Evidence& evidence) {
  // The guard's own word on the phase is nearer to the moment than the supervisor's.
  const std::string& phase = evidence.guard.phase.empty() ? evidence.phase : evidence.guard.phase;
  for (const Rule& rule : kRules) {
    if (!in_phase(rule.phases, phase) || !rule.fits(evidence)) continue;
    return {std::string(rule.outcome), rule.say(evidence), notes_of(evidence, rule.outcome)};
  }
  return {"HARNESS_ERROR", "no rule names how this launch ended", notes_of(evidence, "")};
}

}  // namespace ds4::runners::outcome
