// Grades of the smoke suite.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
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

// The first accepted answers, one for each turn.
std::vector<std::string> accepted_answers(const Case& made) {
  const auto expected = nlohmann::json::parse(made.expected);
  if (!expected.contains("turns")) return {expected.at("accept").at(0)};
  std::vector<std::string> out;
  for (const auto& turn : expected.at("turns")) out.push_back(turn.at("accept").at(0));
  return out;
}

Parameters of_style(const std::string& style) {
  Parameters parameters = default_parameters("smoke");
  parameters["style"] = style;
  parameters["kinds"] = std::vector<std::string>{"quick", "quality", "coding"};
  return parameters;
}

TEST(Smoke, EveryAcceptedAnswerIsGradedCorrectAndHoldsItsKey) {
  const Suite& smoke = *find_suite("smoke");
  for (const char* style : {"bare", "instructed"}) {
    const Parameters parameters = of_style(style);
    for (const CaseSpec& spec : smoke.plan(parameters)) {
      const Case made = smoke.build(parameters, spec, word_counter());
      if (made.expected.find("\"code\"") != std::string::npos) continue;  // below
      std::vector<Turn> turns;
      for (const std::string& text : accepted_answers(made)) {
        turns.push_back({content_answer(text)});
        turns.back().reply = smoke.reply(made.expected, turns);
      }
      EXPECT_TRUE(turns.back().reply.empty()) << spec.id << " has more turns than answers";
      const Score score = smoke.score_turns(made.expected, turns);
      EXPECT_EQ(score.grade, Grade::kCorrect) << spec.id << score.explanation;
      EXPECT_EQ(score.values.at("contains"), 1) << spec.id;
      turns.back().answer = content_answer("surely not this");
      EXPECT_EQ(smoke.score_turns(made.expected, turns).grade, Grade::kWrong) << spec.id;
      turns.back().answer = content_answer("surely", "length");
      EXPECT_EQ(smoke.score_turns(made.expected, turns).grade, Grade::kInvalid) << spec.id;
    }
  }
}

std::map<std::string, Case> instructed_cases() {
  const Parameters parameters = of_style("instructed");
  std::map<std::string, Case> out;
  for (const CaseSpec& spec : find_suite("smoke")->plan(parameters)) {
    out[spec.id] = find_suite("smoke")->build(parameters, spec, word_counter());
  }
  return out;
}

TEST(Smoke, ThePublishedCallHasRoomAndIsAsserted) {
  const Case made = instructed_cases().at("reap_online");
  EXPECT_EQ(joined_text(made), "Say exactly: REAP online.");
  const auto grade_of = [&](const char* text) {
    return find_suite("smoke")->score(made.expected, content_answer(text)).grade;
  };
  EXPECT_EQ(grade_of("REAP online."), Grade::kCorrect);
  EXPECT_EQ(grade_of("REAP online"), Grade::kWrong);
  EXPECT_EQ(grade_of("Reap online."), Grade::kWrong);
  EXPECT_EQ(grade_of(""), Grade::kWrong);
  Parameters parameters = of_style("instructed");
  parameters["max_tokens"] = int64_t{16};
  EXPECT_THROW(find_suite("smoke")->plan(parameters), Error);
  parameters["style"] = std::string("bare");
  EXPECT_NO_THROW(find_suite("smoke")->plan(parameters));
}

