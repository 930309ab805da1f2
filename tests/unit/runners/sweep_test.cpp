// The decisions between a sweep's launches: order, what is skipped, when memory has settled, when
// the machine was slow.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "engine/base/error.h"
#include "runners/guard/limits.h"
#include "runners/sweep/domination.h"
#include "runners/sweep/observation.h"
#include "runners/sweep/order.h"
#include "runners/sweep/sentinel.h"
#include "runners/sweep/settle.h"

namespace ds4::runners::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string keys(const std::vector<reports::TurnRow>& queue) {
  std::string text;
  for (const reports::TurnRow& turn : queue) text += turn.cell_key;
  return text;
}

const std::vector<QueuedCell> kCells = {{"a", 30}, {"b", 10}, {"c", 20}, {"d", 10}};

profiles::SweepSection section(const std::string& order, int64_t repeats, uint64_t seed = 0) {
  profiles::SweepSection sweep;
  sweep.order = order;
  sweep.repeats = repeats;
  sweep.seed = seed;
  return sweep;
}

TEST(QueueOrder, AsWrittenAndByMemoryInRounds) {
  EXPECT_EQ(keys(make_queue(section("as_written", 1), kCells)), "abcd");
  EXPECT_EQ(keys(make_queue(section("memory", 2), kCells)), "bdcabdca") << "equal ones as written";
  const auto queue = make_queue(section("memory", 1), kCells);
  for (size_t i = 0; i < queue.size(); ++i) EXPECT_EQ(queue[i].ordinal, static_cast<int>(i));
  EXPECT_EQ(queue[3].need_bytes, 30);
}

TEST(QueueOrder, RandomRoundsHoldEveryCellOnceAndFollowTheSeed) {
  const std::string first = keys(make_queue(section("random", 50, 1), kCells));
  EXPECT_EQ(first, keys(make_queue(section("random", 50, 1), kCells)));
  EXPECT_NE(first, keys(make_queue(section("random", 50, 2), kCells)));
  std::map<std::string, int> seen;
  for (size_t i = 0; i < first.size(); i += 4) {
    std::string round = first.substr(i, 4);
    ++seen[round];
    std::sort(round.begin(), round.end());
    EXPECT_EQ(round, "abcd");
  }
  EXPECT_GT(seen.size(), 12u) << "rounds are drawn anew";
}

// Each of the 24 orders as often as chance has it: chi-squared with 23 degrees of freedom stays
// below 49.7 but for one seed in a thousand.
TEST(QueueOrder, RandomOrdersAreEquallyLikely) {
  std::map<std::string, int> seen;
  constexpr int kRounds = 1000;
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    const std::string all = keys(make_queue(section("random", kRounds, seed), kCells));
    for (size_t i = 0; i < all.size(); i += 4) ++seen[all.substr(i, 4)];
  }
  ASSERT_EQ(seen.size(), 24u);
  double chi = 0;
  for (const auto& [order, n] : seen) chi += (n - kRounds) * (n - kRounds) / double{kRounds};
  EXPECT_LT(chi, 49.7);
}

class DominationTest : public testing::Test {
 protected:
  DominationTest() {
    launch_.outcome = "PREFILL_OOM";
    launch_.phase = "prefill: needle/2048/a";
    small_.target = large_.target = "engine";
    memory_ = {{{"weights", 100}, {"KV rows", 50, fit::Place::kGpu}}};
    cases_ = {{"smoke", "x", {}}, {"needle", "2048/a", {{"length", "2048"}}}};
  }
  bool skipped() const {
    constexpr int64_t kMemory = int64_t{40} << 30;
    return needs_as_much({large_, large_memory_, large_cases_, guard::limits_of(large_, kMemory)},
                         {small_, memory_, cases_, guard::limits_of(small_, kMemory)}, launch_);
  }
  void same() {
    large_memory_ = memory_;
    large_cases_ = cases_;
  }

  profiles::Profile small_, large_;
  fit::Prediction memory_, large_memory_;
  std::vector<reports::PlannedCase> cases_, large_cases_;
  reports::LaunchRow launch_;
};

TEST_F(DominationTest, NeedsAsMuchInEveryOwner) {
  same();
  EXPECT_TRUE(skipped());
  large_memory_.owners[1].bytes = 49;
  EXPECT_FALSE(skipped());
  large_memory_.owners[0].bytes = 1000;
  EXPECT_FALSE(skipped()) << "more in all, less in one";
  large_memory_.owners[1].bytes = 50;
  EXPECT_TRUE(skipped());
  large_memory_.owners.push_back({"MTP weights", 7});
  EXPECT_TRUE(skipped()) << "an owner that the other has not";
  large_memory_.owners.erase(large_memory_.owners.begin());
  EXPECT_FALSE(skipped()) << "an owner that it has not";
  same();
  large_memory_.owners[1].place = fit::Place::kHost;
  EXPECT_FALSE(skipped()) << "elsewhere";
}

