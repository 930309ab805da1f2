// Extraction filters against the published definition, problems against their solutions.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "suites/common/numbers.h"
#include "support.h"

namespace ds4::suites {
namespace {

std::string strict(const std::string& text) {
  const auto found = strict_number(text);
  return found ? found->text : "none";
}
std::string flexible(const std::string& text) {
  const auto found = flexible_number(text);
  return found ? found->text : "none";
}

TEST(StrictNumber, TakesTheFirstMatch) {
  EXPECT_EQ(strict("5 + 3 = 8.\n#### 8"), "8");
  EXPECT_EQ(strict("#### 8 and #### 9"), "8");
  EXPECT_EQ(strict("#### -1,234.5 dollars"), "-1,234.5");
  EXPECT_EQ(strict("####8"), "none");  // the blank is part of the pattern
  EXPECT_EQ(strict("#### $8"), "none");
  EXPECT_EQ(strict("#### - #### 7"), "7");  // a lone minus is no number
  EXPECT_EQ(strict("##### 8"), "8");
  EXPECT_EQ(strict(""), "none");
}

TEST(FlexibleNumber, TakesTheLastMatch) {
  EXPECT_EQ(flexible("She has 12 and then 7 apples"), "7");
  EXPECT_EQ(flexible("about $1,250."), "$1,250.");
  EXPECT_EQ(flexible("18 in total..."), "...");  // as published: any run of two such characters
  EXPECT_EQ(flexible("minus -5"), "-5");
  EXPECT_EQ(flexible("7."), "7.");
  EXPECT_EQ(flexible("3-4"), "-4");
  EXPECT_EQ(flexible("x."), "none");
  EXPECT_EQ(flexible("--5"), "-5");
}

TEST(NormalNumber, IsTextualNotNumeric) {
  EXPECT_EQ(normal_number("$1,250."), "1250");
  EXPECT_EQ(normal_number("18.0"), "18.0");
  EXPECT_EQ(normal_number("..."), "..");
}

Score grade(const std::string& content, const std::string& finish = "stop") {
  return find_suite("arithmetic")->score(R"({"number": "42"})", content_answer(content, finish));
}

TEST(ArithmeticScore, StrictAndFlexible) {
  const Score right = grade("40 + 2 = 42.\n#### 42");
  EXPECT_EQ(right.grade, Grade::kCorrect);
  EXPECT_EQ(right.extracted, "42");
  const Score loose = grade("The answer is 42.");
  EXPECT_EQ(loose.grade, Grade::kWrong);
  EXPECT_EQ(loose.values.at("strict"), 0);
  EXPECT_EQ(loose.values.at("flexible"), 1);
  EXPECT_EQ(grade("#### 42.0").grade, Grade::kWrong);
  EXPECT_EQ(grade("#### 43").grade, Grade::kWrong);
  EXPECT_EQ(grade("no idea").explanation, "The answer has no number.");
  EXPECT_EQ(grade("").explanation, "The answer is empty.");
}

TEST(ArithmeticScore, CutBeforeTheFinalNumberIsInvalid) {
  EXPECT_EQ(grade("40 + 2 = 42.\n##", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("40 + 2 = 42.\n#### 4", "length").grade, Grade::kInvalid);
  EXPECT_EQ(grade("#### 42\nso", "length").grade, Grade::kCorrect);
}

// Solves a bare problem from its own text: the numbers in order, the operation from the words.
int64_t solve(const std::string& text) {
  int64_t value = 0;
  bool first = true;
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find_first_of(".?", start);
    if (end == text.npos) end = text.size();
    const std::string sentence = text.substr(start, end - start);
    start = end + 1;
    const size_t digits = sentence.find_first_of("0123456789");
    if (digits == sentence.npos) continue;
    const int64_t number = std::stoll(sentence.substr(digits));
    const auto has = [&](const char* word) { return sentence.find(word) != sentence.npos; };
    if (has("What is")) {
      const size_t sign = sentence.find_first_of("+-");
      const int64_t second = std::stoll(sentence.substr(sign + 2));
      return sentence[sign] == '+' ? number + second : number - second;
    }
    if (first) {
      value = number;
      first = false;
    } else if (has("times")) {
      value *= number;
    } else if (has("gives away") || has("loses") || has("sells")) {
      value -= number;
    } else {
      value += number;
    }
  }
  return value;
}

TEST(Arithmetic, ProblemsHaveTheStatedResult) {
  const Suite& suite = *find_suite("arithmetic");
  Parameters parameters = default_parameters("arithmetic");
  parameters["cases"] = int64_t{300};
  for (const CaseSpec& spec : suite.plan(parameters)) {
    const Case made = suite.build(parameters, spec, word_counter());
    const std::string number = nlohmann::json::parse(made.expected).at("number");
    EXPECT_EQ(std::to_string(solve(joined_text(made.conversation))), number)
        << joined_text(made.conversation);
    EXPECT_GE(std::stoll(number), 0);
  }
}

}  // namespace
}  // namespace ds4::suites