TEST(Smoke, TurnsAreAskedOneAfterTheOtherAndJudgedTogether) {
  const Suite& smoke = *find_suite("smoke");
  const auto made = instructed_cases();
  const std::string expected = made.at("correction").expected;
  std::vector<Turn> turns = {{content_answer("OK")}};
  EXPECT_NE(smoke.reply(expected, turns).at(0).content.find("Thursday"), std::string::npos);
  turns.push_back({content_answer("Sure.")});
  EXPECT_FALSE(smoke.reply(expected, turns).empty()) << "a wrong turn does not end the case";
  turns.push_back({content_answer("Thursday")});
  EXPECT_TRUE(smoke.reply(expected, turns).empty());
  const Score score = smoke.score_turns(expected, turns);
  EXPECT_EQ(score.grade, Grade::kWrong);
  EXPECT_TRUE(score.explanation.starts_with("Turn 2: ")) << score.explanation;
  EXPECT_EQ(score.extracted, "OK | Sure.");
  turns.resize(1);
  turns[0].answer.finish_reason = "length";
  turns[0].answer.content = turns[0].answer.text = "O";
  EXPECT_TRUE(smoke.reply(expected, turns).empty());
  EXPECT_EQ(smoke.score_turns(expected, turns).grade, Grade::kInvalid);
  // Told in one request, the same question stands behind the same turns.
  const Conversation told = made.at("pets_told").conversation;
  ASSERT_EQ(told.messages.size(), 5u);
  EXPECT_EQ(told.messages[0].content, made.at("pets").conversation.messages[0].content);
  EXPECT_EQ(told.messages[3].role, "assistant");
}

struct Written {
  const char* id;
  const char* code;
  const char* wrong;  // part of the explanation; "" = right
};

TEST(Smoke, FunctionsAreReadNotRun) {
  const auto made = instructed_cases();
  const std::vector<Written> answers = {
      {"clamp",
       "Here:\n```python\ndef clamp(x, low, high):\n    \"\"\"min and max ( are words here.\"\"\"\n"
       "    if x < low:\n        return low\n    return high if x > high else x  # no print(\n```",
       ""},
      {"clamp",
       "```py\ndef clamp(x: float, low: float = 0, high: float = max) -> float:\n    return "
       "low\n```",
       "`max` was not to be used"},
      {"clamp", "```python\ndef clamp(x, bounds):\n    return low, high\n```", "does not have 3"},
      {"clamp", "```python\ndef clip(x, low, high):\n    return clamp(x, low, high)\n```",
       "no function `clamp`"},
      {"clamp", "```python\ndef clamp(x, low, high):\n    return (low\n```", "not balanced"},
      {"clamp", "def clamp(x, low, high):\n    return x", "no fenced block"},
      {"clamp", "```cpp\nint clamp(int x, int low, int high) { return x; }\n```", "tagged cpp"},
      {"recursive",
       "```python\ndef digits(n):\n    return 0 if n == 0 else n % 10 + digits(n // 10)\n```", ""},
      {"recursive", "```python\ndef digits(n):\n    return sum(int(c) for c in str(n))\n```",
       "`for` was not to be used"},
      {"c_max",
       "```c\n/* the largest ) */\nint largest(const int *values, int n)\n{\n    int best = "
       "values[0];\n"
       "    for (int i = 1; i < n; ++i)\n        if (values[i] > best) best = values[i];\n"
       "    return best;\n}\n```",
       ""},
      {"c_max", "```c\nint largest(const int *values, int n);\n```", "no function `largest`"},
      {"c_max", "```c\nint other(int *values, int n) { return largest(values, n); }\n```",
       "no function `largest`"},
      {"context",
       "```\ndef count_lines(path):\n    with open(path) as lines:\n        return sum(1 for _ in "
       "lines)\n```",
       ""},
      {"context", "```\ndef count_lines(path):\n    return len(open(path).readlines())\n```",
       "`with` is missing"},
  };
  for (const Written& answer : answers) {
    const Score score =
        find_suite("smoke")->score(made.at(answer.id).expected, content_answer(answer.code));
    EXPECT_EQ(score.grade == Grade::kCorrect, *answer.wrong == 0) << score.explanation;
    EXPECT_NE(score.explanation.find(answer.wrong), std::string::npos) << score.explanation;
  }
  for (const char* unit : {"(", "def clamp(", "\"", "\"\"\"", "# ", "clamp(x, ", "'\\"}) {
    std::string code = "```python\n";
    while (code.size() < (1u << 20)) code += unit;
    const Score score =
        find_suite("smoke")->score(made.at("clamp").expected, content_answer(code + "\n```"));
    EXPECT_EQ(score.grade, Grade::kWrong) << unit;
  }
}

}  // namespace
}  // namespace ds4::suites
