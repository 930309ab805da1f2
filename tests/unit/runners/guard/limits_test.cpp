// [guard] of a profile: what it may say, what it means on a machine, and that it travels in a cell.
#include "runners/guard/limits.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/schema/plan.h"
#include "tests/support/command.h"

namespace ds4::runners::guard {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

class GuardLimits : public ::testing::Test {
 protected:
  profiles::Profile profile(const std::string& text,
                            const std::vector<std::string>& overrides = {}) const {
    write_file_atomic(folder_ / "p.toml",
                      "target = \"null\"\n" + text + "\n[[suite]]\nname = \"smoke\"\n");
    return profiles::load_profile(folder_ / "p.toml", overrides);
  }
  std::string complaint(const std::string& text) const {
    try {
      profile(text);
    } catch (const Error& e) {
      return std::string(e.what()) + " " + e.hint();
    }
    return "";
  }

  test_support::TemporaryFolder folder_;
};

TEST_F(GuardLimits, DefaultsSuitTheMachine) {
  const Limits small = limits_of(profile(""), 8 * kGiB);
  EXPECT_EQ(small.floor(Phase::kLoad), 8 * kGiB / 20);
  EXPECT_EQ(small.floor(Phase::kTeardown), 8 * kGiB / 40);
  const Limits spark = limits_of(profile(""), 121 * kGiB + kGiB / 2);
  EXPECT_EQ(spark.floor(Phase::kPrefill), 6 * kGiB);
  EXPECT_EQ(spark.hard_floor(Phase::kPrefill), 6 * kGiB / 4 * 3);
}

TEST_F(GuardLimits, TheNearestFloorCounts) {
  EXPECT_EQ(limits_of(profile("[limits]\nmemory_floor = \"2GiB\""), 64 * kGiB).floor(Phase::kLoad),
            2 * kGiB);
  const Limits limits = limits_of(
      profile("[limits]\nmemory_floor = \"2GiB\"\n[guard]\nfloor = \"4GiB\"\nrate = 20\n"
              "reaction = \"250ms\"\ngrace = 2\nfloors = { load = \"8GiB\", teardown = \"1GiB\" }"),
      64 * kGiB);
  EXPECT_EQ(limits.floor(Phase::kDecode), 4 * kGiB);
  EXPECT_EQ(limits.floor(Phase::kLoad), 8 * kGiB);
  EXPECT_EQ(limits.floor(Phase::kTeardown), 1 * kGiB);
  EXPECT_EQ(limits.rate_hz, 20);
  EXPECT_EQ(limits.reaction_s, 0.25);
  EXPECT_EQ(limits.grace_s, 2);
}

TEST_F(GuardLimits, EveryPhaseHasAKey) {
  for (int i = 0; i < kPhases; ++i) {
    const std::string phase(name(static_cast<Phase>(i)));
    EXPECT_EQ(complaint("[guard]\nfloors = { " + phase + " = \"1GiB\" }"), "");
  }
}

TEST_F(GuardLimits, MistakesAreNamedByLineAndKey) {
  EXPECT_THAT(complaint("[guard]\nflor = 5"), HasSubstr("p.toml:3: unknown key `flor`"));
  EXPECT_THAT(complaint("[guard]\nflor = 5"), HasSubstr("`floor`"));
  EXPECT_THAT(complaint("[guard]\nfloor = 0"), HasSubstr("guard.enabled"));
  EXPECT_THAT(complaint("[guard]\nrate = 1"), HasSubstr("from 5 to 50"));
  EXPECT_THAT(complaint("[guard]\nreaction = \"soon\""), HasSubstr("guard.reaction"));
  EXPECT_THAT(complaint("[guard]\ngrace = 0"), HasSubstr("more than 0"));
  EXPECT_THAT(complaint("[guard]\nfloors = { lunch = 5 }"), HasSubstr("lunch"));
  EXPECT_THAT(complaint("[guard]\ntarget = \"server\""), HasSubstr("pid:1234"));
  EXPECT_THAT(complaint("guard = 5"), HasSubstr("guard"));
}

TEST_F(GuardLimits, SetAndCellKeepIt) {
  const auto plan =
      profiles::make_plan(profile("[guard]\ntarget = \"pid:77\"\nfloors = { load = \"3GiB\" }",
                                  {"guard.floor=5GiB", "guard.enabled=false"}));
  const profiles::Cell cell = profiles::cell_from_json(profiles::cell_to_json(plan.cells.at(0)));
  EXPECT_FALSE(cell.profile.guard.enabled);
  EXPECT_EQ(cell.profile.guard.floor, 5 * kGiB);
  EXPECT_EQ(cell.profile.guard.floors.at("load"), 3 * kGiB);
  EXPECT_EQ(cell.profile.guard.target, "pid:77");
  EXPECT_EQ(plan.cells.at(0).key, profiles::make_plan(profile("")).cells.at(0).key)
      << "no part of what is measured";
}

}  // namespace
}  // namespace ds4::runners::guard