TEST_F(DominationTest, OnlyUnderTheSameConditions) {
  same();
  large_.engine.device = "cuda";
  EXPECT_FALSE(skipped());
  large_.engine.device = "cpu";
  large_.engine.residency = "managed";
  EXPECT_FALSE(skipped());
  large_.engine.residency = "device";
  EXPECT_TRUE(skipped());
  large_.target = "null";
  EXPECT_FALSE(skipped());
}

TEST_F(DominationTest, AGuardThatLetsMorePassMayLetTheCellFinish) {
  constexpr int64_t kGiB = int64_t{1} << 30;
  same();
  launch_.outcome = "WATCHDOG_KILL{prefill}";
  EXPECT_TRUE(skipped());
  // Each change makes one of the two laxer.
  const auto lax_then_strict = [&](auto change) {
    large_ = small_ = profiles::Profile{};
    large_.target = small_.target = "engine";
    change(large_);
    EXPECT_FALSE(skipped());
    std::swap(large_, small_);
    EXPECT_TRUE(skipped()) << "the other way round its guard acts no later";
    launch_.outcome = "PREFILL_OOM";
    EXPECT_TRUE(skipped()) << "memory itself was at its end: no guard changes that";
    std::swap(large_, small_);
    EXPECT_TRUE(skipped());
    launch_.outcome = "WATCHDOG_KILL{prefill}";
  };
  // By default a twentieth of the machine: 2 GiB.
  lax_then_strict([&](auto& profile) { profile.memory_floor = kGiB; });
  lax_then_strict([&](auto& profile) { profile.guard.floor = 2 * kGiB - 1; });
  lax_then_strict([&](auto& profile) { profile.guard.floors["prefill"] = kGiB; });
  lax_then_strict([&](auto& profile) { profile.guard.reaction_s = 0.1; });
  lax_then_strict([&](auto& profile) { profile.guard.rate_hz = 5; });
  large_ = small_;
  large_.guard.enabled = false;
  EXPECT_FALSE(skipped()) << "nothing would end it";
  large_ = small_;
  large_.memory_floor = 3 * kGiB;
  small_.guard.floor = 3 * kGiB;
  EXPECT_TRUE(skipped()) << "the floor counts, not the key that says it";
  large_.guard.floor = 2 * kGiB;
  EXPECT_FALSE(skipped());
}

TEST_F(DominationTest, AsksForPromptsAtLeastAsLong) {
  same();
  large_cases_[1] = {"needle", "4096/b", {{"length", "4096"}}};
  EXPECT_TRUE(skipped());
  large_cases_[1] = {"needle", "1024/b", {{"length", "1024"}}};
  EXPECT_FALSE(skipped());
  launch_.phase = "load";
  EXPECT_TRUE(skipped()) << "no prompt was involved";
  launch_.phase = "smoke/x, needle/2048/a";
  EXPECT_FALSE(skipped());
  launch_.phase = "smoke/x";
  EXPECT_TRUE(skipped());
  large_cases_ = {};
  EXPECT_FALSE(skipped()) << "it does not ask this";
}

TEST_F(DominationTest, WithoutAPredictionNoSettingMayBeSmaller) {
  memory_ = {};
  same();
  EXPECT_TRUE(skipped());
  const auto smaller = [&](auto change) {
    large_ = small_;
    change(large_.engine);
    const bool result = skipped();
    std::swap(large_, small_);
    EXPECT_NE(result, skipped()) << "the other way round it is the larger one";
    std::swap(large_, small_);
    small_ = large_ = profiles::Profile{};
    small_.target = large_.target = "scripted";
    return !result;
  };
  EXPECT_TRUE(smaller([](auto& engine) { engine.context_length = 1; }));
  EXPECT_TRUE(smaller([](auto& engine) { engine.prefill_chunk = 1; }));
  EXPECT_FALSE(smaller([](auto& engine) { engine.kv_dtype = "bf16"; }));
  EXPECT_FALSE(smaller([](auto& engine) { engine.index_dtype = "bf16"; }));
  EXPECT_FALSE(smaller([](auto& engine) { engine.sequences = 2; }));
  EXPECT_FALSE(smaller([](auto& engine) { engine.draft_tokens = 2; }));
  large_.checkpoint = "other";
  EXPECT_FALSE(skipped());
}

TEST(OutOfMemory, IsToldFromOtherEnds) {
  const auto end = [](const char* outcome) {
    reports::LaunchRow launch;
    launch.outcome = outcome;
    return launch;
  };
  for (const char* outcome : {"LOAD_OOM", "CAPTURE_OOM", "PREFILL_OOM", "HOST_OOM",
                              "WATCHDOG_KILL{load}", "WATCHDOG_KILL{decode}"}) {
    EXPECT_TRUE(ran_out_of_memory(end(outcome))) << outcome;
  }
  for (const char* outcome : {"ok", "crash", "killed", "timeout", "HANG", "HOST_RESET",
                              "WATCHDOG_KILL{teardown}", "interrupted"}) {
    EXPECT_FALSE(ran_out_of_memory(end(outcome))) << outcome;
  }
  EXPECT_TRUE(took_the_machine_down(end("HOST_RESET")));
  EXPECT_FALSE(took_the_machine_down(end("LOAD_OOM")));
}

