// Grades of the long-code suite, and the files it writes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/long_code/verdict.h"
#include "support.h"

namespace ds4::suites {
namespace {

const char kPastEnd[] = R"({"kind": "past_end", "function": "find_max_017", "functions": 40})";
const char kSkips[] = R"({"kind": "skips_first", "function": "find_max", "functions": 1})";
const char kClean[] = R"({"kind": "none", "function": "", "functions": 1})";

Score grade(const char* expected, const std::string& content, const std::string& finish = "stop") {
  return find_suite("long_code")->score(expected, content_answer(content, finish));
}

TEST(LongCodeScore, FreeTextAndLabelledAnswers) {
  for (const char* text : {"Off-by-one error in find_max_017: the loop reads one element past the "
                           "end of items; use i < n.",
                           "Function: find_max_017\nKind: past_end",
                           "**Function:** `find_max_017`\n**Kind:** past_end.",
                           "In find_max_017 the condition `<=` should be `<`."}) {
    const Score score = grade(kPastEnd, text);
    EXPECT_EQ(score.grade, Grade::kCorrect) << text << " -> " << score.explanation;
    EXPECT_EQ(score.values.at("mentions"), 1) << text;
  }
  EXPECT_EQ(grade(kSkips,
                  "Off-by-one error in find_max: the loop skips the first element of data; "
                  "start i at 0.")
                .grade,
            Grade::kCorrect);
}

TEST(LongCodeScore, RightKindInTheWrongFunction) {
  const Score score = grade(kPastEnd, "Function: find_max_018\nKind: past_end");
  EXPECT_EQ(score.grade, Grade::kWrong);
  EXPECT_EQ(score.values.at("localised"), 0);
  EXPECT_EQ(score.values.at("kind"), 1);
  EXPECT_NE(score.explanation.find("find_max_018"), std::string::npos);
}

TEST(LongCodeScore, NamingEveryFunctionIsNotLocalising) {
  EXPECT_EQ(grade(kPastEnd, "sum_items_001, find_max_017 read past the end").values.at("localised"),
            0);
}

TEST(LongCodeScore, ClaimingBothKindsOrNoneIsWrong) {
  EXPECT_EQ(
      grade(kPastEnd, "find_max_017 skips the first and reads past the end").values.at("kind"), 0);
  const Score clean = grade(kPastEnd, "No bug found in find_max_017.");
  EXPECT_EQ(clean.values.at("kind"), 0);
  EXPECT_EQ(clean.values.at("mentions"), 0);
  EXPECT_EQ(grade(kPastEnd, "There is no off-by-one error.").values.at("mentions"), 0);
}

TEST(LongCodeScore, ControlMustBeCalledClean) {
  EXPECT_EQ(grade(kClean, "No bug found in find_max.").grade, Grade::kCorrect);
  EXPECT_EQ(grade(kClean, "Function: none\nKind: none").grade, Grade::kCorrect);
  const Score alarm = grade(kClean, "Off-by-one error in find_max: one element past the end.");
  EXPECT_EQ(alarm.grade, Grade::kWrong);
  EXPECT_EQ(alarm.values.at("control"), 0);
  EXPECT_FALSE(alarm.values.contains("localised"));
  EXPECT_EQ(grade(kClean, "").grade, Grade::kWrong);
}

TEST(LongCodeScore, CutBeforeTheKindIsInvalid) {
  EXPECT_EQ(grade(kPastEnd, "Off-by-one error in find_max_017: the loop", "length").grade,
            Grade::kInvalid);
  EXPECT_EQ(grade(kPastEnd, "find_max_017 reads past the end of", "length").grade, Grade::kCorrect);
}

std::string text_of(const Case& made) {
  return made.conversation.messages.at(0).content;
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(LongCode, LongFilesStayWithinTheirLengthAndPlantOneDefect) {
  const Suite& suite = *find_suite("long_code");
  Parameters parameters = default_parameters("long_code");
  parameters["lengths"] = std::vector<int64_t>{2000, 30000};
  parameters["depths"] = std::vector<double>{0, 0.5, 1};
  parameters["samples"] = int64_t{6};
  for (const CaseSpec& spec : suite.plan(parameters)) {
    const Case made = suite.build(parameters, spec, word_counter());
    const int64_t length = std::stoll(spec.tags.at("length"));
    const int64_t tokens = word_counter().count(made.conversation);
    EXPECT_LE(tokens, length) << spec.id;
    EXPECT_GT(tokens, length - 40) << spec.id;  // one function has under 40 words
    const std::string text = text_of(made);
    const bool past_end = spec.tags.at("kind") == "past_end";
    EXPECT_EQ(occurrences(text, "<= n") + occurrences(text, ") + 1)"), past_end ? 1u : 0u);
    EXPECT_EQ(
        occurrences(text, "= 1; ") - occurrences(text, " = 1; //") + occurrences(text, "range(1"),
        spec.tags.at("kind") == "skips_first" ? 1u : 0u);
    const auto expected = nlohmann::json::parse(made.expected);
    const std::string function = expected.at("function");
    if (!function.empty()) {
      EXPECT_EQ(occurrences(text, function + "("), 1u);
      const int64_t number = std::stoll(function.substr(function.rfind('_') + 1));
      EXPECT_NEAR(static_cast<double>(number - 1) /
                      static_cast<double>(expected.at("functions").get<int64_t>() - 1),
                  std::stod(spec.tags.at("depth")), 0.02);
    }
  }
}

TEST(LongCode, ATooShortLengthNamesTheSmallest) {
  const Suite& suite = *find_suite("long_code");
  Parameters parameters = default_parameters("long_code");
  parameters["lengths"] = std::vector<int64_t>{10};
  EXPECT_THROW(suite.build(parameters, suite.plan(parameters).at(0), word_counter()), Error);
}

}  // namespace
}  // namespace ds4::suites
