// Grades of the needle suite.
#include <gtest/gtest.h>

#include "suites/needle/codes.h"
#include "support.h"

namespace ds4::suites {
namespace {

const char kExpected[] = R"({"values": ["K7QX3M"], "others": ["ABCDEF", "ZZ22YY"]})";

Score grade(const std::string& content, const std::string& finish = "stop") {
  return find_suite("needle")->score(kExpected, content_answer(content, finish));
}

std::string class_of(const Score& score) {
  std::string out;
  for (const auto& [name, value] : score.values) {
    if (value == 1 && name != "found") out += name;
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
  const CodeQuestion question{{value}, {}};
  EXPECT_EQ(match_codes("ABCDEFGHJ222", question).kind, CodeMatch::Kind::kNearMiss);
  EXPECT_EQ(match_codes("ABCDEFGHJ222", question).distance, 3);
  EXPECT_EQ(match_codes("ABCDEFGH2222", question).kind, CodeMatch::Kind::kAbsent);
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

const char kFour[] =
    R"({"values": ["1234567", "2345678", "3456789", "4567890"], "others": ["9999999"]})";

Score grade_four(const std::string& content, const std::string& finish = "stop") {
  return find_suite("needle")->score(kFour, content_answer(content, finish));
}

TEST(NeedleScore, SeveralValuesInAnyOrder) {
  const Score all = grade_four("4567890, 1234567, 3456789, and 2345678.");
  EXPECT_EQ(all.grade, Grade::kCorrect);
  EXPECT_EQ(all.values.at("found"), 1);
  EXPECT_EQ(all.extracted, "1234567, 2345678, 3456789, 4567890");
  const Score half = grade_four("1234567 and 3456789");
  EXPECT_EQ(half.grade, Grade::kWrong);
  EXPECT_EQ(half.values.at("found"), 0.5);
  EXPECT_EQ(class_of(half), "absent");
  EXPECT_NE(half.explanation.find("2 stand there"), std::string::npos) << half.explanation;
  const Score near = grade_four("1234567, 2345678, 3456789, 4567891");
  EXPECT_EQ(near.values.at("found"), 0.75);
  EXPECT_EQ(class_of(near), "near_miss");
  EXPECT_EQ(class_of(grade_four("1234567, 2345678, 3456789, 4567890, 9999999")), "confused");
}

TEST(NeedleScore, CutWhileValuesAreMissingIsInvalid) {
  EXPECT_EQ(grade_four("1234567, 2345678,", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade_four("1234567, 2345678, 3456789, 4567890", "length").grade, Grade::kCorrect);
}

TEST(NeedleScore, FoundIsAPartInAnyCase) {
  const std::vector<std::string> uuid = {"0f3b2c1d-1111-4222-8333-444455556666"};
  EXPECT_EQ(share_found("It is 0F3B2C1D-1111-4222-8333-444455556666x", uuid), 1);
  EXPECT_EQ(share_found("It is 0F3B2C1D-1111-4222-8333-44445555666", uuid), 0);
}

TEST(NeedleScore, ValuesWithHyphensAreWholeTokens) {
  const std::string secret = "SPARK-NEEDLE-8192-73F9";
  const auto kind = [&](const std::string& text) { return match_codes(text, {{secret}, {}}).kind; };
  EXPECT_EQ(kind("The secret code is SPARK-NEEDLE-8192-73F9."), CodeMatch::Kind::kExact);
  EXPECT_EQ(kind("- SPARK-NEEDLE-8192-73F9-"), CodeMatch::Kind::kExact);
  EXPECT_EQ(kind("SPARK-NEEDLE-8192-73F8"), CodeMatch::Kind::kNearMiss);
  EXPECT_EQ(kind("SPARK NEEDLE 8192 73F9"), CodeMatch::Kind::kAbsent);
  EXPECT_EQ(kind("8192-73F9"), CodeMatch::Kind::kAbsent);
}

TEST(NeedleScore, AProlongedAnswerIsJudgedByItsFirstValues) {
  const auto grade_long = [](const std::string& text) {
    return find_suite("needle")->score(
        R"({"values": ["K7QX3M"], "others": ["ABCDEF"], "prolonged": true})",
        content_answer(text, "length"));
  };
  EXPECT_EQ(class_of(grade_long("K7QX3M. The vault password for Rome is ABCDEF. And")), "exact");
  EXPECT_EQ(class_of(grade_long("ABCDEF, no, K7QX3M")), "confused");
  EXPECT_EQ(class_of(grade_long("Once upon a time there was a")), "absent");
  EXPECT_EQ(grade_long("Once upon a time there was a").grade, Grade::kWrong);
  EXPECT_EQ(grade_long("").grade, Grade::kInvalid) << "all of it was reasoning";
}

TEST(NeedleScore, AnswersOfTheFirstVersionAreStillGraded) {
  const Score score =
      find_suite("needle")->score(R"({"value": "K7QX3M", "others": []})", content_answer("K7QX3M"));
  EXPECT_EQ(score.grade, Grade::kCorrect);
}

}  // namespace
}  // namespace ds4::suites
