// From a run to a decision: a baseline, a file of gates, what a CI system is given, and the profile
// of the picked cell, which measures that cell again.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "probes/host_memory.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kTwoCells = R"([[suite]]
name = "smoke"
[sweep]
engine.seed = [1, 2]
)";

CommandResult sweep_command(const Sweep& sweep, std::vector<std::string> arguments) {
  return run_command(sweep.command(std::move(arguments)));
}

TEST(Gates, HoldARunAgainstABaselineAndTellACiSystem) {
  const Sweep sweep("{}", kTwoCells);
  sweep.run();
  const auto gates = sweep.folder() / "gates.toml", junit = sweep.folder() / "junit.xml",
             summary = sweep.folder() / "summary.md";
  write_file_atomic(gates,
                    "[[gate]]\nsuite = \"smoke\"\nscore = \"normalised\"\nnot_worse_by = 0\n"
                    "baseline = \"green\"\n[[gate]]\nno = \"oom\"\n");
  const std::vector<std::string> report = {"report",  "latest", "--gates",   gates,  "--exit-code",
                                           "--junit", junit,    "--summary", summary};
  const CommandResult open = sweep_command(sweep, report);
  EXPECT_EQ(open.exit_code, 4) << open.err;
  EXPECT_THAT(open.out, HasSubstr("no baseline `green`"));
  EXPECT_THAT(read_file(junit),
              AllOf(HasSubstr("failures=\"0\" errors=\"2\""), HasSubstr("no oom")));

  ASSERT_EQ(sweep_command(sweep, {"baseline", "set", "green", "latest"}).exit_code, 0);
  EXPECT_EQ(sweep_command(sweep, report).exit_code, 0);
  EXPECT_THAT(read_file(summary), AllOf(HasSubstr("INCONCLUSIVE"), HasSubstr("PASS")))
      << "appended, as CI systems want it";
  const CommandResult again = sweep_command(
      sweep, {"run", sweep.profile(), "--no-progress", "--gates", gates, "--junit", junit});
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_THAT(read_file(junit), HasSubstr("tests=\"6\" failures=\"0\" errors=\"0\""));

  // Every recorded gate holds without the file, and a crash breaks one.
  EXPECT_EQ(sweep_command(sweep, {"report", "latest", "--exit-code"}).exit_code, 0);
  write_file_atomic(gates, "[[gate]]\nno = \"failure\"\n");
  sweep.rewrite_script(R"({"open":{"end":"segv"}})");
  const CommandResult crashed =
      sweep_command(sweep, {"run", sweep.profile(), "--no-progress", "--gates", gates});
  EXPECT_EQ(crashed.exit_code, 1) << crashed.out;
  const CommandResult compared = sweep_command(
      sweep, {"compare", "baseline:green", "latest", "--junit", junit, "--summary", summary});
  EXPECT_EQ(compared.exit_code, 1);
  EXPECT_THAT(compared.out, HasSubstr("used to finish"));
  EXPECT_THAT(read_file(junit), HasSubstr("used to finish"));
  EXPECT_EQ(sweep_command(sweep, {"baseline", "remove", "green"}).exit_code, 0);
  EXPECT_EQ(sweep_command(sweep, {"compare", "baseline:green", "latest"}).exit_code, 2);
}

TEST(Gates, TheFloorIsHeldAgainstWhatTheGuardSaw) {
  // A guard that lets memory go below the floor of the gate; of this machine more than a hundredth
  // is in use.
  const int64_t total = probes::read_machine_memory().total_bytes;
  const Sweep sweep("{}",
                    "[[suite]]\nname = \"smoke\"\n[[gate]]\nmetric = \"peak_memory\"\n"
                    "max = \"floor\"\n[guard]\nfloor = \"1MiB\"\n[sweep]\n"
                    "limits.memory_floor = [1, " +
                        std::to_string(total / 100 * 99) + "]\n[limits]\nmemory_floor = 1\n");
  const CommandResult run =
      sweep_command(sweep, {"run", sweep.profile(), "--no-progress", "--json"});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  std::vector<std::string> verdicts;
  std::map<std::string, double> most, floor;  // of the guard's readings that are stored, by cell
  const auto store = sweep.store();
  for (const auto& sample : store->launch_samples(store->run("latest").id)) {
    if (sample.sample.metric == "course_machine_memory") {
      most[sample.cell_key] = std::max(most[sample.cell_key], sample.sample.value);
    }
    if (sample.sample.metric == "course_floor") {
      floor[sample.cell_key] = std::max(floor[sample.cell_key], sample.sample.value);
    }
    if (sample.sample.metric != "peak_machine_memory") continue;
    EXPECT_GE(most[sample.cell_key], sample.sample.value) << "thinning keeps the peak";
    EXPECT_EQ(floor[sample.cell_key], 1 << 20);
    EXPECT_GT(sample.sample.value, static_cast<double>(total) / 100);
    EXPECT_LT(sample.sample.value, static_cast<double>(total));
    verdicts.push_back(sample.cell_key);
  }
  EXPECT_EQ(verdicts.size(), 2u);
  EXPECT_THAT(run.out, HasSubstr("peak_machine_memory"));
  EXPECT_THAT(run.out, HasSubstr("1 of 2 gates failed"));
}

TEST(Gates, APublishedRunIsShownAndNeverJudged) {
  const Sweep sweep("{}", kTwoCells);
  sweep.run();
  const CommandResult shown =
      sweep_command(sweep, {"compare", "published:k160-mtp2-200k", "latest"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("NOT JUDGED"), HasSubstr("DGX Spark")));
  EXPECT_EQ(sweep_command(sweep, {"compare", "published:none", "latest"}).exit_code, 2);
}

TEST(Pick, PrintsAProfileThatMeasuresThePickedCellAgain) {
  const Sweep sweep("{}", kTwoCells);
  sweep.run();
  const auto best = sweep.folder() / "best.toml";
  const json picked = json::parse(
      sweep_command(sweep, {"pick", "latest", "--prefer", "quality", "--json", "-o", best}).out);
  ASSERT_TRUE(picked.at("pick").is_string());
  const CommandResult run = sweep_command(sweep, {"run", best, "--no-progress", "--json"});
  const json cells = json::parse(run.out).at("cells");
  ASSERT_EQ(cells.size(), 1u);
  std::string key;
  for (const json& cell : picked.at("cells")) {
    if (cell.at("label") == picked.at("pick")) key = cell.at("key");
  }
  EXPECT_EQ(cells[0].at("key"), key);
  const CommandResult none = sweep_command(sweep, {"pick", "latest", "--min-quality", "smoke=1.0"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.out, HasSubstr("# No cell"));
  EXPECT_EQ(sweep_command(sweep, {"pick", "latest", "--min-quality", "smoke"}).exit_code, 2);
}

}  // namespace
}  // namespace ds4::test_support
