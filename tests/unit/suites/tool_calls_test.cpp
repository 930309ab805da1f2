// Grades of the tool-call suite, and how tools are announced.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "support.h"

namespace ds4::suites {
namespace {

const char kExpected[] = R"({
  "wanted": {"name": "book_table", "arguments": {"city": "Oslo", "guests": 5}},
  "offered": [{"name": "book_table", "parameters": {"city": "string", "guests": "integer"}},
              {"name": "get_time", "parameters": {"city": "string"}}]})";

Score grade(const std::vector<ToolCall>& calls, const std::string& content = "",
            const std::string& finish = "stop") {
  Answer answer = content_answer(content, finish);
  answer.tool_calls = calls;
  return find_suite("tool_calls")->score(kExpected, answer);
}

ToolCall call(const std::string& name, const std::string& arguments) {
  return {"1", name, arguments};
}

void expect_values(const Score& score, double schema, double function, double arguments,
                   double leak) {
  EXPECT_EQ(score.values.at("schema_valid"), schema) << score.explanation;
  EXPECT_EQ(score.values.at("function"), function) << score.explanation;
  EXPECT_EQ(score.values.at("arguments"), arguments) << score.explanation;
  EXPECT_EQ(score.values.at("no_leak"), leak) << score.explanation;
  const bool all = schema + function + arguments + leak == 4;
  EXPECT_EQ(score.values.at("correct"), all ? 1 : 0);
  EXPECT_EQ(score.grade, all ? Grade::kCorrect : Grade::kWrong);
}

TEST(ToolCallScore, RightCall) {
  expect_values(grade({call("book_table", R"({"city": "Oslo", "guests": 5})")}), 1, 1, 1, 1);
  expect_values(grade({call("book_table", R"({"guests": 5, "city": "oslo."})")}, "I will book it."),
                1, 1, 1, 1);
}

TEST(ToolCallScore, WrongArguments) {
  expect_values(grade({call("book_table", R"({"city": "Rome", "guests": 5})")}), 1, 1, 0, 1);
  expect_values(grade({call("book_table", R"({"city": "Oslo", "guests": 5.0})")}), 0, 1, 0, 1);
  expect_values(grade({call("book_table", R"({"city": "Oslo", "guests": "5"})")}), 0, 1, 0, 1);
  expect_values(grade({call("book_table", R"({"city": "Oslo"})")}), 0, 1, 0, 1);
  expect_values(grade({call("book_table", R"({"city": "Oslo", "guests": 5, "when": "now"})")}), 0,
                1, 1, 1);
  expect_values(grade({call("book_table", "not json")}), 0, 1, 0, 1);
  expect_values(grade({call("book_table", "[1]")}), 0, 1, 0, 1);
}

TEST(ToolCallScore, WrongFunctionOrNumberOfCalls) {
  expect_values(grade({call("get_time", R"({"city": "Oslo"})")}), 1, 0, 0, 1);
  expect_values(grade({call("rm_rf", "{}")}), 0, 0, 0, 1);
  const ToolCall right = call("book_table", R"({"city": "Oslo", "guests": 5})");
  expect_values(grade({right, right}), 0, 0, 0, 1);
  const Score none = grade({}, "I booked a table.");
  expect_values(none, 0, 0, 0, 1);
  EXPECT_NE(none.explanation.find("calls no function"), std::string::npos);
}

TEST(ToolCallScore, LeakedMarkersFailTheCase) {
  const ToolCall right = call("book_table", R"({"city": "Oslo", "guests": 5})");
  expect_values(grade({right}, "done</think>"), 1, 1, 1, 0);
  expect_values(grade({},
                      "<\xef\xbd\x9c"
                      "DSML\xef\xbd\x9c"
                      "tool_calls>\n"),
                0, 0, 0, 0);
}

TEST(ToolCallScore, CutBeforeACallIsInvalid) {
  EXPECT_EQ(grade({},
                  "<\xef\xbd\x9c"
                  "DSML",
                  "length")
                .grade,
            Grade::kInvalid);
  EXPECT_EQ(grade({}, "", "error").grade, Grade::kInvalid);
}

TEST(ToolCalls, PromptAnnouncesTheWantedToolAndHoldsTheArguments) {
  const Suite& suite = *find_suite("tool_calls");
  Parameters parameters = default_parameters("tool_calls");
  parameters["cases"] = int64_t{64};
  std::set<size_t> offered_counts;
  for (const CaseSpec& spec : suite.plan(parameters)) {
    const Case made = suite.build(parameters, spec, word_counter());
    ASSERT_EQ(made.conversation.messages.size(), 2u);
    const Message& system = made.conversation.messages[0];
    EXPECT_EQ(system.role, "system");
    EXPECT_EQ(system.content, "");
    offered_counts.insert(system.tools.size());
    const auto expected = nlohmann::json::parse(made.expected);
    EXPECT_EQ(expected.at("offered").size(), system.tools.size());
    bool announced = false;
    for (const std::string& tool : system.tools) {
      const auto json = nlohmann::json::parse(tool);
      announced = announced || json.at("name") == expected.at("wanted").at("name");
      EXPECT_EQ(json.at("parameters").at("type"), "object");
    }
    EXPECT_TRUE(announced);
    const std::string& request = made.conversation.messages[1].content;
    for (const auto& [name, value] : expected.at("wanted").at("arguments").items()) {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      EXPECT_NE(request.find(text), std::string::npos) << request;
    }
    ToolCall right{"1", expected.at("wanted").at("name"),
                   expected.at("wanted").at("arguments").dump()};
    Answer answer;
    answer.tool_calls = {right};
    answer.finish_reason = "stop";
    EXPECT_EQ(suite.score(made.expected, answer).grade, Grade::kCorrect);
  }
  EXPECT_EQ(offered_counts, (std::set<size_t>{1, 2, 3}));
}

TEST(ToolCalls, SystemTextIsTheShortForm) {
  const Suite& suite = *find_suite("tool_calls");
  Parameters parameters = default_parameters("tool_calls");
  parameters["tools_in"] = std::string("system_text");
  parameters["offered_max"] = int64_t{1};
  const CaseSpec spec = suite.plan(parameters).at(0);
  const Case made = suite.build(parameters, spec, word_counter());
  EXPECT_TRUE(made.conversation.messages[0].tools.empty());
  EXPECT_EQ(
      made.conversation.messages[0].content,
      "## Tools\n{\"name\": \"get_weather\", \"description\": \"Get the current weather for a "
      "city\", \"parameters\": {\"city\": \"string\"}}\n");
}

}  // namespace
}  // namespace ds4::suites
