// Picking a cell: bounds, frontier, ties that cannot be told apart, and what the losers lose.
#include "reports/pick/pick.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kCases = 40;

// Cells of one run, each with its own quality, memory and decode rate.
class PickTest : public testing::Test {
 protected:
  PickTest() { run_.data.cells.clear(); }

  void add(const std::string& key, int n_wrong, double gib, double decode, int64_t context = 8192) {
    CellRow cell = cell_;
    cell.key = cell.label = key;
    cell.ordinal = static_cast<int>(run_.data.cells.size());
    cell.settings = R"({"profile":{"engine":{"context_length":)" + std::to_string(context) + "}}}";
    run_.data.cells.push_back(cell);
    LaunchRow launch;
    launch.cell_key = key;
    launch.number = 1;
    launch.outcome = "ok";
    run_.data.launches.push_back(launch);
    run_.data.launch_samples.push_back({key, 1, {"peak_memory", gib * (1 << 30), 1, ""}});
    for (int i = 0; i < kCases; ++i) {
      StoredAttempt& attempt =
          i < n_wrong ? run_.attempt(i, "wrong", 0) : run_.attempt(i, "correct", 1);
      attempt.cell_key = key;
      attempt.launch = 1;
      const double spread = 1 + 0.02 * (i * 7 % kCases) / kCases;
      attempt.events = {{0.5, 1}, {0.5 + 100 / decode * spread, 100}};
    }
  }
  Pick pick(Need need = {}) { return pick_cell(run_.data, need); }
  static std::string winner(const Pick& pick) {
    return pick.winner ? pick.candidates[*pick.winner].cell.label : "";
  }

  ExampleRun run_{kCases};
  const CellRow cell_ = ExampleRun(kCases).data.cells[0];
};

TEST_F(PickTest, ThePreferredDecidesWhereItCanBeToldApart) {
  add("fast", 10, 4, 40);
  add("good", 0, 4, 20);
  add("small", 10, 2, 20);
  EXPECT_EQ(winner(pick()), "fast");
  EXPECT_EQ(winner(pick({.prefer = Criterion::kQuality})), "good");
  EXPECT_EQ(winner(pick({.prefer = Criterion::kMemory})), "small");
  const Pick found = pick();
  EXPECT_TRUE(found.candidates[1].on_frontier);
  EXPECT_THAT(found.reasons.at(0), HasSubstr("3 of 3 cells meet the need, 3 on the frontier"));
  EXPECT_THAT(found.reasons.at(1), HasSubstr("decode: best is fast; 2 shown to be worse"));
  const PickDifference& decode = found.candidates[1].against_pick.at(Criterion::kDecode);
  EXPECT_NEAR(*decode.change, -0.5, 0.01);
  EXPECT_TRUE(decode.separable);
  EXPECT_NEAR(*found.candidates[1].against_pick.at(Criterion::kQuality).change, 0.25, 1e-9);
}

TEST_F(PickTest, WhatCannotBeToldApartIsDecidedByTheNext) {
  add("bit-faster", 10, 4, 20.6);
  add("good", 0, 4.01, 20);
  const Pick found = pick();
  EXPECT_EQ(winner(found), "good") << "3 % are within what launches differ by";
  EXPECT_THAT(found.reasons.at(1), HasSubstr("none of the other 1 is separable"));
  EXPECT_THAT(pick_text(found), HasSubstr("decode +3.0 % (not separable)"));
  EXPECT_EQ(winner(pick({.prefer = Criterion::kDecode, .launch_noise = 0.001})), "bit-faster");
}

TEST_F(PickTest, BoundsComeBeforePreferences) {
  add("fast", 10, 4, 40, 4096);
  add("good", 1, 5, 20);
  EXPECT_EQ(winner(pick({.context = 8000})), "good");
  EXPECT_EQ(winner(pick({.min_quality = {{"needle", 0.9}}})), "good");
  EXPECT_EQ(winner(pick({.max_memory = int64_t{4500} << 20, .prefer = Criterion::kQuality})),
            "fast");
  const Pick tight = pick({.min_quality = {{"needle", 0.9}}});
  EXPECT_THAT(tight.candidates[0].unfit, HasSubstr("needle 0.750"));
  EXPECT_THAT(tight.candidates[1].remark, HasSubstr("reaches below 0.900"));
  const Pick none = pick({.context = 1 << 20});
  EXPECT_FALSE(none.winner.has_value());
  EXPECT_EQ(none.exit_code(), 1);
  EXPECT_THAT(pick_text(none), AllOf(HasSubstr("# No cell of run"), HasSubstr("context of 8192")));
  EXPECT_THROW(pick({.min_quality = {{"nedle", 0.9}}}), Error);
}

TEST_F(PickTest, ADominatedOrUnfinishedCellIsNeverPicked) {
  add("worse", 10, 5, 20);
  add("best", 0, 4, 40);
  add("broken", 0, 1, 90);
  run_.data.attempts.erase_if(
      [](const StoredAttempt& a) { return a.cell_key == "broken" && a.case_id == "c7"; });
  run_.data.launches.back().outcome = "PREFILL_OOM";
  for (const Criterion prefer :
       {Criterion::kDecode, Criterion::kPrefill, Criterion::kQuality, Criterion::kMemory}) {
    EXPECT_EQ(winner(pick({.prefer = prefer})), "best");
  }
  const Pick found = pick();
  EXPECT_FALSE(found.candidates[0].on_frontier);
  EXPECT_THAT(found.candidates[2].unfit, HasSubstr("39 of 40 cases answered (PREFILL_OOM)"));
}

TEST_F(PickTest, EveryLineOfTheTextIsACommentAndJsonSaysTheSame) {
  add("a\nb", 0, 4, 40);
  add("c", 3, 2, 20);
  const Pick found = pick();
  std::istringstream lines(pick_text(found));
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(line.substr(0, 1), "#") << line;
  const auto json = nlohmann::json::parse(pick_json(found, "name = \"x\"\n"));
  EXPECT_EQ(json.at("format"), "ds4-pick-1");
  EXPECT_EQ(json.at("pick"), "a\nb");
  EXPECT_EQ(json.at("profile"), "name = \"x\"\n");
  EXPECT_TRUE(json.at("cells").at(1).at("against_pick").at("decode").at("separable"));
}

}  // namespace
}  // namespace ds4::reports
