// The guard's rules on samples made here: what fires, what must not, and in which order.
#include "runners/guard/rules.h"

#include <gmock/gmock.h>

#include <functional>

namespace ds4::runners::guard {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20, kGiB = int64_t{1} << 30;

Limits limits_of_floor(int64_t floor) {
  Limits limits;
  limits.floor_bytes.fill(floor);
  return limits;
}

Sample sample_at(double time_s, int64_t available) {
  Sample sample;
  sample.time_s = time_s;
  sample.phase = Phase::kPrefill;
  sample.total = 128 * kGiB;
  sample.available = available;
  return sample;
}

// The decision after each of `n` samples, a tenth of a second apart; the first that acts, with its
// number, or -1.
struct Outcome {
  int sample = -1;
  Decision decision;
};
Outcome first_action(int n, const std::function<Sample(double)>& make, const Limits& limits,
                     double soft_s = -1) {
  History history;
  for (int i = 0; i < n; ++i) {
    history.push(make(i * 0.1));
    const Decision decision = decide(history, limits, soft_s);
    if (decision.stage != Stage::kNone) return {i, decision};
  }
  return {};
}

TEST(GuardRules, PlentyOfMemoryIsLeftAlone) {
  const auto outcome = first_action(
      100, [](double t) { return sample_at(t, 20 * kGiB); }, limits_of_floor(6 * kGiB));
  EXPECT_EQ(outcome.sample, -1);
}

TEST(GuardRules, TwoReadingsUnderTheFloorAreSoftOneIsNot) {
  const Limits limits = limits_of_floor(6 * kGiB);
  const auto transient = [](double t) { return sample_at(t, t == 1.0 ? 5 * kGiB : 8 * kGiB); };
  EXPECT_EQ(first_action(30, transient, limits).sample, -1);
  const auto lasting = [](double t) { return sample_at(t, t >= 1.0 ? 5 * kGiB : 8 * kGiB); };
  const auto outcome = first_action(30, lasting, limits);
  EXPECT_EQ(outcome.sample, 11);
  EXPECT_EQ(outcome.decision.stage, Stage::kSoft);
  EXPECT_EQ(outcome.decision.rule, Rule::kFloor);
  EXPECT_EQ(outcome.decision.limit_bytes, 6 * kGiB);
}

TEST(GuardRules, TheHardFloorTakesOneReading) {
  const auto drop = [](double t) { return sample_at(t, t >= 1.0 ? 4 * kGiB : 8 * kGiB); };
  const auto outcome = first_action(30, drop, limits_of_floor(6 * kGiB));
  EXPECT_EQ(outcome.sample, 10);
  EXPECT_EQ(outcome.decision.stage, Stage::kHard);
  EXPECT_EQ(outcome.decision.rule, Rule::kFloor);
  EXPECT_EQ(outcome.decision.limit_bytes, 6 * kGiB / 4 * 3);
}

TEST(GuardRules, AFallIsStoppedBeforeTheFloor) {
  // 2.94 GiB/s, as vllm-project/vllm#54200 saw it: half a second before the floor it is 1.47 GiB
  // above.
  const auto fall = [](double t) {
    return sample_at(t, 29 * kGiB - static_cast<int64_t>(t * 2.94 * kGiB));
  };
  const Limits limits = limits_of_floor(6 * kGiB);
  const auto outcome = first_action(90, fall, limits);
  EXPECT_EQ(outcome.decision.stage, Stage::kSoft);
  EXPECT_EQ(outcome.decision.rule, Rule::kTimeToFloor);
  EXPECT_NEAR(outcome.decision.rate_bytes_s, -2.94 * kGiB, 1e6);
  const int64_t available = fall(outcome.sample * 0.1).available;
  EXPECT_LT(available, 6 * kGiB + static_cast<int64_t>(0.5 * 2.94 * kGiB));
  EXPECT_GT(available, 6 * kGiB + static_cast<int64_t>(0.3 * 2.94 * kGiB));
}

TEST(GuardRules, AFallThatStopsIsLeftAlone) {
  // Weights come in at 3 GiB/s until 9.4 GiB are left: the published K160 run on one Spark.
  const auto load = [](double t) {
    const int64_t left = 114 * kGiB - static_cast<int64_t>(t * 3 * kGiB);
    return sample_at(t, std::max(left, static_cast<int64_t>(9.4 * kGiB)));
  };
  EXPECT_EQ(first_action(400, load, limits_of_floor(6 * kGiB)).sample, -1);
}

TEST(GuardRules, AFallTooFastForAWordIsHard) {
  const auto fall = [](double t) {
    return sample_at(t, 30 * kGiB - static_cast<int64_t>(t * 100 * kGiB));
  };
  const auto outcome = first_action(10, fall, limits_of_floor(6 * kGiB));
  EXPECT_EQ(outcome.decision.stage, Stage::kHard);
  EXPECT_EQ(outcome.decision.rule, Rule::kTimeToFloor);
}

TEST(GuardRules, OnceToldOnlyTheHardStageIsLeft) {
  const auto low = [](double t) { return sample_at(t, 5 * kGiB); };
  const Limits limits = limits_of_floor(6 * kGiB);
  const auto outcome = first_action(100, low, limits, 1.0);  // told at 1 s
  EXPECT_EQ(outcome.sample, 60);
  EXPECT_EQ(outcome.decision.stage, Stage::kHard);
  EXPECT_EQ(outcome.decision.rule, Rule::kGrace);
}

TEST(GuardRules, FloorsDependOnThePhase) {
  Limits limits = limits_of_floor(6 * kGiB);
  limits.floor_bytes[static_cast<size_t>(Phase::kTeardown)] = 3 * kGiB;
  const auto in = [](Phase phase) {
    return [phase](double t) {
      Sample sample = sample_at(t, 5 * kGiB);
      sample.phase = phase;
      return sample;
    };
  };
  EXPECT_EQ(first_action(10, in(Phase::kDecode), limits).decision.stage, Stage::kSoft);
  EXPECT_EQ(first_action(10, in(Phase::kTeardown), limits).sample, -1);
}

TEST(GuardRules, PressureFiresOnlyWhenMemoryIsTight) {
  const Limits limits = limits_of_floor(6 * kGiB);
  const auto stalled = [](int64_t available, double share) {
    return [=](double t) {
      Sample sample = sample_at(t, available);
      sample.psi_full_us = static_cast<int64_t>(t * share * 1e6);
      return sample;
    };
  };
  const auto outcome = first_action(100, stalled(8 * kGiB, 0.6), limits);
  EXPECT_EQ(outcome.decision.stage, Stage::kSoft);
  EXPECT_EQ(outcome.decision.rule, Rule::kThrash);
  EXPECT_GE(outcome.sample, 20) << "two seconds of it";
  EXPECT_EQ(first_action(100, stalled(8 * kGiB, 0.2), limits).sample, -1);
  EXPECT_EQ(first_action(100, stalled(20 * kGiB, 0.9), limits).sample, -1);
}

TEST(GuardRules, SwappingOutFiresOnlyWhenMemoryIsTight) {
  const Limits limits = limits_of_floor(6 * kGiB);
  const auto swapping = [](int64_t available, double pages_s) {
    return [=](double t) {
      Sample sample = sample_at(t, available);
      sample.pages_swapped_out = static_cast<int64_t>(t * pages_s);
      return sample;
    };
  };
  EXPECT_EQ(first_action(100, swapping(8 * kGiB, 40000), limits).decision.rule, Rule::kSwapOut);
  EXPECT_EQ(first_action(100, swapping(8 * kGiB, 1000), limits).sample, -1);
  EXPECT_EQ(first_action(100, swapping(20 * kGiB, 40000), limits).sample, -1);
}

TEST(GuardRules, FreeSwapDoesNotExcuseALowFloor) {
  const auto low = [](double t) {
    Sample sample = sample_at(t, 5 * kGiB);
    sample.swap_total = sample.swap_free = 64 * kGiB;
    return sample;
  };
  EXPECT_EQ(first_action(10, low, limits_of_floor(6 * kGiB)).decision.stage, Stage::kSoft);
}

TEST(GuardRules, ThreeUnreadableSamplesEndIt) {
  const auto blind = [](double t) { return sample_at(t, t >= 1.0 ? -1 : 20 * kGiB); };
  const auto outcome = first_action(30, blind, limits_of_floor(6 * kGiB));
  EXPECT_EQ(outcome.sample, 12);
  EXPECT_EQ(outcome.decision.stage, Stage::kHard);
  EXPECT_EQ(outcome.decision.rule, Rule::kBlind);
  const auto hiccup = [](double t) { return sample_at(t, t == 1.0 ? -1 : 20 * kGiB); };
  EXPECT_EQ(first_action(30, hiccup, limits_of_floor(6 * kGiB)).sample, -1);
}

TEST(GuardRules, DriverLinesAloneDoNothing) {
  // They are logged on healthy starts, too (vllm-project/vllm#56824).
  const auto lines = [](double t) {
    Sample sample = sample_at(t, 8 * kGiB);
    sample.nvrm_lines = static_cast<int64_t>(t * 100);
    return sample;
  };
  EXPECT_EQ(first_action(100, lines, limits_of_floor(6 * kGiB)).sample, -1);
}

TEST(GuardRules, DefaultFloorSuitsSmallAndLargeMachines) {
  EXPECT_EQ(default_floor(8 * kGiB), 8 * kGiB / 20);
  EXPECT_EQ(default_floor(static_cast<int64_t>(121.69 * kGiB)), 6 * kGiB);
  EXPECT_EQ(default_floor(512 * kGiB), 6 * kGiB);
  EXPECT_LT(default_floor(7 * kGiB), 400 * kMiB);
}

TEST(GuardRules, HistoryForgetsTheOldest) {
  History history;
  for (int i = 0; i < 3 * History::kCapacity + 7; ++i) history.push(sample_at(i, i));
  EXPECT_EQ(history.size(), History::kCapacity);
  EXPECT_EQ(history.back(0).available, 3 * History::kCapacity + 6);
  EXPECT_EQ(history.back(History::kCapacity - 1).available, 2 * History::kCapacity + 7);
}

}  // namespace
}  // namespace ds4::runners::guard
