// The engine as it is passes its own self-test; engines that cannot be made are reported.
#include <gtest/gtest.h>

#include <cstdio>

#include "engine/api/selftest.h"
#include "engine/base/error.h"

namespace ds4 {
namespace {

TEST(Selftest, TheEnginePasses) {
  const SelftestReport report = run_selftest({}, Engine::load);
  for (const SelftestCheck& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << ": " << check.error << " > " << check.bound << " "
                              << check.note;
  }
  EXPECT_TRUE(report.passed());
  EXPECT_TRUE(report.suspects.empty());
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
