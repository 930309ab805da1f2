// The guard's verdict as JSON and back, and as a sentence.
#include "runners/guard/verdict.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace ds4::runners::guard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kGiB = int64_t{1} << 30;

Verdict killed_in_prefill() {
  Verdict v;
  v.action = Action::kHard;
  v.rule = Rule::kTimeToFloor;
  v.hard_rule = Rule::kFloor;
  v.phase = Phase::kPrefill;
  v.at = "2026-03-01T12:34:56.789Z";
  v.time_s = 12.5;
  v.limit_bytes = 6 * kGiB;
  v.value_bytes = 7 * kGiB;
  v.lowest_bytes = 5 * kGiB;
  v.rate_bytes_s = -3.0 * kGiB;
  v.reaction_s = 0.125;
  v.removed = {"psm_1234"};
  v.kept = {"sem.other"};
  v.sample = R"({"available":7516192768,"t":12.5})";
  return v;
}

TEST(GuardVerdict, JsonKeepsEveryField) {
  const Verdict v = killed_in_prefill();
  const auto back = verdict_from_json(to_json(v));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_json(*back), to_json(v));
  EXPECT_EQ(back->action, v.action);
  EXPECT_EQ(back->rule, v.rule);
  EXPECT_EQ(back->hard_rule, v.hard_rule);
  EXPECT_EQ(back->phase, v.phase);
  EXPECT_EQ(back->kept, v.kept);
  EXPECT_EQ(back->sample, v.sample);
  const auto json = nlohmann::json::parse(to_json(v));
  EXPECT_EQ(json["rule"], "time_to_floor");
  EXPECT_EQ(json["over_bytes"], kGiB);
  EXPECT_EQ(json["in_teardown"], false);
}

TEST(GuardVerdict, OtherTextsAreNone) {
  EXPECT_FALSE(verdict_from_json(""));
  EXPECT_FALSE(verdict_from_json("{}"));
  EXPECT_FALSE(verdict_from_json(R"({"format":"ds4-guard-verdict-1"})"));
  auto json = nlohmann::json::parse(to_json(killed_in_prefill()));
  json["rule"] = "whim";
  EXPECT_FALSE(verdict_from_json(json.dump()));
}

TEST(GuardVerdict, NothingOverTheLimitWhenItWasStoppedBefore) {
  Verdict v = killed_in_prefill();
  v.lowest_bytes = 6 * kGiB + 1;
  EXPECT_EQ(v.over_bytes(), 0);
  EXPECT_THAT(explain(v), Not(HasSubstr("at worst")));
}

TEST(GuardVerdict, EveryActionIsExplained) {
  Verdict v = killed_in_prefill();
  EXPECT_THAT(explain(v), HasSubstr("prefill"));
  EXPECT_THAT(explain(v), HasSubstr("the floor is 6.00 GiB"));
  EXPECT_THAT(explain(v), HasSubstr("falling by 3.00 GiB/s"));
  EXPECT_THAT(explain(v), HasSubstr("1.00 GiB under the floor"));
  v.action = Action::kSoft;
  EXPECT_THAT(explain(v), HasSubstr("told to end, it ended"));
  v.reaction_s = -1;
  EXPECT_TRUE(explain(v).ends_with("told to end")) << "nobody saw it end";
  v.action = Action::kRefused;
  EXPECT_THAT(explain(v), HasSubstr("nothing was started"));
  v.action = Action::kLost;
  EXPECT_THAT(explain(v), HasSubstr("guard was lost"));
}

TEST(GuardVerdict, PhasesHaveNamesAndBack) {
  for (int i = 0; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    EXPECT_EQ(phase_of(name(phase)), phase);
  }
  EXPECT_FALSE(phase_of("lunch"));
}

}  // namespace
}  // namespace ds4::runners::guard
