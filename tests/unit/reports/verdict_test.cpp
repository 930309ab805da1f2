// The rule of docs/method.md, case by case.
#include "reports/verdict/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;

Verdict judge_with(ExampleRun& run, const std::string& gates) {
  run.data.run.resolved_profile = example_profile(gates);
  return judge(run.data, judging_of(run.data.run));
}

// A finished run of `right` + `wrong` + `invalid` cases.
ExampleRun finished(int right, int wrong, int invalid = 0) {
  ExampleRun run(right + wrong + invalid);
  run.launch("ok").sample("peak_memory", 1e9);
  int i = 0;
  for (int k = 0; k < right; ++k) run.attempt(i++, "correct", 1);
  for (int k = 0; k < wrong; ++k) run.attempt(i++, "wrong", 0);
  for (int k = 0; k < invalid; ++k) run.attempt(i++, "invalid");
  return run;
}

TEST(Verdict, PassesWhenEveryGateIsKept) {
  ExampleRun run = finished(49, 1);
  const Verdict verdict = judge_with(run, example_gate(R"("min":0.98)"));
  EXPECT_EQ(verdict.decision, Decision::kPass);
  EXPECT_EQ(verdict.exit_code(), 0);
  ASSERT_EQ(verdict.gates.size(), 1u);
  EXPECT_THAT(verdict.gates[0].reason,
              HasSubstr("0.980 (95 %: 0.895 to 0.996, n = 50) keeps ≥ 0.980"));
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("reaches across the bound"));
  EXPECT_THAT(verdict.reason, HasSubstr("the gate is kept"));
}

TEST(Verdict, FailsWhenAMeasurementBreaksAGate) {
  ExampleRun run = finished(48, 2);
  const Verdict verdict =
      judge_with(run, example_gate(R"("min":0.98)") + "," + example_gate(R"("min":0.5,"max":1.0)"));
  EXPECT_EQ(verdict.decision, Decision::kFail);
  EXPECT_EQ(verdict.exit_code(), 1);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kFail);
  EXPECT_EQ(verdict.gates[1].decision, Decision::kPass);
  EXPECT_EQ(verdict.reason, "1 of 2 gates failed.");
  EXPECT_THAT(verdict.next_step, HasSubstr("ds4-sweep show aaaaaaaa needle"));
}

// Whatever random weights answer, no score of theirs decides anything; every page says why.
TEST(Verdict, SyntheticWeightsDecideNoScore) {
  for (const char* bound : {R"("min":0.98)", R"("max":0.5)"}) {
    ExampleRun run = finished(50, 0);
    run.data.run.checkpoint_identity = "synthetic-0123";
    const Verdict verdict = judge_with(run, example_gate(bound));
    EXPECT_EQ(verdict.decision, Decision::kInconclusive);
    EXPECT_EQ(verdict.exit_code(), 4);
    EXPECT_THAT(verdict.gates[0].remark, HasSubstr("speed and memory only"));
    EXPECT_THAT(verdict.reason, HasSubstr("(synthetic weights: speed and memory only)."));
  }
  ExampleRun run = finished(50, 0);
  run.data.run.checkpoint_identity = "synthetic-0123";
  const std::string gate =
      R"({"suite":"","figure":"peak_memory","tags":{},"min_n":1,"source":"p:1","max":2e9})";
  EXPECT_EQ(judge_with(run, gate).decision, Decision::kPass);

  // What probes found is the machine's, whatever the weights are.
  for (StoredAttempt& attempt : run.data.attempts) attempt.suite = "bandwidth_roofline";
  for (PlannedCase& planned : run.data.cells[0].cases) planned.suite = "bandwidth_roofline";
  const std::string of_machine =
      R"({"suite":"bandwidth_roofline","figure":"exact","tags":{},"min_n":1,"source":"p:1","min":0.5})";
  EXPECT_EQ(judge_with(run, of_machine).gates[0].decision, Decision::kPass);
}

TEST(Verdict, HoldsUpperBounds) {
  ExampleRun run = finished(1, 9);
  EXPECT_EQ(judge_with(run, example_gate(R"("max":0.05)")).decision, Decision::kFail);
  EXPECT_EQ(judge_with(run, example_gate(R"("max":0.1)")).decision, Decision::kPass);
}

