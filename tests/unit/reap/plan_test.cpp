// Plans: which experts stay, and plan files that are not what they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/hash.h"
#include "tests/unit/reap/fixtures.h"

namespace ds4::reap {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Observation observation_of(std::vector<std::vector<double>> sums) {
  Observation observation{.origin = {.identity = "i",
                                     .sha256 = "s",
                                     .calibration = "c.jsonl",
                                     .calibration_sha256 = "cs"},
                          .experts_per_token = 2,
                          .sequence_tokens = 8,
                          .complete = true,
                          .blocks = {}};
  for (size_t i = 0; i < sums.size(); ++i) {
    observation.blocks.push_back({.block = "layers." + std::to_string(i),
                                  .hashed = false,
                                  .sums = sums[i],
                                  .counts = std::vector<int64_t>(sums[i].size(), 1)});
  }
  return observation;
}

TEST(Plan, RanksByTheMeanNotTheSum) {
  Observation observation = observation_of({{30, 8, 9, 1}});
  observation.blocks[0].counts = {10, 1, 2, 1};  // means 3, 8, 4.5, 1
  const Plan plan = make_plan(observation, 2);
  EXPECT_THAT(plan.blocks[0].kept, ElementsAre(1, 2));
  EXPECT_THAT(plan.blocks[0].scores, ElementsAre(3, 8, 4.5, 1));
}

TEST(Plan, EqualScoresKeepTheLowerId) {
  EXPECT_THAT(make_plan(observation_of({{2, 5, 2, 5, 2}}), 3).blocks[0].kept, ElementsAre(0, 1, 3));
  EXPECT_THAT(make_plan(observation_of({{1, 1, 1, 1}}), 2).blocks[0].kept, ElementsAre(0, 1));
}

TEST(Plan, AnExpertThatNoTokenChoseScoresZero) {
  Observation observation = observation_of({{5, 0, 1, 2}});
  observation.blocks[0].counts[1] = 0;
  EXPECT_THAT(make_plan(observation, 3).blocks[0].kept, ElementsAre(0, 2, 3));
  EXPECT_THAT(make_plan(observation, 4).blocks[0].kept, ElementsAre(0, 1, 2, 3));
}

TEST(Plan, ABlockOfFewerExpertsKeepsAll) {
  const Plan plan = make_plan(observation_of({{1, 2, 3, 4}, {1, 2, 3}}), 4);
  EXPECT_THAT(plan.blocks[1].kept, ElementsAre(0, 1, 2));
}

TEST(Plan, AnUnobservedBlockNeedsAStatedRule) {
  Observation observation = observation_of({{1, 2, 3}, {0, 0, 0}});
  observation.blocks[1].block = "mtp.0";
  observation.blocks[1].counts = {0, 0, 0};
  EXPECT_THAT(message_of([&] { make_plan(observation, 2); }), HasSubstr("--as mtp.0=layers.0"));
  const Plan plan = make_plan(observation, 2, {{"mtp.0", "layers.0"}});
  EXPECT_EQ(plan.blocks[1].rule, "as layers.0");
  EXPECT_THAT(plan.blocks[1].kept, ElementsAre(1, 2));
  EXPECT_THAT(message_of([&] {
                make_plan(observation, 2, {{"layers.0", "mtp.0"}});
              }),
              HasSubstr("was observed"));
  EXPECT_THAT(message_of([&] {
                make_plan(observation, 2, {{"mtp.1", "layers.0"}});
              }),
              HasSubstr("mtp.1"));
}

TEST(Plan, RefusesWhatCannotBe) {
  const Observation observation = observation_of({{1, 2, 3}});
  EXPECT_THAT(message_of([&] { make_plan(observation, 1); }), HasSubstr("each token takes 2"));
  EXPECT_THAT(message_of([&] { make_plan(observation, 4); }), HasSubstr("the largest block has 3"));
  Observation half = observation;
  half.complete = false;
  EXPECT_THAT(message_of([&] { make_plan(half, 2); }), HasSubstr("not complete"));
}

TEST(Plan, TheFileGivesThePlanBack) {
  const weights::TemporaryFolder folder;
  const Observation observation = observation_of({{0.1, 1.0 / 3, 1e-300, 7e200}});
  const Plan plan = make_plan(observation, 2);
  EXPECT_EQ(plan.observation_sha256, sha256_hex(observation_text(observation)));
  weights::write_text(folder.path() / "plan.json", plan_text(plan));
  EXPECT_EQ(plan_text(read_plan(folder.path() / "plan.json")), plan_text(plan));
  weights::write_text(folder.path() / "observation.json", observation_text(observation));
  EXPECT_EQ(observation_text(read_observation(folder.path() / "observation.json")),
            observation_text(observation));
}

struct Damage {
  const char* what;
  void (*apply)(nlohmann::json&);
  const char* named;
};

void PrintTo(const Damage& damage, std::ostream* out) {
  *out << damage.what;
}

class PlanFileRefuses : public testing::TestWithParam<Damage> {};

TEST_P(PlanFileRefuses, NamingFileAndKey) {
  const weights::TemporaryFolder folder;
  auto object =
      nlohmann::json::parse(plan_text(make_plan(observation_of({{1, 2, 3}, {3, 2, 1}}), 2)));
  GetParam().apply(object);
  const auto path = folder.path() / "plan.json";
  weights::write_text(path, object.dump());
  const std::string error = message_of([&] { read_plan(path); });
  EXPECT_THAT(error, HasSubstr("plan.json"));
  EXPECT_THAT(error, HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, PlanFileRefuses,
    testing::Values(
        Damage{"a list",
               [](nlohmann::json& o) {
                 o = {1, 2};
               },
               "no JSON object"},
        Damage{"another format", [](nlohmann::json& o) { o["format"] = "ds4-reap-plan-9"; },
               "format"},
        Damage{"no keep", [](nlohmann::json& o) { o.erase("keep"); }, "`keep`"},
        Damage{"keep as text", [](nlohmann::json& o) { o["keep"] = "2"; }, "`keep`"},
        Damage{"a huge keep", [](nlohmann::json& o) { o["keep"] = UINT64_MAX; }, "`keep`"},
        Damage{"keep that the lists contradict", [](nlohmann::json& o) { o["keep"] = 1; },
               "`keep` is 1"},
        Damage{"no blocks", [](nlohmann::json& o) { o["blocks"] = nlohmann::json::array(); },
               "`blocks`"},
        Damage{"blocks of numbers",
               [](nlohmann::json& o) {
                 o["blocks"] = {1, 2};
               },
               "`blocks` 0"},
        Damage{"a block twice", [](nlohmann::json& o) { o["blocks"][1]["block"] = "layers.0"; },
               "repeats the block layers.0"},
        Damage{"an expert twice",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {1, 1};
               },
               "ascend"},
        Damage{"descending ids",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {2, 1};
               },
               "ascend"},
        Damage{"a negative id",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {-1, 1};
               },
               "`kept`"},
        Damage{"an id beyond",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {1, 3};
               },
               "`kept`"},
        Damage{"an id of 2^64 - 1",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {1, UINT64_MAX};
               },
               "`kept`"},
        Damage{"a fraction",
               [](nlohmann::json& o) {
                 o["blocks"][0]["kept"] = {0.5, 1};
               },
               "`kept`"},
        Damage{"no scores",
               [](nlohmann::json& o) { o["blocks"][0]["scores"] = nlohmann::json::array(); },
               "`scores`"},
        Damage{"a score that is null",
               [](nlohmann::json& o) { o["blocks"][0]["scores"][0] = nullptr; }, "`scores`"},
        Damage{"a negative score", [](nlohmann::json& o) { o["blocks"][0]["scores"][0] = -1; },
               "`scores`"}));

TEST(Plan, TextThatIsNoJson) {
  const weights::TemporaryFolder folder;
  const auto path = folder.path() / "plan.json";
  for (const char* text : {"", "{", "\xff\xfe", "{\"format\": \"ds4-reap-plan-1\"} x"}) {
    weights::write_text(path, text);
    EXPECT_THAT(message_of([&] { read_plan(path); }), HasSubstr("plan.json")) << text;
  }
}

}  // namespace
}  // namespace ds4::reap
