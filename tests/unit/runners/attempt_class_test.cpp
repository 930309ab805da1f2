// The class of an attempt, from its rows and from what its worker saw.
#include <gmock/gmock.h>

#include "reports/outcomes/outcome.h"
#include "runners/outcome/attempt.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::runners::outcome {
namespace {

using ::testing::HasSubstr;

reports::AttemptRow answered(const std::string& text, const std::string& finish = "stop") {
  reports::AttemptRow row = reports::example_attempt("k1", "needle", "c1");
  row.text = row.content = text;
  row.tool_calls = "[]";
  row.finish_reason = finish;
  return row;
}

reports::ScoreRow graded(const std::string& grade, std::map<std::string, double> values = {}) {
  reports::ScoreRow score;
  score.grade = grade;
  score.values = std::move(values);
  return score;
}

std::string class_of(const reports::AttemptRow& row, const std::optional<reports::ScoreRow>& score,
                     const AttemptWitness& witness = {}) {
  const AttemptFinding finding = classify_attempt(row, score, witness);
  EXPECT_EQ(reports::outcome_class(finding.outcome).name, finding.outcome);
  return finding.outcome;
}

TEST(AttemptClass, FollowsTheGrade) {
  EXPECT_EQ(class_of(answered("Tokyo"), graded("correct")), "ok");
  EXPECT_EQ(class_of(answered("Kyoto"), graded("wrong")), "WRONG_ANSWER");
  EXPECT_EQ(class_of(answered("A-2"), graded("wrong", {{"near_miss", 1}})), "NEAR_MISS");
  EXPECT_EQ(class_of(answered("I think", "length"), graded("invalid")), "TRUNCATED_BY_BUDGET");
  EXPECT_EQ(class_of(answered("", "length"), graded("invalid")), "TRUNCATED_BY_BUDGET");
  EXPECT_EQ(class_of(answered(" \n"), graded("wrong")), "EMPTY_CONTENT");
  EXPECT_EQ(class_of(answered("x", "error"), graded("invalid")), "API_ERROR");
  EXPECT_EQ(class_of(answered("x"), std::nullopt), "ok") << "a suite that is not known here";
}

TEST(AttemptClass, ACallOffItsSchemaIsNotJustWrong) {
  reports::AttemptRow row = answered("");
  row.tool_calls = R"([{"id":"","name":"f","arguments":"{}"}])";
  EXPECT_EQ(class_of(row, graded("wrong", {{"schema_valid", 0}})), "TOOL_SCHEMA");
  EXPECT_EQ(class_of(row, graded("wrong", {{"schema_valid", 1}})), "WRONG_ANSWER");
  EXPECT_EQ(class_of(answered("<invoke name=\"f\">"), graded("wrong", {{"schema_valid", 0}})),
            "TOOL_SCHEMA")
      << "begun and never parsed";
  EXPECT_EQ(class_of(answered("I cannot do that."), graded("wrong", {{"schema_valid", 0}})),
            "WRONG_ANSWER")
      << "no call at all";
}

TEST(AttemptClass, GarbledTextIsNamedOnlyWhenItIsNotCorrect) {
  std::string loop;
  for (int i = 0; i < 100; ++i) loop += "the the ";
  EXPECT_EQ(class_of(answered(loop), graded("wrong")), "GARBLED");
  EXPECT_EQ(class_of(answered(loop, "length"), graded("invalid")), "GARBLED")
      << "a larger budget would not help";
  EXPECT_EQ(class_of(answered(loop), graded("correct")), "ok");
  EXPECT_THAT(classify_attempt(answered(loop), graded("wrong"), {}).note, HasSubstr("repeated"));
}

TEST(AttemptClass, WithoutAnAnswerItIsTheTransports) {
  reports::AttemptRow row = answered("");
  row.status = "error";
  EXPECT_EQ(class_of(row, std::nullopt, {.failure = Failure::kRefused}), "API_ERROR");
  EXPECT_EQ(class_of(row, std::nullopt, {.failure = Failure::kBroken}), "STREAM_BROKEN");
  EXPECT_EQ(class_of(row, std::nullopt, {.failure = Failure::kLate}), "TIMEOUT");
  EXPECT_EQ(class_of(row, std::nullopt), "API_ERROR");
  row.status = "cancelled";
  EXPECT_EQ(class_of(row, std::nullopt), "interrupted");
}

TEST(AttemptClass, AScorerThatThrowsIsOurFailure) {
  EXPECT_EQ(class_of(answered("x"), std::nullopt, {.grader_error = "out of range"}),
            "HARNESS_ERROR");
}

TEST(AttemptClass, CachedTokensContaminateAColdTest) {
  reports::AttemptRow row = answered("x");
  row.prompt_tokens = 1000;
  row.cached_tokens = 50;  // a template's beginning
  EXPECT_EQ(class_of(row, graded("correct"), {.cold = true}), "ok");
  row.cached_tokens = 51;
  EXPECT_EQ(class_of(row, graded("correct"), {.cold = true}), "CONTAMINATED");
  EXPECT_EQ(class_of(row, graded("correct"), {.cold = false}), "ok");
}

TEST(CacheWitness, AnotherAnswerFromTheCacheIsCorruption) {
  CacheWitness memory;
  const auto look = [&](const std::string& prompt, const std::string& text, int64_t cached,
                        bool greedy = true) {
    reports::AttemptRow row = answered(text);
    row.prompt = prompt;
    row.cached_tokens = cached;
    AttemptWitness witness;
    memory.look(row, greedy, witness);
    return class_of(row, graded("correct"), witness);
  };
  EXPECT_EQ(look("p", "one", 0), "ok");
  EXPECT_EQ(look("p", "one", 90), "ok");
  EXPECT_EQ(look("q", "two", 90), "ok") << "never seen cold";
  EXPECT_EQ(look("p", "other", 90), "CACHE_CORRUPTION");
  EXPECT_EQ(look("p", "other", 90, false), "ok") << "draws may differ";
  EXPECT_EQ(look("p", "third", 0), "ok");
  EXPECT_EQ(look("p", "other", 90), "ok") << "this target's answers vary without a cache as well";
}

TEST(CacheWitness, ASecretOfAnotherPromptIsALeak) {
  CacheWitness memory;
  const auto look = [&](const std::string& prompt, const std::string& canary,
                        const std::string& text) {
    reports::AttemptRow row = answered(text);
    row.prompt = prompt;
    AttemptWitness witness;
    memory.sent({canary});
    memory.look(row, true, witness);
    return class_of(row, graded("wrong"), witness);
  };
  EXPECT_EQ(look("the code is K7Q2ZP", "K7Q2ZP", "K7Q2ZP"), "WRONG_ANSWER") << "its own";
  EXPECT_EQ(look("the code is ABCDEF", "ABCDEF", "it is K7Q2ZP"), "CACHE_LEAK");
  EXPECT_EQ(look("K7Q2ZP or GHIJKL?", "GHIJKL", "K7Q2ZP"), "WRONG_ANSWER") << "it was told";
}

TEST(CacheWitness, ASecretOfAnUnansweredNeighbourIsALeak) {
  CacheWitness memory;
  memory.sent({"K7Q2ZP"});
  memory.sent({"ABCDEF"});
  reports::AttemptRow row = answered("it is ABCDEF");
  row.prompt = "the code is K7Q2ZP";
  AttemptWitness witness;
  memory.look(row, true, witness);
  EXPECT_EQ(class_of(row, graded("wrong"), witness), "CACHE_LEAK");
  EXPECT_EQ(witness.leak, "ABCDEF");
}

}  // namespace
}  // namespace ds4::runners::outcome