TEST(Verdict, IsInconclusiveWithTooFewMeasurements) {
  ExampleRun run = finished(10, 0);
  const std::string gate =
      R"({"suite":"needle","figure":"exact","tags":{},"min_n":64,"source":"x","min":0.9})";
  const Verdict verdict = judge_with(run, gate);
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_EQ(verdict.exit_code(), 4);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("fewer than the 64 measurements"));
}

TEST(Verdict, InvalidAnswersDecideNothingTheyCouldTurn) {
  // 90 of 95 right keeps 0.9 even if all 5 invalid ones were wrong: 90/100.
  ExampleRun safe = finished(90, 5, 5);
  EXPECT_EQ(judge_with(safe, example_gate(R"("min":0.9)")).decision, Decision::kPass);
  // 90 of 90 right, but 11 invalid ones could make it 90/101.
  ExampleRun open = finished(90, 0, 11);
  const Verdict verdict = judge_with(open, example_gate(R"("min":0.9)"));
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("11 cases without a verdict could decide"));
  EXPECT_EQ(verdict.exit_code(), 4);
  // 50 of 90 right fails however the 10 invalid ones are counted.
  ExampleRun lost = finished(50, 40, 10);
  EXPECT_EQ(judge_with(lost, example_gate(R"("min":0.9)")).decision, Decision::kFail);
  // Nothing but invalid answers.
  ExampleRun none = finished(0, 0, 5);
  EXPECT_EQ(judge_with(none, example_gate(R"("min":0.9)")).decision, Decision::kInconclusive);
}

TEST(Verdict, ACrashFailsTheGateAndNamesTheOutcome) {
  ExampleRun run(10);
  run.launch("KERNEL_CRASH");
  for (int i = 0; i < 4; ++i) run.attempt(i, "correct", 1);
  const Verdict verdict = judge_with(run, example_gate(R"("min":0.5)"));
  EXPECT_EQ(verdict.decision, Decision::kFail);
  EXPECT_EQ(verdict.exit_code(), 4) << "no measurement broke the gate";
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("6 of 10 cases have no answer: the cell ended in "
                                                 "`KERNEL_CRASH` (prefill: needle/c0): killed by"));
  EXPECT_THAT(verdict.next_step, HasSubstr("resume aaaaaaaa"));
}

TEST(Verdict, AnInvalidMeasurementDecidesNoGateOfTimesButThoseOfScores) {
  const auto decide = [](const char* outcome, const std::string& figure) {
    ExampleRun run(3);
    run.launch(outcome).sample("peak_memory", 1e9);
    for (int i = 0; i < 3; ++i) run.attempt(i, "correct", 1);
    return judge_with(run, R"({"suite":"","figure":")" + figure +
                               R"(","tags":{},"min_n":1,"source":"p.toml:9","min":0.5})");
  };
  EXPECT_EQ(decide("ok", "peak_memory").decision, Decision::kPass);
  EXPECT_EQ(decide("SLOW_STATE", "exact").decision, Decision::kPass);
  const Verdict verdict = decide("SLOW_STATE", "peak_memory");
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("SLOW_STATE"));
  EXPECT_EQ(verdict.exit_code(), 4);
}

TEST(Verdict, AFailedCaseFailsItsGateByItsOwnError) {
  ExampleRun run(2);
  run.launch("ok");
  run.attempt(0, "correct", 1);
  StoredAttempt& failed = run.attempt(1, "");
  failed.status = "error";
  failed.error = "stopped after 10m 00s";
  const Verdict verdict = judge_with(run, example_gate(R"("min":0.5)"));
  EXPECT_EQ(verdict.decision, Decision::kFail);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("needle/c1: stopped after 10m 00s"));
  EXPECT_EQ(verdict.exit_code(), 4);
}

TEST(Verdict, ASecondAttemptThatWorksHealsTheFirst) {
  ExampleRun run(1);
  run.launch("KERNEL_CRASH").launch("ok");
  run.attempt(0, "").status = "error";
  run.attempt(0, "correct", 1, 2);
  EXPECT_EQ(judge_with(run, example_gate(R"("min":0.5)")).exit_code(), 0);
}

