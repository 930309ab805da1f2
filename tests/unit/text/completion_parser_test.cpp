#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "tests/unit/text/fixtures.h"

namespace ds4 {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kEos = "<｜end▁of▁sentence｜>";
constexpr ThinkingMode kChat = ThinkingMode::kChat;
constexpr ThinkingMode kThinking = ThinkingMode::kThinking;

std::string parameter(const std::string& name, const std::string& is_string,
                      const std::string& value) {
  return "<｜DSML｜parameter name=\"" + name + "\" string=\"" + is_string + "\">" + value +
         "</｜DSML｜parameter>\n";
}
std::string invoke(const std::string& name, const std::string& body) {
  return "<｜DSML｜invoke name=\"" + name + "\">\n" + body + "</｜DSML｜invoke>\n";
}
std::string block(const std::string& invokes) {
  return "\n\n<｜DSML｜tool_calls>\n" + invokes + "</｜DSML｜tool_calls>";
}
ToolCall call(const std::string& name, const std::string& arguments) {
  return {"", name, arguments};
}

ParsedCompletion strict(const std::string& text, ThinkingMode mode = kChat) {
  return parse_completion(text, mode, ParseMode::kStrict);
}
ParsedCompletion tolerant(const std::string& text, ThinkingMode mode = kChat) {
  return parse_completion(text, mode, ParseMode::kTolerant);
}

const std::string kOneCall =
    block(invoke("f", parameter("a", "true", "x") + parameter("n", "false", "2")));
const std::string kOneArguments = R"({"a": "x", "n": 2})";

TEST(StrictParser, TakesWhatTheReferenceTakes) {
  auto parsed = strict("Hello" + kEos);
  EXPECT_EQ(parsed.content, "Hello");
  EXPECT_EQ(parsed.reasoning, "");
  EXPECT_TRUE(parsed.well_formed);

  parsed = strict("because</think>Hello" + kEos, kThinking);
  EXPECT_EQ(parsed.reasoning, "because");
  EXPECT_EQ(parsed.content, "Hello");

  parsed = strict("why</think>Look:" + kOneCall + kEos, kThinking);
  EXPECT_EQ(parsed.content, "Look:");
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", kOneArguments)));

  parsed = strict(block(invoke("f", "\n") + invoke("g", "")) + kEos);
  EXPECT_EQ(parsed.content, "");
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", "{}"), call("g", "{}")));

  EXPECT_THAT(strict(block("") + kEos).tool_calls, IsEmpty());
}

TEST(StrictParser, ValuesAreVerbatim) {
  const auto arguments = [](const std::string& body) {
    return strict(block(invoke("f", body)) + kEos).tool_calls.at(0).arguments;
  };
  EXPECT_EQ(arguments(parameter("a", "true", "line\n\"q\" <b>é</b> \\ </think>")),
            R"({"a": "line\n\"q\" <b>é</b> \\ </think>"})");
  EXPECT_EQ(arguments(parameter("a", "false", "{ \"k\":1 }")), R"({"a": { "k":1 }})");
  EXPECT_EQ(arguments(parameter("a", "false", "not json")),
            R"({"a": not json})");  // as the reference
  EXPECT_EQ(arguments(parameter("a\"b", "true", "\" string=\"true\">x")),
            R"({"a\"b": "\" string=\"true\">x"})");
  EXPECT_EQ(arguments(parameter("", "true", "")), R"({"": ""})");
  // A parameter that is not closed reaches to the next closing tag.
  EXPECT_EQ(
      arguments("<｜DSML｜parameter name=\"a\" string=\"true\">x\n" + parameter("b", "false", "2")),
      R"({"a": "x\n<｜DSML｜parameter name=\"b\" string=\"false\">2"})");
}

