// A sweep run as three shards and joined, beside the same sweep run whole.
#include <gmock/gmock.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "engine/base/clock.h"
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

std::vector<std::string> merge_command(const Sweep& sweep,
                                       const std::vector<std::string>& databases) {
  std::vector<std::string> command = {DS4_SWEEP_BINARY, "merge"};
  for (const std::string& name : databases) command.push_back(sweep.folder() / name);
  command.push_back("--json");
  return command;
}

CommandResult merge(const Sweep& sweep, const std::vector<std::string>& databases) {
  return run_command(merge_command(sweep, databases));
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

// kill -9 of the verb at random moments: its database is as it was or complete, never between, and
// the same command again makes it whole.
TEST(Fleet, AKilledMergeIsDoneAgain) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kSweep);
  for (int shard = 1; shard <= 3; ++shard) {
    run_shard(sweep, shard, "s" + std::to_string(shard) + ".db");
  }
  ASSERT_EQ(merge(sweep, {"before.db", "s1.db"}).exit_code, 0);
  const auto put_back = [&] {
    for (const char* tail : {"", "-wal", "-shm"}) {
      std::filesystem::remove(sweep.db().string() + tail);
    }
    std::filesystem::copy_file(sweep.folder() / "before.db", sweep.db());
  };
  put_back();
  const double begin = monotonic_seconds();
  ASSERT_EQ(merge(sweep, {"results.db", "s2.db", "s3.db"}).exit_code, 0);
  const double merge_s = monotonic_seconds() - begin;
  const auto whole = sweep.answered();
  EXPECT_EQ(whole.size(), 6u * 20u);
  std::mt19937 random(20261122);
  int as_it_was = 0;
  for (int round = 0; round < 10; ++round) {
    put_back();
    const auto before = sweep.answered();
    const int pid = start_command(merge_command(sweep, {"results.db", "s2.db", "s3.db"}));
    std::this_thread::sleep_for(
        std::chrono::duration<double>(merge_s * static_cast<double>(random() % 1000) / 1000));
    ::kill(pid, SIGKILL);
    wait_command(pid);
    const auto now = sweep.answered();
    EXPECT_TRUE(now == before || now == whole) << now.size() << " cases";
    as_it_was += now == before;
    const CommandResult again = merge(sweep, {"results.db", "s2.db", "s3.db"});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(sweep.answered(), whole);
    EXPECT_EQ(report(sweep, "results.db").at("cells").size(), 6u);
  }
  EXPECT_GT(as_it_was, 0) << "no merge was killed before its end: the test proved nothing";
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
