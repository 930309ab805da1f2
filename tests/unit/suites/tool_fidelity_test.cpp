// tool_fidelity: the wanted calls are right, and every small change of them is not.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/tool_schema.h"
#include "support.h"

namespace ds4::suites {
namespace {

using Json = nlohmann::ordered_json;

const Suite& suite() {
  return *find_suite("tool_fidelity");
}

struct Made {
  Case made;
  Answer right;  // the wanted calls
};

Made make(const std::string& payload, int64_t length = 0) {
  Parameters parameters = default_parameters("tool_fidelity");
  parameters["payloads"] = std::vector<std::string>{payload};
  parameters["lengths"] = std::vector<int64_t>{length};
  Made out{suite().build(parameters, suite().plan(parameters).at(0), word_counter()), {}};
  out.right.finish_reason = "stop";
  const Json expected = Json::parse(out.made.expected);
  for (const Json& call : expected.at("wanted")) {
    out.right.tool_calls.push_back({"", call.at("name"), call.at("arguments").dump()});
  }
  return out;
}

std::vector<std::string> payloads() {
  return parameter_as<std::vector<std::string>>(default_parameters("tool_fidelity"), "payloads");
}

TEST(ToolFidelity, TheWantedCallsAreRightInAnyOrder) {
  for (const std::string& payload : payloads()) {
    Made m = make(payload);
    std::reverse(m.right.tool_calls.begin(), m.right.tool_calls.end());
    const Score score = suite().score(m.made.expected, m.right);
    EXPECT_EQ(score.grade, Grade::kCorrect) << payload << ": " << score.explanation;
    EXPECT_EQ(score.values.at("values"), 1) << payload;
  }
}

TEST(ToolFidelity, ValuesStandInTheRequest) {
  for (const std::string& payload : payloads()) {
    const Made m = make(payload);
    const std::string& request = m.made.conversation.messages.back().content;
    const Json expected = Json::parse(m.made.expected);
    for (const Json& call : expected.at("wanted")) {
      for (const auto& [name, value] : call.at("arguments").items()) {
        if (value.is_object()) continue;
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        EXPECT_NE(request.find(text), std::string::npos) << payload << " " << name;
      }
    }
  }
}

TEST(ToolFidelity, PayloadsAreAsHardAsTheySay) {
  const auto first = [](const std::string& payload, const char* argument) {
    return Json::parse(make(payload).made.expected).at("wanted").at(0).at("arguments").at(argument);
  };
  EXPECT_GE(first("code", "text").get<std::string>().size(), 2048u);
  EXPECT_TRUE(first("leading_zeros", "number").get<std::string>().starts_with("00"));
  const int64_t large = first("integers", "value");
  EXPECT_NE(static_cast<int64_t>(static_cast<double>(large)), large) << "a double holds it";
  EXPECT_NE(first("newlines", "text").get<std::string>().find("\n\n\t"), std::string::npos);
  const std::string signs = first("non_bmp", "text");
  EXPECT_TRUE(std::ranges::any_of(signs, [](char c) { return (c & 0xf8) == 0xf0; }));
  EXPECT_GE(make("parallel").right.tool_calls.size(), 3u);
}

// One argument of one call at a time, to its nearest neighbour.
TEST(ToolFidelity, EveryChangedArgumentIsWrong) {
  for (const std::string& payload : payloads()) {
    const Made m = make(payload);
    for (size_t i = 0; i < m.right.tool_calls.size(); ++i) {
      const Json arguments = Json::parse(m.right.tool_calls[i].arguments);
      for (const auto& [name, value] : arguments.items()) {
        std::vector<Json> neighbours = {nullptr, value.dump()};
        if (value.is_string()) {
          const std::string text = value;
          neighbours = {text + " ", text.substr(1), text.substr(0, text.size() - 1), 7};
        } else if (value.is_number_integer()) {
          const int64_t number = value;
          neighbours = {number + 1, static_cast<double>(number), std::to_string(number)};
        }
        for (const Json& neighbour : neighbours) {
          Answer changed = m.right;
          Json other = arguments;
          other[name] = neighbour;
          changed.tool_calls[i].arguments = other.dump();
          const Score score = suite().score(m.made.expected, changed);
          EXPECT_EQ(score.grade, Grade::kWrong) << payload << " " << name << " " << neighbour;
          EXPECT_LT(score.values.at("values"), 1) << payload << " " << name;
          EXPECT_EQ(score.values.at("calls"), 1);
        }
        Answer without = m.right;
        Json less = arguments;
        less.erase(name);
        without.tool_calls[i].arguments = less.dump();
        EXPECT_EQ(suite().score(m.made.expected, without).values.at("schema_valid"), 0);
      }
    }
  }
}

TEST(ToolFidelity, CallsMissingDoubledOrOffTheSchemaAreWrong) {
  const Made m = make("parallel");
  const auto values = [&](const Answer& answer) {
    const Score score = suite().score(m.made.expected, answer);
    EXPECT_EQ(score.grade, Grade::kWrong);
    return score.values;
  };
  Answer fewer = m.right;
  fewer.tool_calls.pop_back();
  EXPECT_EQ(values(fewer).at("calls"), 0);
  Answer more = m.right;
  more.tool_calls.push_back(more.tool_calls[0]);
  EXPECT_EQ(values(more).at("calls"), 0);
  EXPECT_EQ(values(more).at("values"), 1);
  Answer one_id = m.right;
  for (ToolCall& call : one_id.tool_calls) call.id = "a";
  EXPECT_EQ(values(one_id).at("schema_valid"), 0);
  Answer invented = m.right;
  invented.tool_calls[0].arguments.insert(1, R"("more": 1, )");
  EXPECT_EQ(values(invented).at("schema_valid"), 0);
  Answer leaking = m.right;
  leaking.content = "Done.</think>";
  EXPECT_EQ(values(leaking).at("no_leak"), 0);
  Answer silent = content_answer("Done.");
  EXPECT_EQ(values(silent).at("schema_valid"), 0);
  Answer cut = m.right;
  cut.finish_reason = "length";
  EXPECT_EQ(suite().score(m.made.expected, cut).grade, Grade::kInvalid);
}

TEST(ToolFidelity, LengthsCountTheToolsToo) {
  for (const int64_t length : {2048, 5000}) {
    const Made m = make("code", length);
    EXPECT_EQ(word_counter().count(m.made.conversation), length);
    EXPECT_EQ(m.made.conversation.messages.at(0).tools.size(), 4u);
  }
  Parameters parameters = default_parameters("tool_fidelity");
  parameters["lengths"] = std::vector<int64_t>{64};
  EXPECT_THROW(suite().plan(parameters), Error);
}

TEST(ToolSchema, NamesWhatIsOff) {
  const std::vector<std::string> functions = {
      function_text("f", "A tool",
                    {{"unit", {{"type", "string"}, {"enum", {"a", "b"}}}},
                     {"list", {{"type", "array"}, {"items", {{"type", "integer"}}}}}},
                    {"unit"})};
  const auto problem = [&](const std::string& arguments) {
    return schema_problem({"", "f", arguments}, functions);
  };
  EXPECT_EQ(problem(R"({"unit": "a", "list": [1, 2]})"), "");
  EXPECT_EQ(problem(R"({"unit": "c"})"), "unit of f is none of the values allowed");
  EXPECT_EQ(problem(R"({"list": []})"), "f lacks unit");
  EXPECT_EQ(problem(R"({"unit": "a", "list": [1.0]})"), "an item of list of f is no integer");
  EXPECT_EQ(problem(R"({"unit": "a", "x": 1})"), "f has an invented x");
  EXPECT_EQ(problem("[]"), "the arguments of f are no JSON object");
  EXPECT_EQ(schema_problem({"", "g", "{}"}, functions), "the tool \"g\" was not offered");
}

}  // namespace
}  // namespace ds4::suites