TEST(StrictParser, RefusesEveryDeviation) {
  const auto refuse = [](const std::string& text, ThinkingMode mode = kChat) {
    try {
      strict(text, mode);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_FALSE(error.hint().empty());
    }
  };
  refuse("");
  refuse("no end");
  refuse("a" + kEos + "b");
  refuse("a" + kEos + kEos);
  refuse("never closed" + kEos, kThinking);
  refuse("early" + kOneCall + "</think>" + kEos, kThinking);
  refuse("a</think>b" + kEos);
  refuse("<think>a</think>b" + kEos, kThinking);
  refuse("a</think>b</think>c" + kEos, kThinking);
  refuse("has <｜begin▁of▁sentence｜> inside" + kEos);
  refuse("has ｜DSML｜ inside" + kEos);
  refuse("why ｜DSML｜</think>x" + kEos, kThinking);
  refuse(kOneCall.substr(1) + kEos);  // one newline
  refuse(kOneCall);                   // no end marker
  refuse(kOneCall + "tail" + kEos);
  refuse(kOneCall + "\n" + kEos);
  refuse(kOneCall + kOneCall + kEos);

  // Inside the block.
  const auto refuse_edit = [&](const std::string& from, const std::string& to) {
    std::string text = kOneCall + kEos;
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    refuse(text);
  };
  refuse_edit("tool_calls>\n<", "tool_calls> \n<");
  refuse_edit("tool_calls>\n<", "tool_calls><");
  refuse_edit("tool_calls>\n<", "tool_calls>\n\n<");
  refuse_edit("invoke name=\"f\">\n", "invoke name=\"f\">");
  refuse_edit("invoke name=\"f\">\n", "invoke name=\"f\">\n\n\n");
  refuse_edit("invoke name=\"f\">\n", "invoke name=\"f\">\nx\n");
  refuse_edit("invoke name=\"f\">\n", "invoke named=\"f\">\n");
  refuse_edit("invoke name=\"f\">\n", "invoke>\n");
  refuse_edit(" name=\"a\"", "  name=\"a\"");
  refuse_edit(" string=\"true\"", "");
  refuse_edit(" string=\"true\"", " string=\"yes\"");
  refuse_edit("x</｜DSML｜parameter>\n", "x</｜DSML｜parameter>");
  refuse_edit("x</｜DSML｜parameter>\n", "x</｜DSML｜parameter>\n\n");
  refuse_edit("</｜DSML｜invoke>\n", "</｜DSML｜invoke>");
  refuse_edit("</｜DSML｜invoke>\n", "");
  refuse_edit("</｜DSML｜tool_calls>", "");
  refuse_edit("</｜DSML｜tool_calls>", "</｜DSML｜tool_calls");
  refuse_edit("<｜DSML｜invoke", "<DSML｜invoke");
  refuse_edit("name=\"n\"", "name=\"a\"");  // twice
  for (size_t n = 0; n < kOneCall.size(); ++n) refuse(kOneCall.substr(0, n));
}

TEST(TolerantParser, AgreesWithStrictWhereStrictAccepts) {
  std::mt19937 rng(21);
  for (int i = 0; i < 300; ++i) {
    const auto text = [&] { return text::testing_support::random_utf8(rng, rng() % 20); };
    std::string invokes;
    for (uint32_t n = rng() % 4; n > 0; --n) {
      std::string body;
      const uint32_t count = rng() % 4;
      for (uint32_t p = 0; p < count; ++p) {
        const bool is_string = rng() % 2 == 0;
        body += parameter("p" + std::to_string(p), is_string ? "true" : "false",
                          is_string ? text() : "[1, {\"k\": \"</parameter>\"}]");
      }
      invokes += invoke("f" + std::to_string(n), count == 0 ? "\n" : body);
    }
    const bool has_block = rng() % 3 != 0;
    const std::string whole =
        text() + "</think>" + text() + (has_block ? block(invokes) : "") + kEos;
    const auto a = strict(whole, kThinking);
    const auto b = tolerant(whole, kThinking);
    EXPECT_EQ(a.reasoning, b.reasoning);
    EXPECT_TRUE(b.well_formed);
    EXPECT_EQ(a.tool_calls, b.tool_calls) << whole;
    // Without a block the same; before one, tolerant leaves at most two newlines to it.
    EXPECT_EQ(a.content, b.content) << whole;
  }
}

TEST(TolerantParser, EndsAtTheEndMarkerOrAUserTurn) {
  EXPECT_EQ(tolerant("a" + kEos + "b").content, "a");
  EXPECT_EQ(tolerant("a<｜User｜>b").content, "a");
  EXPECT_EQ(tolerant("just text").content, "just text");
  EXPECT_EQ(tolerant("r" + kEos + "</think>c", kThinking).reasoning, "r");
  EXPECT_EQ(tolerant("").content, "");
}

TEST(TolerantParser, Thinking) {
  auto parsed = tolerant("never closed" + kOneCall, kThinking);
  EXPECT_EQ(parsed.reasoning, "never closed" + kOneCall);
  EXPECT_EQ(parsed.content, "");
  EXPECT_THAT(parsed.tool_calls, IsEmpty());

  parsed = tolerant("<think>why</think>what", kThinking);
  EXPECT_EQ(parsed.reasoning, "why");
  EXPECT_EQ(parsed.content, "what");
  parsed = tolerant("<think>why</think>what", kChat);
  EXPECT_EQ(parsed.reasoning, "why");
  EXPECT_EQ(parsed.content, "what");

  // A block in the reasoning is not executed.
  parsed = tolerant("try" + kOneCall + "</think>no", kThinking);
  EXPECT_EQ(parsed.reasoning, "try" + kOneCall);
  EXPECT_EQ(parsed.content, "no");
  EXPECT_THAT(parsed.tool_calls, IsEmpty());
  EXPECT_TRUE(parsed.well_formed);
}

