// `doctor` through the binary: exit codes, JSON, what a profile adds, and that nothing is made.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Examined {
  CommandResult result;
  json report;
  // The findings of that check.
  std::vector<json> of(const std::string& check) const {
    std::vector<json> found;
    for (const json& finding : report.at("findings")) {
      if (finding.at("check") == check) found.push_back(finding);
    }
    return found;
  }
};

Examined doctor(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {DS4_SWEEP_BINARY, "doctor", "--json"});
  const CommandResult result = run_command(arguments);
  return {result, json::parse(result.out)};
}

std::string tiny() {
  return source_dir() / "profiles/tiny.toml";
}

TEST(Doctor, CountsItsFindingsAndMakesNothing) {
  const TemporaryFolder folder;
  const Examined seen = doctor({"--db", folder / "results.db"});
  EXPECT_EQ(seen.report["format"], "ds4-doctor-1");
  std::map<std::string, int> counts;
  for (const json& finding : seen.report["findings"]) {
    ++counts[finding["level"]];
    EXPECT_EQ(finding["remedy"] == "", finding["level"] == "ok") << finding.dump();
  }
  for (const char* level : {"ok", "note", "warning", "problem"}) {
    EXPECT_EQ(seen.report["counts"][level], counts[level]) << level;
  }
  EXPECT_EQ(seen.result.exit_code, counts["problem"] > 0 ? 1 : 0);
  EXPECT_EQ(seen.report["exit_code"], seen.result.exit_code);
  for (const char* check : {"memory", "swap", "pressure", "gpu-driver", "lock-memory", "clock",
                            "load", "lock", "database-disk", "database"}) {
    EXPECT_EQ(seen.of(check).empty(), false) << check;
  }
  for (const char* check : {"weights", "datasets", "fit"}) {
    EXPECT_EQ(seen.of(check).size(), 0u) << check << " without a profile";
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const CommandResult text = run_command({DS4_SWEEP_BINARY, "doctor", "--db", folder / "r.db"});
  EXPECT_THAT(text.out, HasSubstr("no database yet"));
  EXPECT_THAT(text.out, HasSubstr(" problems\n"));
}

TEST(Doctor, AProfileAddsItsWeightsCasesAndFit) {
  const Examined seen = doctor({tiny(), "--deep"});
  for (const char* check : {"weights", "tokenizer", "datasets", "fit"}) {
    ASSERT_EQ(seen.of(check).size(), 1u) << check;
    EXPECT_EQ(seen.of(check)[0]["level"], "ok") << check;
  }
  EXPECT_EQ(seen.of("weights-bytes").size(), 1u);
  EXPECT_EQ(doctor({tiny()}).of("weights-bytes").size(), 0u);
}

TEST(Doctor, WithoutItsWeightsNothingIsSaidOfTheFit) {
  const TemporaryFolder folder;
  const Examined seen = doctor({tiny(), "--set", "checkpoint=" + (folder / "none").string()});
  EXPECT_EQ(seen.result.exit_code, 1);
  ASSERT_EQ(seen.of("weights").size(), 1u);
  EXPECT_EQ(seen.of("weights")[0]["level"], "problem");
  EXPECT_TRUE(seen.of("fit").empty());
}

TEST(Doctor, AGpuIsAskedForOnlyByAProfileThatUsesIt) {
  if (doctor({}).of("gpu").size() > 0) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_EQ(doctor({tiny()}).of("gpu-driver")[0]["level"], "note");
  const Examined seen = doctor({tiny(), "--set", "engine.device=cuda"});
  EXPECT_EQ(seen.of("gpu-driver")[0]["level"], "problem");
  EXPECT_EQ(seen.of("fit")[0]["level"], "problem") << "nothing fits a GPU that is not there";
  EXPECT_EQ(seen.result.exit_code, 1);
}

TEST(Doctor, StrictlyAWarningIsAFailure) {
  if (!std::filesystem::exists("/dev/shm")) GTEST_SKIP() << "no file system in memory";
  const std::vector<std::string> in_memory = {"--db", "/dev/shm/ds4-none/results.db"};
  const Examined seen = doctor(in_memory);
  ASSERT_EQ(seen.of("database-file-system").size(), 1u);
  EXPECT_EQ(seen.of("database-file-system")[0]["level"], "warning");
  EXPECT_EQ(seen.result.exit_code, seen.report["counts"]["problem"] > 0 ? 1 : 0);
  EXPECT_EQ(doctor({"--strict", in_memory[0], in_memory[1]}).result.exit_code, 1);
}

TEST(Doctor, AProfileThatIsNoneIsAnErrorOfItsOwn) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "p.toml", "name = 3\n");
  const CommandResult result = run_command({DS4_SWEEP_BINARY, "doctor", folder / "p.toml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("p.toml"));
}

}  // namespace
}  // namespace ds4::test_support
