#include "reports/outcomes/outcome.h"

namespace ds4::reports {
namespace {

constexpr std::string_view kConfiguration = "configuration";
constexpr std::string_view kPrompt = "prompt length and configuration";
constexpr std::string_view kMachine = "machine";
constexpr std::string_view kEngine = "engine";
constexpr std::string_view kMeasurement = "measurement";
constexpr std::string_view kQuality = "quality";
constexpr std::string_view kTransport = "transport";
constexpr std::string_view kHarness = "harness";
constexpr std::string_view kOperator = "operator";

constexpr std::string_view kGiveRoom =
    "Choose a smaller context, chunk or pool, or free memory; the telemetry shows how fast it "
    "went.";

// The order is that of docs/outcomes.md; which class wins is decided by the rules of
// runners/outcome.
constexpr OutcomeClass kClasses[] = {
    {"ok", "-", Level::kBoth, Effect::kMeasured, "It ended as it should.", "Nothing."},
    {"running", "-", Level::kLaunch, Effect::kOpen,
     "Begun and not ended: still at work, or its supervisor is gone.",
     "Wait; the next run or resume on this database says what became of it."},
    {"interrupted", kOperator, Level::kBoth, Effect::kOpen, "Ended by whoever runs the sweep.",
     "Resume the run."},
    {"KILLED", kOperator, Level::kLaunch, Effect::kOpen,
     "The worker or its supervisor was killed or stopped from outside, not by the guard and, as "
     "far "
     "as the kernel tells, not for memory.",
     "Find out who sent the signal, then resume the run."},
    {"PREFLIGHT_REFUSED", kConfiguration, Level::kLaunch, Effect::kFailed,
     "Refused before anything was loaded: the budget, the machine or a setting does not allow it.",
     "Change the setting the message names, or free what it asks for."},
    {"LOAD_OOM", kConfiguration, Level::kLaunch, Effect::kFailed,
     "Out of memory while the weights were loaded.",
     "Choose fewer experts, a smaller format or another residency, or free memory."},
    {"LOAD_INCOMPATIBLE", "checkpoint and engine", Level::kLaunch, Effect::kFailed,
     "The engine cannot read or run this checkpoint: a damaged file, a missing key, another shape, "
     "expert count or architecture.",
     "Check the files (ds4-sweep inspect), or take an engine that knows this checkpoint."},
    {"CAPTURE_OOM", kConfiguration, Level::kLaunch, Effect::kFailed,
     "Out of memory between loading and being ready: warm-up, graphs, cache.", kGiveRoom},
    {"READY_NOT_SERVING", kConfiguration, Level::kLaunch, Effect::kFailed,
     "Ready by its own word, yet not one request was answered.",
     "Send one request by hand and read the target's log."},
    {"PREFILL_OOM", kPrompt, Level::kLaunch, Effect::kFailed,
     "Out of memory with a prompt in work, before its first token.", kGiveRoom},
    {"DECODE_OOM", kPrompt, Level::kLaunch, Effect::kFailed,
     "Out of memory after the first token, or between requests.", kGiveRoom},
    {"WATCHDOG_KILL{load}", kConfiguration, Level::kLaunch, Effect::kFailed,
     "The guard ended the worker while it loaded: memory was at its floor, or about to be.",
     kGiveRoom},
    {"WATCHDOG_KILL{capture}", kConfiguration, Level::kLaunch, Effect::kFailed,
     "The guard ended the worker between loading and being ready.", kGiveRoom},
    {"WATCHDOG_KILL{prefill}", kPrompt, Level::kLaunch, Effect::kFailed,
     "The guard ended the worker with a prompt in work.", kGiveRoom},
    {"WATCHDOG_KILL{decode}", kPrompt, Level::kLaunch, Effect::kFailed,
     "The guard ended the worker while it answered.", kGiveRoom},
    {"WATCHDOG_KILL{idle}", kConfiguration, Level::kLaunch, Effect::kFailed,
     "The guard ended the worker between requests: memory grew without work, here or elsewhere.",
     "Look for a leak, or for who else took the memory, in the telemetry."},
    {"WATCHDOG_KILL{teardown}", kConfiguration, Level::kLaunch, Effect::kMeasured,
     "The guard ended the worker when all of its work was done: flagged, not a failure of what was "
     "measured.",
     "Nothing for these figures; the next cell has less margin than this one showed."},
    {"HOST_OOM", kMachine, Level::kLaunch, Effect::kFailed,
     "The supervisor is gone and the kernel's OOM killer was at work: the whole machine was out of "
     "memory.",
     "Raise the guard's floors before this cell runs again."},
    {"HOST_WEDGE", kMachine, Level::kLaunch, Effect::kFailed,
     "The machine stood still: the supervisor itself was not run for many seconds.",
     "Read the telemetry around the gap, raise the guard's floors, and measure again."},
    {"HOST_RESET", kMachine, Level::kLaunch, Effect::kFailed,
     "The machine was restarted while this launch ran.",
     "Read the last lines of the telemetry before this cell is allowed to run again."},
    {"DRIVER_NOMEM", "advisory", Level::kLaunch, Effect::kFailed,
     "The driver logged that it had no memory (NV_ERR_NO_MEMORY). Beside an end with a reason of "
     "its "
     "own it is a note: healthy starts log it too.",
     "Compare with the device memory in the telemetry; give the GPU more room."},
    {"KERNEL_CRASH", kEngine, Level::kLaunch, Effect::kFailed,
     "The engine's process failed or died: a fatal signal, a GPU fault, or an end of its own "
     "before "
     "the work was done.",
     "Report the last lines of the log and the case in flight."},
    {"HANG", kEngine, Level::kLaunch, Effect::kFailed,
     "Alive and deaf: nothing came within limits.case_timeout, not even an answer to being told to "
     "stop.",
     "Run the case in flight alone; raise limits.case_timeout if it is merely slow."},
    {"SILENT_FALLBACK", kMeasurement, Level::kLaunch, Effect::kInvalid,
     "The log tells that a fast path was refused or replaced: what was measured is not what was "
     "asked for.",
     "Mend what the log names and measure again."},
    {"LANE_WEDGE", kEngine, Level::kLaunch, Effect::kFailed,
     "It served, then refused every further request or served at a fraction of its speed until the "
     "end.",
     "Restart the target; compare the cases before and after the change."},
    {"SLOW_STATE", kMeasurement, Level::kLaunch, Effect::kInvalid,
     "The sentinel (a copy and a matrix-vector product) was below its reference: the machine was "
     "in "
     "a slow state.",
     "Let it cool down or reset its power state, then run the cell again."},
    {"CONTAMINATED", kMeasurement, Level::kBoth, Effect::kInvalid,
     "Something else took part: swap moved, other processes, changed clocks, cached tokens in a "
     "cold "
     "test.",
     "End what the message names and measure again."},
    {"MISCOUNTED", kMeasurement, Level::kAttempt, Effect::kInvalid,
     "The token counts that a server states cannot be true: its speeds and lengths are not to be "
     "used, its answer is.",
     "Compare the counts with the server's tokenizer; look for a prompt that was cut."},
    {"GARBLED", kQuality, Level::kAttempt, Effect::kMeasured,
     "The answer is no text: loops, mixed scripts, replacement or control characters, leaked "
     "markers.",
     "Compare cache formats, drafts and cache on and off at this length."},
    {"TRUNCATED_BY_BUDGET", kMeasurement, Level::kAttempt, Effect::kInvalid,
     "The token limit came before an answer.", "Raise the suite's max_tokens and run it again."},
    {"EMPTY_CONTENT", kQuality, Level::kAttempt, Effect::kMeasured,
     "It ended by itself without anything to read.",
     "Read the raw text: reasoning that was never closed, or an end token at once."},
    {"WRONG_ANSWER", kQuality, Level::kAttempt, Effect::kMeasured, "Graded as wrong.",
     "ds4-sweep show opens prompt, answer and grading."},
    {"NEAR_MISS", kQuality, Level::kAttempt, Effect::kMeasured,
     "Wrong by a character or two: the right place was found, the copy is off.",
     "Compare lengths modulo 4 and 128, and reasoning on and off."},
    {"TOOL_SCHEMA", kQuality, Level::kAttempt, Effect::kMeasured,
     "A tool call that cannot be parsed or does not keep to the tool's schema.",
     "ds4-sweep show opens the call."},
    {"API_ERROR", kTransport, Level::kAttempt, Effect::kFailed,
     "The target refused or failed the request (4xx, 5xx, or an error of its own).",
     "Read the message; resume tries the case again."},
    {"STREAM_BROKEN", kTransport, Level::kAttempt, Effect::kFailed,
     "The answer stopped without its end mark or its counts.",
     "Look for a proxy or a crash between; resume tries the case again."},
    {"TIMEOUT", kTransport, Level::kBoth, Effect::kFailed,
     "Not done within limits.case_timeout or limits.cell_timeout, and stopped when told to.",
     "Raise the limit, or measure fewer or shorter cases."},
    {"CACHE_CORRUPTION", kEngine, Level::kAttempt, Effect::kFailed,
     "The same prompt, greedily decoded, gave another answer from the cache than without it.",
     "Measure with the cache off; report both attempts."},
    {"CACHE_LEAK", kEngine, Level::kAttempt, Effect::kFailed,
     "The answer holds a secret of another prompt.",
     "Stop serving this configuration to more than one user; report both attempts."},
    {"HARNESS_ERROR", kHarness, Level::kBoth, Effect::kOpen,
     "A failure of ds4-sweep itself: a check that failed, a grader that threw.",
     "Please report it with the message; then run again."},
};

constexpr OutcomeClass kUnclassified = {"not classified",
                                        kHarness,
                                        Level::kBoth,
                                        Effect::kOpen,
                                        "Stored by a version without this class.",
                                        "ds4-sweep rescore classifies answers again."};

}  // namespace

std::span<const OutcomeClass> outcome_classes() {
  return kClasses;
}

const OutcomeClass& outcome_class(std::string_view name) {
  for (const OutcomeClass& known : kClasses) {
    if (known.name == name) return known;
  }
  return kUnclassified;
}

bool ran_out_of_memory(std::string_view name) {
  return name.ends_with("_OOM");
}

bool is_watchdog_kill(std::string_view name) {
  return name.starts_with("WATCHDOG_KILL{");
}

}  // namespace ds4::reports