TEST(TolerantParser, SearchesToolsAfterTheLastThinkEnd) {
  auto parsed = tolerant("a</think>b" + kOneCall + "c</think>d", kThinking);
  EXPECT_EQ(parsed.content, "b" + kOneCall + "c</think>d");
  EXPECT_THAT(parsed.tool_calls, IsEmpty());
  EXPECT_TRUE(parsed.well_formed);

  parsed = tolerant("a</think>b" + kOneCall + "c</think>d" + block(invoke("g", "\n")), kThinking);
  EXPECT_EQ(parsed.content, "b" + kOneCall + "c</think>d");
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("g", "{}")));

  // Inside a value it is text.
  parsed =
      tolerant("a</think>b" + block(invoke("f", parameter("x", "true", "</think>"))), kThinking);
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", R"({"x": "</think>"})")));
  EXPECT_EQ(parsed.content, "b");
}

TEST(TolerantParser, Variants) {
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
    return text;
  };
  const std::vector<std::string> variants = {
      kOneCall,
      kOneCall.substr(1),
      kOneCall.substr(2),
      "\n" + kOneCall,
      replaced(kOneCall, "｜DSML｜", "DSML｜"),
      replaced(kOneCall, "｜DSML｜", ""),
      replaced(kOneCall, "\n<", "<"),
      kOneCall.substr(0, 3) + replaced(kOneCall.substr(3), "\n<", " \t\r\n\n <"),
      replaced(kOneCall, "\">", "\" >"),
      replaced(kOneCall, " string=\"true\"", ""),
      replaced(kOneCall, "name=\"a\" string=\"true\"", "string=\"true\" name=\"a\" extra=\"?\""),
      replaced(kOneCall, "</｜DSML｜parameter", "</parameter"),
      kOneCall + "\n",
      kOneCall + kEos,
  };
  for (const std::string& variant : variants) {
    const auto parsed = tolerant("Text." + variant);
    EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", kOneArguments))) << variant;
    EXPECT_EQ(parsed.content, variant[2] == '\n' ? "Text.\n" : "Text.") << variant;
    EXPECT_TRUE(parsed.well_formed);
  }
}

