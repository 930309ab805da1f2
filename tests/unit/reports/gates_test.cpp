// Gates about outcomes, against a baseline and against the floor; endings in comparisons.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "reports/compare/endings.h"
#include "reports/trace/trace.h"
#include "reports/verdict/verdict.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string gate(const std::string& figure, const std::string& rest) {
  return R"({"suite":"","figure":")" + figure + R"(","tags":{},"min_n":1,"source":"g.toml:3",)" +
         rest + "}";
}

TEST(OutcomeNames, AreOfOneKindEach) {
  for (const char* oom : {"LOAD_OOM", "CAPTURE_OOM", "PREFILL_OOM", "DECODE_OOM", "HOST_OOM"}) {
    EXPECT_TRUE(forbids("oom", oom) && forbids("failure", oom)) << oom;
    EXPECT_FALSE(forbids("watchdog", oom)) << oom;
  }
  EXPECT_TRUE(forbids("watchdog", "WATCHDOG_KILL{prefill}"));
  EXPECT_TRUE(forbids("failure", "WATCHDOG_KILL{load}"));
  EXPECT_FALSE(forbids("watchdog", "WATCHDOG_KILL{teardown}")) << "flagged, never counted";
  EXPECT_FALSE(forbids("failure", "WATCHDOG_KILL{teardown}"));
  for (const char* fine : {"ok", "interrupted", "running"}) {
    for (const char* forbidden : {"oom", "watchdog", "failure", "invalid"}) {
      EXPECT_FALSE(forbids(forbidden, fine)) << fine;
    }
  }
  EXPECT_TRUE(forbids("failure", "HANG"));
  EXPECT_TRUE(forbids("invalid", "SLOW_STATE"));
  EXPECT_FALSE(forbids("failure", "SLOW_STATE"));
}

class GatesTest : public testing::Test {
 protected:
  GatesTest() {
    base_.data.run.id = "base-run";
    now_.data.run.id = "new-run";
  }

  // `n` launches that answer every case; times of the i-th are `level` times those of the first.
  static void answer(ExampleRun& run, int n_wrong, int n_launches = 1, double level = 1) {
    for (int number = 1; number <= n_launches; ++number) {
      run.launch("ok").sample("peak_memory", 1e9);
      const double of_launch = level * (1 + 0.01 * (number % 3));
      for (int i = 0; i < kCases; ++i) {
        StoredAttempt& attempt =
            i < n_wrong ? run.attempt(i, "wrong", 0, number) : run.attempt(i, "correct", 1, number);
        attempt.launch = number;
        attempt.first_token_s *= of_launch * (1 + 0.1 * (i * 7 % kCases) / kCases);
      }
    }
  }

  Verdict judge_now(const std::string& gates, bool named = true) {
    now_.data.run.resolved_profile = example_profile(gates);
    auto store = Store::open(folder_.path() / ("r" + std::to_string(++n_) + ".db"));
    base_.write(*store);
    now_.write(*store);
    if (named) store->set_baseline({"green", "base-run", ""});
    const RunData run = load_run(*store, "new-run", false);
    const Judging judging = judging_of(run.run);
    return judge(run, judging, compare_with_baselines(*store, "new-run", judging));
  }
  static std::string not_worse(const std::string& figure, double share) {
    return gate(figure, R"("baseline":"green","not_worse_by":)" + std::to_string(share));
  }

  static constexpr int kCases = 30;
  ExampleRun base_{kCases}, now_{kCases};
  TemporaryFolder folder_;
  int n_ = 0;
};