// A reader that gives memory back step by step.
TEST(Settling, WaitsForTheBaselineLessItsTolerance) {
  using State = Settling::State;
  Settling settling(1000);
  settling.begin(100, 10, 50.0);
  EXPECT_EQ(settling.look(300, 50.0), State::kWaiting);
  EXPECT_EQ(settling.missing(), 700);
  EXPECT_EQ(settling.look(899, 55.0), State::kWaiting);
  EXPECT_EQ(settling.look(900, 59.0), State::kSettled);
  EXPECT_EQ(settling.look(2000, 59.5), State::kSettled);
  EXPECT_EQ(settling.missing(), 0) << "more than before is no debt";
}

TEST(Settling, GivesUpAfterItsTimeAndDoesNotWaitForTheSameAgain) {
  using State = Settling::State;
  Settling settling(1000);
  settling.begin(100, 10, 50.0);
  EXPECT_EQ(settling.look(300, 59.9), State::kWaiting);
  EXPECT_EQ(settling.look(300, 60.0), State::kTimedOut);
  EXPECT_EQ(settling.missing(), 700);
  settling.begin(100, 10, 70.0);
  EXPECT_EQ(settling.look(250, 70.0), State::kSettled) << "300 is what there is now";
  settling.begin(100, 10, 80.0);
  EXPECT_EQ(settling.look(150, 80.0), State::kWaiting) << "the next loss is waited for";
}

std::vector<probes::Sample> around(double copy_before, double gemv_before, double copy_after,
                                   double gemv_after) {
  auto samples = sentinel_samples({copy_before, gemv_before}, "before", 0);
  for (const auto& sample : sentinel_samples({copy_after, gemv_after}, "after", 9)) {
    samples.push_back(sample);
  }
  return samples;
}

TEST(SlowState, IsAReadingBelowTheBound) {
  const probes::SentinelReading best{100, 200};
  EXPECT_THAT(slow_state(around(100, 200, 100, 200), best, 0.3), IsEmpty());
  EXPECT_THAT(slow_state(around(77, 154, 77, 154), best, 0.3), IsEmpty()) << "1.299 times";
  EXPECT_THAT(slow_state(around(76, 200, 100, 200), best, 0.3), HasSubstr("the copy before"));
  EXPECT_THAT(slow_state(around(100, 200, 100, 61), best, 0.3),
              HasSubstr("the matrix-vector product after"))
      << "3.3 times slower products beside unchanged copies";
  EXPECT_THAT(slow_state(around(76, 200, 100, 61), best, 0.3), HasSubstr("3.28 times")) << "worst";
  EXPECT_THAT(slow_state({}, best, 0.3), IsEmpty()) << "no reading";
  EXPECT_THAT(slow_state(around(100, 200, 100, 0), best, 0.3), HasSubstr("product")) << "stopped";
}

TEST(SlowState, TheBestOfTheRunIsTheReference) {
  auto samples = around(10, 40, 30, 20);
  samples.push_back({"load_time", 1e9, 0, ""});
  const auto best = best_sentinel(samples);
  EXPECT_EQ(best.copy_rate, 30);
  EXPECT_EQ(best.gemv_rate, 40);
}

TEST(HostSentinel, ReadsPlausibleRates) {
  const auto reading = probes::read_host_sentinel();
  for (const double rate : {reading.copy_rate, reading.gemv_rate}) {
    EXPECT_GT(rate, 1e8);
    EXPECT_LT(rate, 1e13);
  }
}

TEST(Observation, GoesThroughAPipeUnchanged) {
  Observation sent;
  sent.machine.name = "this";
  sent.machine.description = "a \"machine\"\n";
  sent.machine.unified = true;
  sent.machine.memory = profiles::MemoryPool{int64_t{1} << 40, 3, 7};
  sent.machine.gpu = profiles::MemoryPool{5, 6, 0};
  sent.sentinel = probes::SentinelReading{1.5e10, 0.1};
  const std::string line = encode(sent);
  EXPECT_EQ(line.find('\n'), line.npos);
  const Observation got = decode_observation(line);
  EXPECT_EQ(got.machine.description, sent.machine.description);
  EXPECT_TRUE(got.machine.unified);
  EXPECT_EQ(got.machine.memory->total, int64_t{1} << 40);
  EXPECT_EQ(got.machine.memory->usable(), (int64_t{1} << 40) - 10);
  EXPECT_EQ(got.machine.gpu->held, 6);
  EXPECT_EQ(got.sentinel->gemv_rate, 0.1);
  EXPECT_THROW(decode_observation("{}"), Error);
  EXPECT_THROW(decode_observation("no JSON"), Error);
}

}  // namespace
}  // namespace ds4::runners::sweep
