// A sweep run as three shards and joined, beside the same sweep run whole.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSweep = R"([[suite]]
name = "smoke"

[[gate]]
suite = "smoke"
score = "normalised"
min = 0.05

[sweep]
"engine.prefill_chunk" = [64, 128, 256]
"engine.kv_dtype" = ["fp8", "bf16"]
)";

CommandResult run_shard(const Sweep& sweep, int shard, const std::string& db) {
  return run_command({DS4_SWEEP_BINARY, "run", sweep.profile(), "--shard",
                      std::to_string(shard) + "/3", "--no-progress", "--db", sweep.folder() / db});
}

CommandResult merge(const Sweep& sweep, const std::vector<std::string>& databases) {
  std::vector<std::string> command = {DS4_SWEEP_BINARY, "merge"};
  for (const std::string& name : databases) command.push_back(sweep.folder() / name);
  command.push_back("--json");
  return run_command(command);
}

json report(const Sweep& sweep, const std::string& db) {
  const CommandResult result = run_command({DS4_SWEEP_BINARY, "report", "latest", "--format",
                                            "json", "-o", "-", "--db", sweep.folder() / db});
  return json::parse(result.out);
}

// What a report says that does not depend on the clock.
json timeless(const json& report) {
  json cells = json::array(), figures = json::array();
  for (json cell : report.at("cells")) {
    cell.erase("seconds");
    cells.push_back(cell);
  }
  for (json figure : report.at("figures")) {
    figure.erase("attempts");
    if (figure.at("kind") != "score") {
      for (const char* measured : {"value", "lo", "hi"}) figure.erase(measured);
    }
    figures.push_back(figure);
  }
  return {{"cells", cells}, {"figures", figures}, {"decision", report["verdict"]["decision"]}};
}

TEST(Fleet, ThreeShardsJoinedReportAsOneRun) {
  const Sweep sweep(R"({"rules": [{"contains": "capital", "text": "Paris"}, {"text": "OK"}]})",
                    kSweep);
  const CommandResult whole = sweep.run();
  for (int shard = 1; shard <= 3; ++shard) {
    const CommandResult part = run_shard(sweep, shard, "s" + std::to_string(shard) + ".db");
    EXPECT_EQ(part.exit_code, whole.exit_code) << part.err;  // a shard is judged by its own cells
  }
  const CommandResult merged = merge(sweep, {"all.db", "s3.db", "s1.db", "s2.db"});
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  EXPECT_TRUE(json::parse(merged.out).at("sweeps").at(0).at("missing").empty());
  EXPECT_EQ(timeless(report(sweep, "all.db")), timeless(report(sweep, "results.db")));
  EXPECT_EQ(report(sweep, "all.db").at("cells").size(), 6u);
}

TEST(Fleet, ResumeRunsTheCellsOfALostShard) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kSweep);
  run_shard(sweep, 1, "s1.db");
  run_shard(sweep, 3, "s3.db");
  ASSERT_EQ(merge(sweep, {"results.db", "s1.db", "s3.db"}).exit_code, 0);
  EXPECT_NE(report(sweep, "results.db").at("verdict").at("decision"), "pass");
  sweep.resume();
  EXPECT_EQ(sweep.answered().size(), 6u * 20u);
  // The shard turns up after all: its cells were measured meanwhile.
  run_shard(sweep, 2, "s2.db");
  const CommandResult late = merge(sweep, {"results.db", "s2.db"});
  EXPECT_EQ(late.exit_code, 2);
  EXPECT_THAT(late.err, HasSubstr("measured twice"));
}

TEST(Fleet, WhatIsNoShardIsRefusedBeforeAnythingRuns) {
  const Sweep sweep("{}", kSweep);
  for (const char* shard : {"0/3", "4/3", "3", "a/b", "1/", "7/7", "1/3 "}) {
    const CommandResult result =
        run_command(sweep.command({"run", sweep.profile(), "--shard", shard}));
    EXPECT_EQ(result.exit_code, 2) << shard;
    EXPECT_THAT(result.err, HasSubstr("hard")) << shard;
  }
  EXPECT_FALSE(sweep.begun());
}

}  // namespace
}  // namespace ds4::test_support