TEST_F(GatesTest, NoOomLooksAtEveryLaunch) {
  answer(base_, 0);
  now_.launch("PREFILL_OOM");
  now_.data.launches[0].phase = "prefill";
  now_.data.launches[0].message = "cudaMalloc failed";
  answer(now_, 0);  // the second launch answers everything
  for (StoredAttempt& attempt : now_.data.attempts) attempt.launch = 2;
  const Verdict verdict =
      judge_now(gate("", R"("outcome":"oom")") + "," + gate("", R"("outcome":"watchdog")"));
  ASSERT_EQ(verdict.gates.size(), 2u);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kFail);
  EXPECT_THAT(verdict.gates[0].reason,
              HasSubstr("launch 1 ended in PREFILL_OOM (prefill): cudaMalloc failed"));
  EXPECT_EQ(verdict.gates[1].decision, Decision::kPass);
  EXPECT_EQ(verdict.exit_code(), 1);
  EXPECT_EQ(gate_name(verdict.gates[0].gate), "no oom");
}

TEST_F(GatesTest, AnOutcomeThatCouldNotBeSeenLeavesTheGateOpen) {
  now_.launch("KERNEL_CRASH");
  const Verdict verdict = judge_now(gate("", R"("outcome":"oom")"), false);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("not every case was answered"));
  EXPECT_EQ(verdict.exit_code(), 4);
  EXPECT_EQ(judge_now(gate("", R"("outcome":"failure")"), false).exit_code(), 1);
}

TEST_F(GatesTest, TheFloorIsHeldAgainstWhatTheGuardSawOfTheMachine) {
  answer(now_, 0);
  now_.data.run.machine = R"({"memory_bytes":8000000000})";
  const std::string keeps = gate("peak_memory", R"("floor":6900000000)");
  const std::string breaks = gate("peak_memory", R"("floor":7100000000)");
  const Verdict unseen = judge_now(keeps);
  EXPECT_EQ(unseen.gates[0].decision, Decision::kInconclusive) << "the worker's own is not it";
  EXPECT_THAT(unseen.gates[0].reason, HasSubstr("no guard watched the cell"));
  now_.launch("ok").sample("peak_machine_memory", 1e9).sample("peak_memory", 5e9);
  EXPECT_EQ(judge_now(keeps).decision, Decision::kPass);
  const Verdict verdict = judge_now(breaks);
  EXPECT_EQ(verdict.exit_code(), 1);
  EXPECT_EQ(gate_name(verdict.gates[0].gate), "peak_machine_memory");
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("breaks ≤ 858 MiB"));
  now_.launch("ok").sample("peak_machine_memory", 2e9);
  EXPECT_EQ(judge_now(keeps).decision, Decision::kFail) << "the fullest launch counts";
  now_.data.cells[0].settings = R"({"profile":{"memory_floor":5000000000}})";
  EXPECT_EQ(judge_now(breaks).decision, Decision::kPass) << "the cell's own floor";
}

TEST_F(GatesTest, AGpuWithItsOwnMemoryIsHeldAgainstTheFloor) {
  answer(now_, 0);
  now_.data.run.machine = R"({"memory_bytes":8000000000})";
  now_.data.cells[0].settings = R"({"profile":{"engine":{"device":"cuda"}}})";
  const std::string four = gate("peak_memory", R"("floor":4000000000)");
  const std::string six = gate("peak_memory", R"("floor":6000000000)");
  now_.launch("ok").sample("peak_machine_memory", 7e9);
  const Verdict unknown = judge_now(four);
  EXPECT_EQ(unknown.gates[0].decision, Decision::kInconclusive) << "nothing is known of its GPU";
  EXPECT_EQ(gate_name(unknown.gates[0].gate), "device_memory");
  now_.launch("ok").sample("device_memory", 75e9).sample("device_capacity", 80e9);
  EXPECT_EQ(judge_now(four).decision, Decision::kPass);
  EXPECT_EQ(judge_now(six).decision, Decision::kFail);
}

TEST_F(GatesTest, AGpuThatSharesTheMachinesMemoryIsPartOfIt) {
  answer(now_, 0);
  now_.data.run.machine = R"({"memory_bytes":128000000000})";
  now_.data.cells[0].settings = R"({"profile":{"engine":{"device":"cuda"}}})";
  now_.launch("ok").sample("device_memory", 100e9).sample("peak_machine_memory", 120e9);
  EXPECT_EQ(judge_now(gate("peak_memory", R"("floor":6000000000)")).decision, Decision::kPass);
  EXPECT_EQ(judge_now(gate("peak_memory", R"("floor":9000000000)")).decision, Decision::kFail);
}

