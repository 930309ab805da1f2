// From patterns of failures to suspects.
#include "engine/selftest/diagnosis.h"

#include <gmock/gmock.h>

namespace ds4::selftest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SelftestCheck check(bool passed, std::vector<std::string> mechanisms) {
  SelftestCheck result;
  result.passed = passed;
  result.mechanisms = std::move(mechanisms);
  return result;
}

TEST(Diagnosis, NothingFailsNothingSuspected) {
  EXPECT_THAT(suspects({check(true, {"a"}), check(true, {"a", "b"})}), IsEmpty());
}

TEST(Diagnosis, WhatPassedChecksExerciseIsInnocent) {
  EXPECT_THAT(suspects({check(true, {"basic"}), check(false, {"basic", "window"})}),
              ElementsAre("window"));
}

TEST(Diagnosis, WhatAllFailuresShareComesFirst) {
  EXPECT_THAT(suspects({check(false, {"basic"}), check(false, {"basic", "window"}),
                        check(false, {"basic", "sink"})}),
              ElementsAre("basic"));
}

TEST(Diagnosis, IndistinguishableMechanismsAreAllNamed) {
  EXPECT_THAT(suspects({check(true, {"a"}), check(false, {"a", "c", "b"})}), ElementsAre("b", "c"));
}

TEST(Diagnosis, ContradictedSuspectsStayWhenNobodyElseIsLeft) {
  EXPECT_THAT(suspects({check(true, {"a"}), check(false, {"a"})}), ElementsAre("a"));
}

}  // namespace
}  // namespace ds4::selftest
