// The shipped traces through the rules of a running guard.
#include "runners/guard/replay.h"

#include <gmock/gmock.h>

#include "tests/support/source_dir.h"

namespace ds4::runners::guard {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

std::optional<Verdict> replay_of(const char* name, int64_t floor = 6 * kGiB) {
  Limits limits;
  limits.floor_bytes.fill(floor);
  return replay(read_trace(test_support::source_dir() / "tests/data/guard" / name), limits);
}

TEST(GuardReplay, ACollapseIsEndedBeforeTheHardFloor) {
  const auto verdict = replay_of("collapse.jsonl");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kHard);
  EXPECT_EQ(verdict->rule, Rule::kTimeToFloor);
  EXPECT_EQ(verdict->hard_rule, Rule::kTimeToFloor);
  EXPECT_EQ(verdict->phase, Phase::kLoad);
  EXPECT_GT(verdict->value_bytes, 6 * kGiB) << "told to end while above the floor";
  EXPECT_NEAR(verdict->rate_bytes_s, -26.5 / 9 * kGiB, 0.01 * kGiB);
}

TEST(GuardReplay, ASlowLeakIsToldAtTheFloor) {
  const auto verdict = replay_of("slow_leak.jsonl");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->rule, Rule::kTimeToFloor);
  EXPECT_NEAR(static_cast<double>(verdict->value_bytes), 6.0 * kGiB, 0.01 * kGiB);
  EXPECT_EQ(verdict->phase, Phase::kDecode);
}

TEST(GuardReplay, PageCachePressureDoesNotFire) {
  EXPECT_FALSE(replay_of("page_cache.jsonl"));
  EXPECT_FALSE(replay_of("page_cache.jsonl", 50 * kGiB));
  // The trace can fire: a floor above what is available does.
  EXPECT_TRUE(replay_of("page_cache.jsonl", 120 * kGiB));
}

TEST(GuardReplay, ATargetThatIgnoresTermIsKilledAfterTheGrace) {
  const auto verdict = replay_of("deaf_target.jsonl");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->rule, Rule::kFloor);
  EXPECT_EQ(verdict->action, Action::kHard);
  EXPECT_EQ(verdict->hard_rule, Rule::kGrace);
}

TEST(GuardReplay, ATargetThatListensIsNotKilled) {
  const auto verdict = replay_of("listening_target.jsonl");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kSoft);
  EXPECT_NEAR(verdict->reaction_s, 0.8, 0.05);
  EXPECT_TRUE(explain(*verdict).ends_with("told to end, it ended"));
}

TEST(GuardReplay, AHealthyLoadIsLeftAlone) {
  EXPECT_FALSE(replay_of("healthy_load.jsonl"));
}

TEST(GuardReplay, ThrashingWhileTightIsTold) {
  const auto verdict = replay_of("thrash.jsonl");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->rule, Rule::kThrash);
  EXPECT_EQ(
      explain(*verdict),
      "memory was tight and the whole machine waited for it in decode: 7.00 GiB available, the "
      "floor is 6.00 GiB; told to end");
  EXPECT_FALSE(replay_of("thrash.jsonl", 3 * kGiB)) << "not tight with a lower floor";
}

}  // namespace
}  // namespace ds4::runners::guard