TEST_F(GatesTest, AgainstABaselineALossMustBeShownToFail) {
  answer(base_, 0, 5);
  answer(now_, 0, 5, 1.2);
  const Verdict slower = judge_now(not_worse("ttft", 0.03));
  ASSERT_EQ(slower.gates.size(), 1u);
  EXPECT_EQ(slower.gates[0].suite, "needle");
  EXPECT_EQ(slower.gates[0].decision, Decision::kFail);
  EXPECT_THAT(slower.gates[0].reason,
              AllOf(HasSubstr("+20.0 %"), HasSubstr("of `green` (run base-run)"),
                    HasSubstr("shown to be worse"), HasSubstr("5 and 5 launches")));
  EXPECT_THAT(slower.gates[0].bound, HasSubstr("3 % worse than green"));
  EXPECT_EQ(slower.exit_code(), 1);
  EXPECT_EQ(judge_now(not_worse("ttft", 0.25)).decision, Decision::kPass);
  // More tokens per second are better: the same times the other way round.
  EXPECT_EQ(judge_now(not_worse("prefill_rate", 0.03)).decision, Decision::kFail);
  EXPECT_EQ(judge_now(not_worse("prefill_rate", 0.25)).decision, Decision::kPass);
  EXPECT_EQ(judge_now(not_worse("decode_rate", 0.0)).decision, Decision::kPass);
}

TEST_F(GatesTest, OneLaunchASideLeavesASmallLossOpen) {
  answer(base_, 0);
  answer(now_, 0, 1, 1.08);
  const Verdict verdict = judge_now(not_worse("ttft", 0.03));
  EXPECT_EQ(verdict.gates[0].decision, Decision::kInconclusive) << verdict.gates[0].reason;
  EXPECT_THAT(verdict.gates[0].remark, HasSubstr("repeat both runs"));
  EXPECT_EQ(verdict.exit_code(), 4);
}

TEST_F(GatesTest, ScoresAreHeldAgainstTheBaselineCaseByCase) {
  answer(base_, 0);
  answer(now_, 9);
  EXPECT_EQ(judge_now(not_worse("exact", 0)).decision, Decision::kFail);
  EXPECT_EQ(judge_now(not_worse("exact", 0.05)).decision, Decision::kFail);
  EXPECT_EQ(judge_now(not_worse("exact", 0.4)).decision, Decision::kPass);
  ExampleRun worse_base(kCases);
  worse_base.data.run.id = "base-run";
  answer(worse_base, 9);
  base_ = worse_base;
  EXPECT_EQ(judge_now(not_worse("exact", 0)).decision, Decision::kPass);
}

TEST_F(GatesTest, ManyGatesAreAdjustedTogether) {
  answer(base_, 0);
  answer(now_, 6);  // p = 1/64 one-sided: shown alone, not among four
  const std::string one = not_worse("exact", 0);
  EXPECT_EQ(judge_now(one).gates[0].decision, Decision::kFail);
  const Verdict four = judge_now(one + "," + one + "," + one + "," + one);
  EXPECT_EQ(four.gates[0].decision, Decision::kInconclusive);
}

// A text of 50 tokens in which token 20 is likelier than the one that stands there by `lead` nats.
std::string example_trace(double lead) {
  TraceBuilder builder;
  std::vector<Trace::Position> prompt = {{builder.entry(0, "t0"), {}, {}}};
  for (int i = 1; i < 50; ++i) {
    const int here = builder.entry(i, "t" + std::to_string(i)), other = builder.entry(99, "t99");
    const double p = i == 20 ? -1 - lead : -1;
    prompt.push_back({here, p, {{here, p}, {other, -1.5}}});
  }
  Trace trace = builder.take();
  trace.prompt = std::move(prompt);
  return trace_to_json(trace_from_json(trace_to_json(trace), "sorted"));
}

