// From evidence to a name: every class of a launch, the order in which rules win, and what is only
// a note.
#include <gmock/gmock.h>
#include <signal.h>

#include <set>

#include "reports/outcomes/outcome.h"
#include "runners/outcome/classify.h"
#include "runners/outcome/guard_act.h"
#include "runners/outcome/phrases.h"

namespace ds4::runners::outcome {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Of a launch that ended well.
Evidence well() {
  Evidence e;
  e.ready = e.done = true;
  e.phase = "teardown";
  e.attempts = {{true, "ok", "smoke", 10, 40}};
  return e;
}

// Of one that ended by `signal` in `phase`.
Evidence died(int signal, const std::string& phase) {
  Evidence e;
  e.signal = signal;
  e.phase = phase;
  return e;
}

Evidence exited(int code, const std::string& log) {
  Evidence e;
  e.exit_code = code;
  e.phase = "prefill";
  e.log_tail = log;
  return e;
}

Evidence guard(GuardAct::Kind kind, const std::string& phase) {
  Evidence e = died(SIGKILL, phase);
  e.guard = {kind, phase, "memory fell under the floor"};
  return e;
}

Evidence refused_from(size_t i) {
  Evidence e = well();
  e.attempts.clear();
  for (size_t k = 0; k < 6; ++k) {
    e.attempts.push_back({k < i, k < i ? "ok" : "API_ERROR", "smoke", 10, 40});
  }
  return e;
}

Evidence with_rates(const std::vector<double>& rates) {
  Evidence e = well();
  e.attempts.clear();
  for (const double rate : rates) e.attempts.push_back({true, "ok", "speed\n4096", rate, 64});
  return e;
}

template <typename Change>
Evidence with(Evidence e, const Change& change) {
  change(e);
  return e;
}

struct Case {
  const char* outcome;
  Evidence evidence;
};

std::vector<Case> cases() {
  using Kind = GuardAct::Kind;
  const auto error = [](const char* phase, const char* code, const char* text) {
    return with(exited(3, ""), [&](Evidence& e) {
      e.phase = phase;
      e.error_code = code;
      e.error = text;
    });
  };
  const auto unended = [](auto change) {
    return with(Evidence{}, [&](Evidence& e) {
      e.ended = false;
      change(e);
    });
  };
  return {
      {"ok", well()},
      {"interrupted", with(died(SIGKILL, "decode"), [](Evidence& e) { e.stop = Stop::kUser; })},
      {"KILLED", died(SIGKILL, "load")},
      {"KILLED", died(SIGTERM, "decode")},
      {"KILLED", unended([](Evidence&) {})},
      {"KILLED", with(died(SIGKILL, "decode"),
                      [](Evidence& e) {
                        e.stop = Stop::kDeaf;
                        e.state = 'T';
                      })},
      {"HOST_RESET", unended([](Evidence& e) { e.other_boot = true; })},
      {"HOST_OOM", unended([](Evidence& e) { e.oom_kills = 2; })},
      {"HOST_WEDGE", with(well(), [](Evidence& e) { e.host_gap_s = 45; })},
      {"PREFLIGHT_REFUSED", with(Evidence{}, [](Evidence& e) { e.refused = "does not fit"; })},
      {"PREFLIGHT_REFUSED", guard(Kind::kRefused, "load")},
      {"PREFLIGHT_REFUSED", error("load", "machine", "the engine needs 9 GiB, 1 GiB are free")},
      {"HARNESS_ERROR", guard(Kind::kLost, "decode")},
      {"HARNESS_ERROR", with(died(SIGABRT, "prefill"),
                             [](Evidence& e) { e.log_tail = "a.cpp:3: check failed: x (y)\n"; })},
      {"HARNESS_ERROR", exited(5, "unexpected: bad\n")},
      {"HARNESS_ERROR", exited(127, "")},
      {"LOAD_OOM", error("load", "memory", "out of memory")},
      {"LOAD_OOM", error("load", "machine", "CUDA: out of memory in cudaMalloc")},
      {"LOAD_OOM", with(died(SIGKILL, "load"), [](Evidence& e) { e.oom_kills = 1; })},
      {"LOAD_OOM", with(exited(137, ""), [](Evidence& e) { e.phase = "start"; })},
      {"LOAD_OOM", with(exited(1, "torch.OutOfMemoryError: CUDA out of memory.\n"),
                        [](Evidence& e) { e.phase = "load"; })},
      {"CAPTURE_OOM",
       error("capture", "machine", "the GPU cannot give 3 GiB: 1 GiB of 8 are free")},
      {"PREFILL_OOM", with(died(SIGKILL, "prefill"), [](Evidence& e) { e.oom_kills = 1; })},
      {"PREFILL_OOM", error("prefill", "machine", "cannot allocate 99 bytes for the engine")},
      {"DECODE_OOM", with(died(SIGKILL, "decode"), [](Evidence& e) { e.oom_kills = 1; })},
      {"LOAD_INCOMPATIBLE", error("load", "checkpoint", "config.json: no `vocab_size`")},
      {"LOAD_INCOMPATIBLE", error("load", "io", "x.safetensors: cannot read")},
      {"LOAD_INCOMPATIBLE", with(exited(1, "ValueError: Unsupported expert number: 144\n"),
                                 [](Evidence& e) { e.phase = "load"; })},
      {"KERNEL_CRASH", died(SIGSEGV, "decode")},
      {"KERNEL_CRASH",
       error("decode", "machine", "CUDA: an illegal memory access was encountered")},
      {"KERNEL_CRASH", error("decode", "machine", "every logit of a position is NaN or -inf")},
      {"KERNEL_CRASH", exited(1, "bye\n")},
      {"KERNEL_CRASH", exited(0, "ended without a word\n")},
      {"HANG", with(died(SIGKILL, "decode"), [](Evidence& e) { e.stop = Stop::kDeaf; })},
      {"TIMEOUT", with(died(SIGKILL, "decode"), [](Evidence& e) { e.stop = Stop::kCellDeadline; })},
      {"DRIVER_NOMEM",
       with(died(SIGKILL, "load"),
            [](Evidence& e) { e.kernel_lines = {"NVRM: nvAssertOkFailed: NV_ERR_NO_MEMORY"}; })},
      {"READY_NOT_SERVING", refused_from(0)},
      {"LANE_WEDGE", refused_from(3)},
      {"LANE_WEDGE", with_rates({20, 21, 19, 20, 6, 5, 6})},
      {"SILENT_FALLBACK",
       with(well(), [](Evidence& e) { e.fallbacks = {"falling back to the slow path"}; })},
      {"SLOW_STATE", with(well(), [](Evidence& e) { e.slow_state = "GEMV at 31 %"; })},
      {"CONTAMINATED", with(well(), [](Evidence& e) { e.contamination = {"swap moved"}; })},
      {"WATCHDOG_KILL{load}", guard(Kind::kKilled, "load")},
      {"WATCHDOG_KILL{capture}", guard(Kind::kKilled, "capture")},
      {"WATCHDOG_KILL{prefill}", guard(Kind::kKilled, "prefill")},
      {"WATCHDOG_KILL{decode}", guard(Kind::kKilled, "decode")},
      {"WATCHDOG_KILL{idle}", guard(Kind::kKilled, "idle")},
      {"WATCHDOG_KILL{teardown}", guard(Kind::kKilled, "teardown")},
  };
}

TEST(Classify, NamesEveryClassOfALaunchFromItsEvidence) {
  std::set<std::string> named;
  for (const Case& c : cases()) {
    const Finding finding = classify(c.evidence);
    EXPECT_EQ(finding.outcome, c.outcome) << finding.message;
    named.insert(finding.outcome);
  }
  for (const reports::OutcomeClass& known : reports::outcome_classes()) {
    if (known.level == reports::Level::kAttempt || known.name == "running") continue;
    EXPECT_TRUE(named.contains(std::string(known.name))) << known.name;
  }
  for (const std::string& name : named) EXPECT_EQ(reports::outcome_class(name).name, name);
}

// Every end there is has a name and, unless it is well or the user's own, a message.
TEST(Classify, NothingIsUnknown) {
  for (int signal = 0; signal <= 64; ++signal) {
    for (const int code : {0, 1, 2, 3, 4, 5, 126, 127, 137, 255}) {
      if (signal != 0 && code != 0) continue;
      for (const char* phase :
           {"start", "load", "capture", "prefill", "decode", "idle", "teardown", "other"}) {
        for (const bool done : {false, true}) {
          Evidence e = died(signal, phase);
          e.exit_code = code;
          e.done = done;
          const Finding finding = classify(e);
          EXPECT_EQ(reports::outcome_class(finding.outcome).name, finding.outcome);
          EXPECT_EQ(finding.outcome == "ok", done && code == 0 && signal == 0);
          EXPECT_EQ(finding.message.empty(), finding.outcome == "ok")
              << finding.outcome << " " << signal << " " << code;
        }
      }
    }
  }
}

TEST(Classify, TheGuardsPhaseWinsAndItsKillIsNoMemoryFailureOfItsOwn) {
  Evidence e = guard(GuardAct::Kind::kKilled, "prefill");
  e.phase = "decode";
  e.oom_kills = 1;
  EXPECT_EQ(classify(e).outcome, "WATCHDOG_KILL{prefill}");
}

// A server that the worker started, by what it was last doing and how it ended.
TEST(Classify, AServerThatWasStartedEndsForItsOwnReasons) {
  const auto name = [](const std::string& code, const std::string& phase, int exit_code, int signal,
                       const std::string& words = "", int64_t oom_kills = 0) {
    Evidence e = exited(3, "");
    e.phase = phase;
    e.error_code = code;
    e.error = "the server ended\n" + words;
    e.server_code = exit_code;
    e.server_signal = signal;
    e.oom_kills = oom_kills;
    return classify(e).outcome;
  };
  EXPECT_EQ(name("server_ended", "load", 1, 0), "KERNEL_CRASH");
  EXPECT_EQ(name("server_ended", "prefill", 0, SIGSEGV), "KERNEL_CRASH");
  EXPECT_EQ(name("server_ended", "idle", 0, SIGTERM), "KILLED");
  EXPECT_EQ(name("server_ended", "decode", 0, SIGKILL), "KILLED");
  EXPECT_EQ(name("server_ended", "decode", 0, SIGKILL, "", 1), "DECODE_OOM");
  EXPECT_EQ(name("server_ended", "load", 137, 0), "LOAD_OOM");
  EXPECT_EQ(name("server_ended", "capture", 1, 0, "CUDA out of memory"), "CAPTURE_OOM");
  EXPECT_EQ(name("server_ended", "prefill", 1, 0, "CUDA out of memory"), "PREFILL_OOM");
  EXPECT_EQ(name("server_ended", "load", 1, 0, "KeyError: 'x'"), "LOAD_INCOMPATIBLE");
  EXPECT_EQ(name("server_deaf", "load", 0, 0), "HANG");
  EXPECT_EQ(name("server_not_serving", "load", 0, 0), "READY_NOT_SERVING");
}

TEST(Classify, EveryVerdictOfTheGuardHasAName) {
  const auto name_of = [](guard::Action action, guard::Phase phase) {
    Evidence e = died(SIGKILL, "decode");
    guard::Verdict verdict;
    verdict.action = action;
    verdict.phase = phase;
    e.guard = act_of(verdict);
    EXPECT_FALSE(classify(e).message.empty());
    return classify(e).outcome;
  };
  EXPECT_EQ(name_of(guard::Action::kSoft, guard::Phase::kLoad), "WATCHDOG_KILL{load}");
  EXPECT_EQ(name_of(guard::Action::kHard, guard::Phase::kTeardown), "WATCHDOG_KILL{teardown}");
  EXPECT_EQ(name_of(guard::Action::kRefused, guard::Phase::kLoad), "PREFLIGHT_REFUSED");
  EXPECT_EQ(name_of(guard::Action::kLost, guard::Phase::kDecode), "HARNESS_ERROR");
  for (int i = 0; i < guard::kPhases; ++i) {
    const auto phase = static_cast<guard::Phase>(i);
    EXPECT_EQ(name_of(guard::Action::kHard, phase),
              "WATCHDOG_KILL{" + std::string(name(phase)) + "}");
  }
}

TEST(Classify, ASignalOfOursIsNotSomebodyElses) {
  Evidence e = died(SIGKILL, "prefill");
  e.oom_kills = 1;  // of another process, while ours was ended for being deaf
  e.stop = Stop::kDeaf;
  EXPECT_EQ(classify(e).outcome, "HANG");
}

TEST(Classify, AKillForMemoryInAnotherGroupIsNotOurs) {
  Evidence e = died(SIGKILL, "decode");
  e.oom_kills = 1;
  EXPECT_EQ(classify(e).outcome, "DECODE_OOM") << "where the kernel does not say whose it was";
  e.group_oom_kills = 1;
  EXPECT_EQ(classify(e).outcome, "DECODE_OOM");
  e.group_oom_kills = 0;
  EXPECT_EQ(classify(e).outcome, "KILLED");
}

TEST(Classify, OldRemarksOfAHealthyLogNameNothing) {
  Evidence e = well();
  e.log_tail = "warning: out of memory once, tried again\nillegal memory access? no\n";
  EXPECT_EQ(classify(e).outcome, "ok");
}

TEST(Classify, TheDriversLineIsANoteBesideAHealthyLaunch) {
  Evidence e = well();
  e.kernel_lines = {"NVRM: NV_ERR_NO_MEMORY"};
  const Finding finding = classify(e);
  EXPECT_EQ(finding.outcome, "ok");
  EXPECT_THAT(finding.notes, ElementsAre("DRIVER_NOMEM: NVRM: NV_ERR_NO_MEMORY"));
}

TEST(Classify, TheMessageHoldsTheLastWords) {
  Evidence e = died(SIGSEGV, "decode");
  e.log_tail = "long ago\none\ntwo\n";
  EXPECT_THAT(classify(e).message, HasSubstr("\none\ntwo"));
  EXPECT_THAT(classify(e).message, ::testing::Not(HasSubstr("long ago")));
}

TEST(Classify, AResetTellsWhatTheTelemetrySawLast) {
  Evidence e;
  e.ended = false;
  e.other_boot = true;
  e.last_reading = LastReading{12.5, int64_t{3} << 30, "prefill", "{\"seq\":7}"};
  e.next_case = "needle/c4";
  const Finding finding = classify(e);
  EXPECT_EQ(finding.outcome, "HOST_RESET");
  for (const char* part : {"12.5 s", "prefill", "3.00 GiB", "{\"seq\":7}", "needle/c4"}) {
    EXPECT_THAT(finding.message, HasSubstr(part));
  }
}

TEST(Classify, ASlowerEndIsAWedgeOnlyWhenItIsClear) {
  EXPECT_EQ(classify(with_rates({20, 21, 19, 20, 9, 9, 9})).outcome, "ok") << "half is no wedge";
  EXPECT_EQ(classify(with_rates({20, 21, 19, 5, 20, 5})).outcome, "ok") << "it came back";
  EXPECT_EQ(classify(with_rates({20, 21, 5, 5, 5})).outcome, "ok") << "too few before";
}

TEST(FallbackLines, AreFoundAcrossPiecesAndKeptWhole) {
  FallbackLines lines;
  lines.feed("INFO loading\nWARNING Falling ba");
  EXPECT_THAT(lines.lines(), IsEmpty());
  lines.feed("ck to BF16 KV\nINFO ready\n");
  EXPECT_THAT(lines.lines(), ElementsAre("WARNING Falling back to BF16 KV"));
  lines.feed(std::string(1 << 20, 'x'));
  for (int i = 0; i < 100; ++i) lines.feed("\nUsing default MoE config\n");
  EXPECT_LE(lines.lines().size(), 20u);
}

}  // namespace
}  // namespace ds4::runners::outcome