TEST(Verdict, AnInterruptedRunIsInconclusiveAndSaysResume) {
  ExampleRun run(10);
  run.launch("interrupted");
  for (int i = 0; i < 4; ++i) run.attempt(i, "correct", 1);
  const Verdict verdict = judge_with(run, example_gate(R"("min":0.5)"));
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_EQ(verdict.exit_code(), 4);
  EXPECT_THAT(verdict.next_step, HasSubstr("ds4-sweep resume aaaaaaaa measures what is missing"));
  // Unless what is missing can no longer matter.
  for (int i = 4; i < 9; ++i) run.attempt(i, "correct", 1);
  EXPECT_EQ(judge_with(run, example_gate(R"("min":0.5)")).gates[0].decision, Decision::kPass);
}

TEST(Verdict, ACellThatWasNeverRunLacksMeasurements) {
  ExampleRun run(3);
  const Verdict verdict = judge_with(run, "");
  EXPECT_EQ(verdict.decision, Decision::kInconclusive);
  EXPECT_EQ(verdict.exit_code(), 4);
  EXPECT_EQ(verdict.reason, "1 of 1 cell lacks measurements.");
}

TEST(Verdict, WithoutGatesEverythingMeasuredIsAPass) {
  ExampleRun run = finished(1, 3);
  const Verdict verdict = judge_with(run, "");
  EXPECT_EQ(verdict.decision, Decision::kPass);
  EXPECT_THAT(verdict.reason, HasSubstr("sets no gates"));
}

TEST(Verdict, MetricsOfTheWorkerNeedNoAnswers) {
  ExampleRun run(2);
  run.launch("interrupted").sample("peak_memory", 3e9);
  const std::string gate =
      R"({"suite":"","figure":"peak_memory","tags":{},"min_n":1,"source":"x","max":2e9})";
  const Verdict verdict = judge_with(run, gate);
  EXPECT_EQ(verdict.gates[0].decision, Decision::kFail);
  EXPECT_THAT(verdict.gates[0].reason, HasSubstr("breaks ≤ 1.86 GiB"));
  EXPECT_EQ(verdict.exit_code(), 1);
}

TEST(Verdict, JudgesEachCellAndSkipsCellsAGateIsNotAbout) {
  ExampleRun run = finished(2, 0);
  CellRow other = run.data.cells[0];
  other.key = "k2";
  other.label = "other";
  other.cases = {{"needle", "d0", {{"length", "2048"}}}};
  run.data.cells.push_back(other);
  LaunchRow launch = run.data.launches[0];
  launch.cell_key = "k2";
  run.data.launches.push_back(launch);
  StoredAttempt& attempt = run.attempt(0, "wrong", 0);
  attempt.cell_key = "k2";
  attempt.case_id = "d0";
  attempt.tags = {{"length", "2048"}};
  const std::string by_length =
      R"({"suite":"needle","figure":"exact","tags":{"length":"2048"},"min_n":1,"source":"x","min":0.5})";
  const Verdict verdict = judge_with(run, by_length + "," + example_gate(R"("min":0.5)"));
  ASSERT_EQ(verdict.gates.size(), 3u);
  EXPECT_EQ(verdict.gates[0].cell_key, "k2");
  EXPECT_EQ(verdict.gates[1].cell_key, "k1");
  EXPECT_EQ(verdict.gates[1].decision, Decision::kPass);
  EXPECT_EQ(verdict.gates[2].decision, Decision::kFail);
  // Tags that no cell has at all are not passed over in silence.
  const Verdict typo = judge_with(
      run,
      R"({"suite":"needle","figure":"exact","tags":{"length":"7"},"min_n":1,"source":"x","min":0})");
  ASSERT_EQ(typo.gates.size(), 1u);
  EXPECT_EQ(typo.gates[0].decision, Decision::kInconclusive);
}

TEST(Verdict, AGateWithoutASuiteMeetsEverySuiteThatGivesTheScore) {
  ExampleRun run = finished(1, 0);
  const std::string gate =
      R"({"suite":"","figure":"exact","tags":{},"min_n":1,"source":"x","min":0.5})";
  const Verdict verdict = judge_with(run, gate);
  ASSERT_EQ(verdict.gates.size(), 1u);
  EXPECT_EQ(verdict.gates[0].suite, "needle");
}

TEST(Judging, ADamagedProfileIsAnError) {
  RunRow run = example_run("r");
  for (const char* text : {"", "{}", "{\"profile\":{\"gates\":3}}"}) {
    run.resolved_profile = text;
    EXPECT_THROW(judging_of(run), Error) << text;
  }
}

}  // namespace
}  // namespace ds4::reports
