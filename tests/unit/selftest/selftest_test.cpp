// The engine as it is passes its own self-test; engines that cannot be made are reported.
#include <gmock/gmock.h>

#include <algorithm>

#include "engine/api/selftest.h"
#include "engine/base/error.h"
#include "tests/support/source_dir.h"

namespace ds4 {
namespace {

void expect_passed(const SelftestReport& report) {
  for (const SelftestCheck& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << ": " << check.error << " > " << check.bound << " "
                              << check.note;
  }
  EXPECT_TRUE(report.passed());
}

TEST(Selftest, TheEnginePasses) {
  const SelftestReport report = run_selftest({}, Engine::load);
  expect_passed(report);
  EXPECT_TRUE(report.suspects.empty());
}

SelftestReport with_checkpoint(const std::filesystem::path& checkpoint) {
  SelftestOptions options;
  options.checkpoint = checkpoint;
  return run_selftest(options, Engine::load);
}

bool ran(const SelftestReport& report, const std::string& name) {
  return std::any_of(report.checks.begin(), report.checks.end(),
                     [&](const SelftestCheck& check) { return check.name == name; });
}

TEST(Selftest, TheDefaultCheckpointMatchesItsGoldenRun) {
  const SelftestReport report = with_checkpoint(test_support::source_dir() / "checkpoints/tiny");
  expect_passed(report);
  EXPECT_TRUE(report.has_golden_run);
  for (const char* name : {"logits", "rounded", "answer", "precisions", "speculation"}) {
    EXPECT_TRUE(ran(report, std::string("checkpoint ") + name)) << name;
  }
}

TEST(Selftest, WithoutAGoldenRunACheckpointIsHeldAgainstItself) {
  const SelftestReport report =
      with_checkpoint(test_support::source_dir() / "tests/golden/vectors/models/one_csa");
  expect_passed(report);
  EXPECT_FALSE(report.has_golden_run);
  EXPECT_FALSE(ran(report, "checkpoint logits"));
  EXPECT_FALSE(ran(report, "checkpoint speculation")) << "it has no MTP block";
  EXPECT_TRUE(ran(report, "checkpoint precisions"));
}

TEST(Selftest, OfACheckpointThatDoesNotLoadOnlyThatIsSaid) {
  const SelftestReport report = with_checkpoint("/nonexistent");
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.checks.back().name, "checkpoint structure");
  EXPECT_THAT(report.checks.back().note, ::testing::HasSubstr("/nonexistent"));
}

TEST(Selftest, AnEngineThatCannotBeMadeIsAnErrorNotAFailure) {
  const EngineFactory broken = [](const auto&, const auto&) -> std::unique_ptr<Engine> {
    throw Error(ErrorCode::kMachine, "no such device");
  };
  EXPECT_THROW(run_selftest({}, broken), Error);
}

TEST(Selftest, WhatAnEngineThrowsLaterIsAFailedCheckWithANote) {
  const EngineFactory picky = [](const std::filesystem::path& checkpoint,
                                 const EngineSettings& settings) {
    if (checkpoint.filename() == "window") throw Error(ErrorCode::kMachine, "not this one");
    return Engine::load(checkpoint, settings);
  };
  const SelftestReport report = run_selftest({}, picky);
  EXPECT_FALSE(report.passed());
  for (const SelftestCheck& check : report.checks) {
    EXPECT_EQ(check.passed, check.name != "window" && check.name != "rounded") << check.name;
    if (!check.passed) {
      EXPECT_EQ(check.note, "not this one");
    }
  }
}

}  // namespace
}  // namespace ds4