TEST_F(GatesTest, TracesAreHeldAgainstTheBaselineTokenByToken) {
  const std::string gates =
      gate("top1_agreement", R"("baseline":"green","not_worse_by":0,"min":0.995)") + "," +
      gate("kl_divergence", R"("baseline":"green","not_worse_by":0,"max":0.001)") + "," +
      gate("perplexity_ratio", R"("baseline":"green","not_worse_by":0,"max":1.01)");
  answer(base_, 0);
  answer(now_, 0);
  for (StoredAttempt& attempt : base_.data.attempts) attempt.trace = example_trace(0);
  EXPECT_EQ(judge_now(gates).decision, Decision::kInconclusive) << "nothing to compare";
  for (StoredAttempt& attempt : now_.data.attempts) attempt.trace = example_trace(0);
  const Verdict same = judge_now(gates);
  ASSERT_EQ(same.gates.size(), 3u);
  for (const GateResult& result : same.gates) {
    EXPECT_EQ(result.decision, Decision::kPass) << result.reason;
    EXPECT_THAT(result.bound, HasSubstr("against green"));
  }
  for (StoredAttempt& attempt : now_.data.attempts) attempt.trace = example_trace(1);
  const Verdict other = judge_now(gates);
  for (const GateResult& result : other.gates) {
    EXPECT_EQ(result.decision, Decision::kFail) << result.reason;
    EXPECT_THAT(result.reason, HasSubstr("breaks"));
  }
  EXPECT_THAT(other.gates[0].reason, HasSubstr("0.9796"));  // 48 of 49
}

TEST_F(GatesTest, WithoutTheBaselineTheGateSaysHowToSetOne) {
  answer(base_, 0);
  answer(now_, 0);
  const Verdict verdict = judge_now(not_worse("ttft", 0.03), false);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.gates[0].reason, AllOf(HasSubstr("no baseline `green`"),
                                             HasSubstr("ds4-sweep baseline set green RUN")));
  base_.data.attempts.clear();
  EXPECT_THAT(judge_now(not_worse("ttft", 0.03)).gates[0].reason, HasSubstr("share no case"));
}

TEST_F(GatesTest, AFailedCellFailsItsRelativeGateAndTheComparisonNamesIt) {
  answer(base_, 0);
  now_.launch("LOAD_OOM");
  now_.data.launches[0].message = "no memory";
  const Verdict verdict = judge_now(not_worse("ttft", 0.03));
  EXPECT_EQ(verdict.gates[0].decision, Decision::kFail);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("LOAD_OOM"));

  auto store = Store::open(folder_.path() / "again.db");
  base_.write(*store);
  now_.write(*store);
  const Comparison worse = compare_runs(*store, "base-run", *store, "new-run", {});
  ASSERT_EQ(worse.endings.size(), 1u);
  EXPECT_EQ(worse.endings[0].kind, "out of memory");
  EXPECT_EQ(worse.endings[0].n_cases, kCases);
  EXPECT_EQ(worse.exit_code(), 1);
  EXPECT_THAT(comparison_text(worse, false), HasSubstr("out of memory, used to finish"));
  const Comparison better = compare_runs(*store, "new-run", *store, "base-run", {});
  EXPECT_EQ(better.endings[0].change, Change::kImprovement);
  EXPECT_EQ(better.exit_code(), 0);
}

TEST_F(GatesTest, AnInterruptedRunHasLostNothing) {
  answer(base_, 0);
  now_.launch("interrupted");
  now_.attempt(0, "correct", 1);
  auto store = Store::open(folder_.path() / "results.db");
  base_.write(*store);
  now_.write(*store);
  EXPECT_TRUE(compare_runs(*store, "base-run", *store, "new-run", {}).endings.empty());
}

}  // namespace
}  // namespace ds4::reports