TEST(TolerantParser, NestedParametersAreAnObject) {
  const auto parsed = tolerant(
      "<tool_calls><invoke name=\"f\"><parameter name=\"o\">\n<parameter name=\"a\">x</parameter>"
      "<parameter name=\"b\" string=\"false\">[1]</parameter>\n</parameter></invoke></tool_calls>");
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", R"({"o": {"a": "x", "b": [1]}})")));
  // Said to be a string, it is one.
  const auto text =
      tolerant(block(invoke("f", parameter("o", "true", "<parameter name=\"a\">x</parameter>"))));
  EXPECT_THAT(text.tool_calls,
              ElementsAre(call("f", R"({"o": "<parameter name=\"a\">x</parameter>"})")));
}

TEST(TolerantParser, JsonThatIsNoneBecomesAString) {
  // The strict reader would pass it on as broken JSON.
  const auto parsed = tolerant(block(
      invoke("f", parameter("a", "false", "not json") + parameter("b", "false", "{\"k\": 1}"))));
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", R"({"a": "not json", "b": {"k": 1}})")));
}

TEST(TolerantParser, MalformedBlocksStayText) {
  std::vector<std::string> malformed = {
      block(parameter("a", "true", "x")),
      block("<｜DSML｜invoke name=\"f\">\ntext\n</｜DSML｜invoke>\n"),
      block("<｜DSML｜invoke>\n</｜DSML｜invoke>\n"),
      block(invoke("f", "<｜DSML｜parameter string=\"true\">x</｜DSML｜parameter>\n")),
      block(invoke("f", parameter("a", "true", "x") + parameter("a", "true", "y"))),
      block("words"),
      "\n\n<｜DSML｜invoke name=\"f\"></｜DSML｜invoke>",
      kOneCall + "\n<｜DSML｜tool_calls>",
  };
  for (size_t n = std::string("\n\n<｜DSML｜tool").size(); n < kOneCall.size(); ++n) {
    malformed.push_back(kOneCall.substr(0, n));  // cut off
  }
  for (const std::string& text : malformed) {
    const auto parsed = tolerant("why</think>Text." + text + kEos, kThinking);
    EXPECT_EQ(parsed.content, "Text." + text);
    EXPECT_THAT(parsed.tool_calls, IsEmpty()) << text;
    EXPECT_FALSE(parsed.well_formed) << text;
  }
}

TEST(TolerantParser, SeveralBlocksAndTextBehind) {
  const auto parsed = tolerant("Text." + kOneCall + " and\n" + block(invoke("g", "\n")) + "\n");
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", kOneArguments), call("g", "{}")));
  EXPECT_EQ(parsed.content, "Text. and\n\n\n");
}

TEST(TolerantParser, ProseAboutTagsIsNoBlock) {
  const auto parsed = tolerant("Write <tool_calls> first." + kOneCall);
  EXPECT_THAT(parsed.tool_calls, ElementsAre(call("f", kOneArguments)));
  EXPECT_EQ(parsed.content, "Write <tool_calls> first.");
}

TEST(TolerantParser, HostileNestingEnds) {
  std::string deep = "<tool_calls><invoke name=\"f\">";
  for (int i = 0; i < 100000; ++i) deep += "<parameter name=\"a\">";
  EXPECT_FALSE(tolerant(deep).well_formed);
  std::string wide = "<tool_calls><invoke name=\"f\">";
  for (int i = 0; i < 20000; ++i)
    wide += "<｜DSML｜parameter name=\"a" + std::to_string(i) + "\">x</parameter>";
  EXPECT_EQ(tolerant(wide + "</invoke></tool_calls>").tool_calls.size(), 1u);
}

TEST(TolerantParser, NeverThrowsAndKeepsArgumentsValid) {
  std::mt19937 rng(22);
  const std::string whole =
      "why</think>Text." +
      block(invoke("f", parameter("a", "true", "x") + parameter("n", "false", "[2, \"é\"]")) +
            invoke("g", "\n")) +
      kEos;
  const std::vector<std::string> parts = {"</think>",
                                          "<think>",
                                          kEos,
                                          "<｜DSML｜",
                                          "<tool_calls>",
                                          "\n\n",
                                          "\"",
                                          "<",
                                          ">",
                                          "</｜DSML｜parameter>",
                                          "</｜DSML｜invoke>",
                                          "｜",
                                          "<parameter name=\"z\">",
                                          kOneCall};
  size_t n_calls = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string text = whole;
    for (uint32_t n = 1 + rng() % 5; n > 0; --n) {
      const size_t at = rng() % (text.size() + 1);
      switch (rng() % 4) {
        case 0:
          text.erase(at, 1 + rng() % 8);
          break;
        case 1:
          text.insert(at, parts[rng() % parts.size()]);
          break;
        case 2:
          text.insert(at, 1, static_cast<char>(rng()));
          break;
        default:
          text.resize(at);
      }
    }
    for (const ThinkingMode mode : {kChat, kThinking}) {
      ParsedCompletion parsed;
      ASSERT_NO_THROW(parsed = tolerant(text, mode));
      for (const ToolCall& made : parsed.tool_calls) {
        ASSERT_TRUE(nlohmann::json::accept(made.arguments)) << text << "\n" << made.arguments;
        ++n_calls;
      }
      try {
        strict(text, mode);
      } catch (const Error&) {
      }
    }
  }
  EXPECT_GT(n_calls, 500u);  // the mutations must leave something to check
}

TEST(CompletionRoundTrip, RenderedCallsParseBack) {
  std::mt19937 rng(23);
  for (int i = 0; i < 200; ++i) {
    const auto json_text = [&] {
      return nlohmann::json(text::testing_support::random_utf8(rng, rng() % 20)).dump();
    };
    Message answer;
    answer.role = "assistant";
    answer.content = "Look";
    answer.reasoning_content = "because";
    for (uint32_t n = 1 + rng() % 3; n > 0; --n) {
      answer.tool_calls.push_back(
          call("f" + std::to_string(n),
               "{\"s\": " + json_text() + ", \"o\": [1.5, " + json_text() + "]}"));
    }
    Conversation conversation;
    conversation.messages = {Message{"user", "u", {}, "", {}, "", {}, "", "", false}, answer};
    conversation.thinking = kThinking;
    const std::string prompt = render_prompt(conversation);
    const std::string completion = prompt.substr(prompt.find("<think>") + 7);
    for (const ParseMode mode : {ParseMode::kStrict, ParseMode::kTolerant}) {
      const auto parsed = parse_completion(completion, kThinking, mode);
      EXPECT_EQ(parsed.reasoning, "because");
      EXPECT_EQ(parsed.content, "Look");
      ASSERT_EQ(parsed.tool_calls.size(), answer.tool_calls.size());
      for (size_t c = 0; c < parsed.tool_calls.size(); ++c) {
        EXPECT_EQ(parsed.tool_calls[c].name, answer.tool_calls[c].name);
        EXPECT_EQ(nlohmann::json::parse(parsed.tool_calls[c].arguments),
                  nlohmann::json::parse(answer.tool_calls[c].arguments));
      }
    }
  }
}

}  // namespace
}  // namespace ds4
