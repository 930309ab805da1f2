// Grades of the smoke suite.
#include <gtest/gtest.h>

#include "support.h"

namespace ds4::suites {
namespace {

const char kExpected[] = R"({"accept": ["The capital of France is Paris."], "key": "paris"})";

Score grade(const std::string& content, const std::string& finish = "stop") {
  return find_suite("smoke")->score(kExpected, content_answer(content, finish));
}

TEST(SmokeScore, ExactNormalisedContained) {
  const Score exact = grade("The capital of France is Paris.");
  EXPECT_EQ(exact.grade, Grade::kCorrect);
  EXPECT_EQ(exact.values.at("exact"), 1);
  const Score close = grade("**the capital of France is PARIS**\n");
  EXPECT_EQ(close.grade, Grade::kCorrect);
  EXPECT_EQ(close.values.at("exact"), 0);
  EXPECT_EQ(close.values.at("normalised"), 1);
  const Score loose = grade("It is Paris, of course.");
  EXPECT_EQ(loose.grade, Grade::kWrong);
  EXPECT_EQ(loose.values.at("contains"), 1);
  EXPECT_EQ(grade("Parisian").values.at("contains"), 0);
}

TEST(SmokeScore, WrongCutAndEmpty) {
  EXPECT_EQ(grade("The capital of France is Rome.").grade, Grade::kWrong);
  EXPECT_EQ(grade("The capital of", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("The capital of France is Paris.", "length").grade, Grade::kCorrect);
  EXPECT_EQ(grade("").grade, Grade::kWrong);
  EXPECT_NE(grade("").explanation.find("empty"), std::string::npos);
}

TEST(Smoke, EveryAcceptedAnswerIsGradedCorrectAndHoldsItsKey) {
  const Suite& smoke = *find_suite("smoke");
  for (const char* style : {"bare", "instructed"}) {
    Parameters parameters = default_parameters("smoke");
    parameters["style"] = std::string(style);
    for (const CaseSpec& spec : smoke.plan(parameters)) {
      const Case made = smoke.build(parameters, spec, word_counter());
      const size_t start = made.expected.find("[\"") + 2;
      std::string accepted = made.expected.substr(start, made.expected.find('"', start) - start);
      for (size_t at = accepted.find("\\n"); at != accepted.npos; at = accepted.find("\\n")) {
        accepted.replace(at, 2, "\n");
      }
      const Score score = smoke.score(made.expected, content_answer(accepted));
      EXPECT_EQ(score.grade, Grade::kCorrect) << spec.id;
      EXPECT_EQ(score.values.at("contains"), 1) << spec.id;
    }
  }
}

}  // namespace
}  // namespace ds4::suites
