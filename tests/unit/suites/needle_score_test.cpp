// Grades of the needle suite.
#include <gtest/gtest.h>

#include "suites/needle/codes.h"
#include "support.h"

namespace ds4::suites {
namespace {

const char kExpected[] = R"({"value": "K7QX3M", "others": ["ABCDEF", "ZZ22YY"]})";

Score grade(const std::string& content, const std::string& finish = "stop") {
  return find_suite("needle")->score(kExpected, content_answer(content, finish));
}

std::string class_of(const Score& score) {
  std::string out;
  for (const auto& [name, value] : score.values) {
    if (value == 1) out += name;
  }
  return out;
}

TEST(NeedleScore, ExactInAnyWrapping) {
  for (const char* text : {"K7QX3M", "The vault password for Oslo is K7QX3M.", "**K7QX3M**",
                           "`K7QX3M`\n", "INFO: it is \"K7QX3M\"!"}) {
    const Score score = grade(text);
    EXPECT_EQ(score.grade, Grade::kCorrect) << text;
    EXPECT_EQ(class_of(score), "exact");
    EXPECT_EQ(score.extracted, "K7QX3M");
  }
}

TEST(NeedleScore, NearMissIsAtMostAQuarterOfTheLengthAway) {
  for (const char* text : {"K7QX3N", "K7QX3", "K7QX3MM", "The code is K7QX8M."}) {
    const Score score = grade(text);
    EXPECT_EQ(score.grade, Grade::kWrong) << text;
    EXPECT_EQ(class_of(score), "near_miss") << text;
    EXPECT_NE(score.explanation.find("1 edit away from K7QX3M"), std::string::npos);
  }
  EXPECT_EQ(class_of(grade("K7QX88")), "absent");
  EXPECT_EQ(class_of(grade("K7QX3MK7QX3M")), "absent");  // not a token of that shape
}

TEST(NeedleScore, ALongerValueAllowsMoreEdits) {
  const std::string value = "ABCDEFGHJKLM";
  EXPECT_EQ(match_code("ABCDEFGHJ222", value, {}).kind, CodeMatch::Kind::kNearMiss);
  EXPECT_EQ(match_code("ABCDEFGHJ222", value, {}).distance, 3);
  EXPECT_EQ(match_code("ABCDEFGH2222", value, {}).kind, CodeMatch::Kind::kAbsent);
}

TEST(NeedleScore, AnotherFactsValueIsConfusedEvenBesideTheRightOne) {
  EXPECT_EQ(class_of(grade("ABCDEF")), "confused");
  const Score listed = grade("ABCDEF, K7QX3M, ZZ22YY");
  EXPECT_EQ(class_of(listed), "confused");
  EXPECT_EQ(listed.grade, Grade::kWrong);
}

TEST(NeedleScore, AbsentAndEmpty) {
  EXPECT_EQ(class_of(grade("I do not know.")), "absent");
  EXPECT_EQ(grade("").explanation, "The answer is empty.");
  EXPECT_EQ(class_of(grade("")), "absent");
}

TEST(NeedleScore, CutBeforeTheValueIsInvalid) {
  EXPECT_EQ(grade("The vault password for", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("The vault password for Oslo is K7QX3", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("", "error").grade, Grade::kInvalid);
  // The value was given before the cut: a verdict is possible.
  EXPECT_EQ(grade("It is K7QX3M because", "length").grade, Grade::kCorrect);
  EXPECT_EQ(grade("It is K7QX3N because", "length").grade, Grade::kWrong);
}

TEST(NeedleScore, ReasoningIsNotTheAnswer) {
  Answer answer;
  answer.reasoning = "It is K7QX3M";
  answer.text = "It is K7QX3M</think>";
  answer.finish_reason = "stop";
  EXPECT_EQ(class_of(find_suite("needle")->score(kExpected, answer)), "absent");
  answer.content = "K7QX3M";
  EXPECT_EQ(class_of(find_suite("needle")->score(kExpected, answer)), "exact");
}

TEST(NeedleScore, RawTextCountsWhenNothingWasTakenApart) {
  Answer answer;
  answer.text = "K7QX3M";
  answer.finish_reason = "stop";
  EXPECT_EQ(class_of(find_suite("needle")->score(kExpected, answer)), "exact");
}

}  // namespace
}  // namespace ds4::suites
