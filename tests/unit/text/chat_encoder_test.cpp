#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/unit/text/fixtures.h"

namespace ds4 {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kBos = "<｜begin▁of▁sentence｜>";
const std::string kEos = "<｜end▁of▁sentence｜>";
const std::string kUser = "<｜User｜>";
const std::string kAssistant = "<｜Assistant｜>";

Message message(const std::string& role, const std::string& content) {
  Message m;
  m.role = role;
  m.content = content;
  return m;
}

Message system(const std::string& text) {
  return message("system", text);
}
Message user(const std::string& text) {
  return message("user", text);
}
Message with_task(Message m, const std::string& task) {
  m.task = task;
  return m;
}
Message assistant(const std::string& text, const std::string& reasoning = "") {
  Message m = message("assistant", text);
  m.reasoning_content = reasoning;
  return m;
}
Message calls(std::vector<ToolCall> list, const std::string& reasoning = "") {
  Message m = assistant("", reasoning);
  m.tool_calls = std::move(list);
  return m;
}
Message tool(const std::string& id, const std::string& text) {
  Message m = message("tool", text);
  m.tool_call_id = id;
  return m;
}

std::string render(std::vector<Message> messages, ThinkingMode thinking = ThinkingMode::kChat) {
  Conversation conversation;
  conversation.messages = std::move(messages);
  conversation.thinking = thinking;
  return render_prompt(conversation);
}
std::string think(std::vector<Message> messages) {
  return render(std::move(messages), ThinkingMode::kThinking);
}

// What the prompt says about one call's arguments.
std::string parameters(const std::string& arguments) {
  const std::string text = render({user("u"), calls({{"1", "f", arguments}})});
  const std::string before = "<｜DSML｜invoke name=\"f\">\n";
  const size_t begin = text.find(before) + before.size();
  return text.substr(begin, text.find("\n</｜DSML｜invoke>") - begin);
}

constexpr const char* kWeather =
    R"({"name":"get_weather","description":"Weather by city","parameters":{"type":"object","properties":)"
    R"({"city":{"type":"string"},"days":{"type":"integer"}}}})";

TEST(ChatEncoder, WorkedExamples) {
  std::ifstream in(text::testing_support::source_path("tests/golden/text/worked_examples.json"));
  const auto expected = nlohmann::json::parse(in).get<std::vector<std::string>>();
  ASSERT_EQ(expected.size(), 3u);
  EXPECT_EQ(render({system("You are terse."), user("Hi")}), expected[0]);
  EXPECT_EQ(think({user("2+2?"), assistant("4", "Simple."), user("And 3+3?")}), expected[1]);
  Message instructions = system("Be helpful.");
  instructions.tools = {kWeather};
  EXPECT_EQ(
      think({instructions, user("Weather in Rome, 2 days?"),
             calls({{"call_1", "get_weather", R"({"city": "Rome", "days": 2})"}}, "Need the tool."),
             tool("call_1", R"({"t": [21, 23]})")}),
      expected[2]);
}

TEST(ChatEncoder, BosExactlyOnceAndNotAfterAContext) {
  EXPECT_EQ(render({}), kBos);
  Conversation conversation;
  conversation.messages = {user("Hi")};
  conversation.thinking = ThinkingMode::kThinking;
  conversation.reasoning_effort = "max";
  EXPECT_THAT(render_prompt(conversation), StartsWith(kBos + "Reasoning Effort: "));
  conversation.has_context_prefix = true;
  EXPECT_EQ(render_prompt(conversation), kUser + "Hi" + kAssistant + "<think>");
}

TEST(ChatEncoder, EffortTextsDependOnTheRelease) {
  const auto prefix = [](const char* effort, Release release, ThinkingMode thinking) {
    Conversation conversation;
    conversation.messages = {user("Hi")};
    conversation.thinking = thinking;
    conversation.reasoning_effort = effort;
    const std::string text = render_prompt(conversation, release).substr(kBos.size());
    return text.substr(0, text.find(kUser));
  };
  const std::string absolute =
      "Reasoning Effort: Absolute maximum with no shortcuts permitted.\nYou MUST be very thorough "
      "in "
      "your thinking and comprehensively decompose the problem to resolve the root cause, "
      "rigorously "
      "stress-testing your logic against all potential paths, edge cases, and adversarial "
      "scenarios.\n"
      "Explicitly write out your entire deliberation process, documenting every intermediate step, "
      "considered alternative, and rejected hypothesis to ensure absolutely no assumption is left "
      "unchecked.\n\n";
  const std::string beyond =
      "Reasoning Effort: Beyond maximum \u2014 exhaustive, relentless, and uncompromising.\nYou "
      "MUST "
      "reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively "
      "decompose the problem into its most fundamental components, trace every causal chain to its "
      "root, and resolve the underlying cause rather than any surface symptom.\nDo not stop "
      "reasoning "
      "until you have independently verified the solution from multiple angles and are certain "
      "that no "
      "assumption remains unchecked and no error remains undiscovered.\n\n";
  const ThinkingMode on = ThinkingMode::kThinking;
  for (const char* effort : {"", "low"}) {
    EXPECT_EQ(prefix(effort, Release::kApril, on), "");
    EXPECT_EQ(prefix(effort, Release::k0731, on), "");
  }
  EXPECT_EQ(prefix("high", Release::kApril, on), "");
  EXPECT_EQ(prefix("high", Release::k0731, on), absolute);
  EXPECT_EQ(prefix("max", Release::kApril, on), absolute);
  EXPECT_EQ(prefix("max", Release::k0731, on), beyond);
  EXPECT_EQ(prefix("max", Release::k0731, ThinkingMode::kChat), "");
  EXPECT_THROW(prefix("medium", Release::k0731, on), Error);
}

TEST(ChatEncoder, ReleaseIsToldFromTheCheckpoint) {
  const text::testing_support::TemporaryFolder folder;
  EXPECT_EQ(release_of_checkpoint(folder.path()), std::nullopt);
  std::filesystem::create_directory(folder.path() / "encoding");
  const auto file = folder.path() / "encoding" / "encoding_dsv4.py";
  write_file_atomic(file, "REASONING_EFFORT_MAX = '...'\n");
  EXPECT_EQ(release_of_checkpoint(folder.path()), Release::kApril);
  write_file_atomic(file, "REASONING_EFFORT_PROMPTS = {}\n");
  EXPECT_EQ(release_of_checkpoint(folder.path()), Release::k0731);
}

TEST(ChatEncoder, FixedTextsAreThoseOfTheModelsDefinition) {
  const auto spec = text::testing_support::shared_path("spec/model.md");
  if (!spec) GTEST_SKIP() << "spec/model.md is not under $DS4_SHARED or ../shared";
  std::ifstream in(*spec);
  const std::string definition((std::istreambuf_iterator<char>(in)), {});
  const auto quoted_after = [&](const std::string& heading) {
    const size_t begin = definition.find("```\n", definition.find(heading)) + 4;
    return definition.substr(begin, definition.find("\n```", begin) + 1 - begin);
  };
  Conversation conversation;
  conversation.messages = {system("S"), user("U")};
  conversation.messages[0].tools = {"{\"name\": \"f\"}"};
  conversation.thinking = ThinkingMode::kThinking;
  for (const auto& [effort, heading] :
       {std::pair{"high", "\nText H"}, std::pair{"max", "\nText X"}}) {
    conversation.reasoning_effort = effort;
    EXPECT_THAT(render_prompt(conversation, Release::k0731),
                StartsWith(kBos + quoted_after(heading) + "S\n\n## Tools"));
  }
  std::string block = quoted_after("\nTools block; {SCHEMAS}");
  block.replace(block.find("{SCHEMAS}"), 9, "{\"name\": \"f\"}");
  EXPECT_THAT(render_prompt(conversation), HasSubstr("S\n\n" + block + kUser + "U"));
}

TEST(ChatEncoder, UserMessagesInARowShareOneTurn) {
  EXPECT_EQ(render({user("a"), user("b"), user("c")}),
            kBos + kUser + "a\n\nb\n\nc" + kAssistant + "</think>");
}

TEST(ChatEncoder, ToolResultsShareOneTurnInTheOrderOfTheCalls) {
  const std::string text =
      render({user("u"), calls({{"x", "f", "{}"}, {"y", "g", "{}"}, {"z", "h", "{}"}}),
              tool("z", "3"), tool("x", "1"), user("also"), tool("y", "2")});
  EXPECT_THAT(text,
              HasSubstr("</｜DSML｜tool_calls>" + kEos + kUser +
                        "<tool_result>1</tool_result>\n\n<tool_result>2</tool_result>\n\nalso\n\n"
                        "<tool_result>3</tool_result>" +
                        kAssistant + "</think>"));
}

TEST(ChatEncoder, UnknownResultsCountAsTheFirstCall) {
  const std::string text = render({user("u"), calls({{"x", "f", "{}"}, {"y", "g", "{}"}}),
                                   tool("y", "2"), tool("?", "unknown"), tool("x", "1")});
  EXPECT_THAT(text,
              HasSubstr("<tool_result>unknown</tool_result>\n\n<tool_result>1</tool_result>\n\n"
                        "<tool_result>2</tool_result>"));
}

TEST(ChatEncoder, ResultsFollowTheLatestCalls) {
  const std::string text = render(
      {user("u"), calls({{"x", "f", "{}"}, {"y", "g", "{}"}}), tool("y", "2"), tool("x", "1"),
       calls({{"y", "f", "{}"}, {"x", "g", "{}"}}), tool("x", "4"), tool("y", "3")});
  EXPECT_THAT(text, HasSubstr(">1</tool_result>\n\n<tool_result>2<"));
  EXPECT_THAT(text, HasSubstr(">3</tool_result>\n\n<tool_result>4<"));
  // Without any calls there is no order to follow.
  EXPECT_THAT(render({tool("b", "2"), tool("a", "1")}),
              HasSubstr(">2</tool_result>\n\n<tool_result>1<"));
}

TEST(ChatEncoder, ToolResultsMayBeLists) {
  Message result = tool("x", "ignored");
  result.content_parts = {{"text", "one"}, {"image_url", ""}, {"text", "two"}};
  EXPECT_THAT(render({user("u"), calls({{"x", "f", "{}"}}), result}),
              HasSubstr("<tool_result>one\n\n[Unsupported image_url]\n\ntwo</tool_result>"));
  Message other = user("");
  other.content_parts = {{"text", "one"}};
  EXPECT_THROW(render({other}), Error);
}

TEST(ChatEncoder, ThinkingIsDroppedBeforeTheLastUser) {
  const std::string text =
      think({user("a"), assistant("b", "old"), user("c"), assistant("d", "new")});
  EXPECT_EQ(text, kBos + kUser + "a" + kAssistant + "</think>b" + kEos + kUser + "c" + kAssistant +
                      "<think>new</think>d" + kEos);
  Conversation keep;
  keep.messages = {user("a"), assistant("b", "old"), user("c")};
  keep.thinking = ThinkingMode::kThinking;
  keep.drop_thinking = false;
  EXPECT_EQ(render_prompt(keep), kBos + kUser + "a" + kAssistant + "<think>old</think>b" + kEos +
                                     kUser + "c" + kAssistant + "<think>");
  keep.thinking = ThinkingMode::kChat;
  EXPECT_THAT(render_prompt(keep), HasSubstr(kAssistant + "</think>b" + kEos));
}

TEST(ChatEncoder, ToolsKeepTheThinking) {
  Message instructions = system("");
  instructions.tools = {R"({"name":"f"})"};
  EXPECT_THAT(think({instructions, user("a"), assistant("b", "old"), user("c")}),
              HasSubstr("<think>old</think>b"));
}

TEST(ChatEncoder, DeveloperMessages) {
  Message developer = message("developer", "Do it.");
  developer.response_format = R"({"type":"object"})";
  EXPECT_EQ(
      render({developer}),
      kBos + kUser +
          "Do it.\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to "
          "reply:\n{\"type\": \"object\"}" +
          kAssistant + "</think>");
  // Before the last user they go with the old thinking; in chat mode they stay.
  EXPECT_EQ(think({developer, user("u")}), kBos + kUser + "u" + kAssistant + "<think>");
  EXPECT_THAT(render({developer, user("u")}), HasSubstr("Do it."));
  // A developer message can be the last "user".
  EXPECT_THAT(think({user("u"), assistant("a", "old"), message("developer", "d")}),
              testing::EndsWith("</think>a" + kEos + kUser + "d" + kAssistant + "<think>"));
}

TEST(ChatEncoder, SystemTextHasNoMarkerAndNoSeparator) {
  EXPECT_EQ(render({system("S"), user("U")}), kBos + "S" + kUser + "U" + kAssistant + "</think>");
  Message both = system("S");
  both.tools = {R"({"name":"f"})", R"({"name":"g","x":1.50})"};
  both.response_format = "{}";
  const std::string text = render({both, user("U")});
  EXPECT_THAT(text, HasSubstr("S\n\n## Tools\n\n"));
  EXPECT_THAT(text, HasSubstr("### Available Tool Schemas\n\n{\"name\": \"f\"}\n{\"name\": \"g\", "
                              "\"x\": 1.5}\n\nYou MUST"));
  EXPECT_THAT(text, HasSubstr("to invoke tool calls.\n\n\n## Response Format:\n\n"));
  EXPECT_THAT(text, HasSubstr("to reply:\n{}" + kUser));
}

TEST(ChatEncoder, LatestReminder) {
  EXPECT_EQ(render({user("u"), message("latest_reminder", "today"), assistant("a")}),
            kBos + kUser + "u" + kAssistant + "</think><｜latest_reminder｜>todaya" + kEos);
  EXPECT_EQ(render({message("latest_reminder", "today"), user("u")}),
            kBos + "<｜latest_reminder｜>today" + kUser + "u" + kAssistant + "</think>");
}

TEST(ChatEncoder, TransitionsOnlyBeforeAnAnswer) {
  EXPECT_EQ(render({user("u"), system("s")}), kBos + kUser + "us");
  EXPECT_EQ(render({user("u"), assistant("a")}),
            kBos + kUser + "u" + kAssistant + "</think>a" + kEos);
  EXPECT_EQ(render({system("s")}), kBos + "s");
}

TEST(ChatEncoder, Tasks) {
  for (const char* task : {"query", "authority", "domain", "title", "read_url"}) {
    EXPECT_EQ(think({with_task(user("u"), task)}), kBos + kUser + "u<｜" + task + "｜>");
  }
  EXPECT_EQ(think({with_task(user("u"), "action")}),
            kBos + kUser + "u" + kAssistant + "<think><｜action｜>");
  EXPECT_EQ(render({with_task(user("u"), "action")}),
            kBos + kUser + "u" + kAssistant + "</think><｜action｜>");
  EXPECT_THROW(render({with_task(user("u"), "dance")}), Error);
  // The answer to a task has no reasoning, and no transition stands before a further user turn.
  EXPECT_EQ(think({with_task(user("u"), "title"), assistant("T", "never shown")}),
            kBos + kUser + "u<｜title｜>T" + kEos);
  EXPECT_EQ(render({with_task(user("a"), "title"), user("b")}),
            kBos + kUser + "a" + kUser + "b" + kAssistant + "</think>");
  // Merging into the turn before loses the task, as in the reference.
  EXPECT_EQ(render({user("a"), with_task(user("b"), "title")}),
            kBos + kUser + "a\n\nb" + kAssistant + "</think>");
  EXPECT_EQ(render({with_task(assistant("a"), "title")}), kBos + "a" + kEos + "<｜title｜>");
}

TEST(ChatEncoder, WithoutEos) {
  Message answer = assistant("par");
  answer.without_eos = true;
  EXPECT_EQ(render({user("u"), answer}), kBos + kUser + "u" + kAssistant + "</think>par");
}

TEST(ChatEncoder, ToolCalls) {
  EXPECT_EQ(
      render({user("u"), calls({{"1", "f", "{}"}, {"2", "g", R"({"a":"x","b":[1,"y"]})"}})}),
      kBos + kUser + "u" + kAssistant +
          "</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n\n</｜DSML｜invoke>\n"
          "<｜DSML｜invoke name=\"g\">\n<｜DSML｜parameter name=\"a\" "
          "string=\"true\">x</｜DSML｜parameter>\n"
          "<｜DSML｜parameter name=\"b\" string=\"false\">[1, \"y\"]</｜DSML｜parameter>\n"
          "</｜DSML｜invoke>\n</｜DSML｜tool_calls>" +
          kEos);
}

TEST(ChatEncoder, ArgumentsComeInManyShapes) {
  const std::string key = "<｜DSML｜parameter name=\"";
  const std::string end = "</｜DSML｜parameter>";
  EXPECT_EQ(parameters(R"({"k":"line\n\"quoted\" é"})"),
            key + "k\" string=\"true\">line\n\"quoted\" é" + end);
  EXPECT_EQ(parameters(R"({"k":{"n":1e2}})"), key + "k\" string=\"false\">{\"n\": 100.0}" + end);
  EXPECT_EQ(parameters(R"({"k":null})"), key + "k\" string=\"false\">null" + end);
  EXPECT_EQ(parameters("not json"), key + "arguments\" string=\"true\">not json" + end);
  EXPECT_EQ(parameters(""), key + "arguments\" string=\"true\">" + end);
  EXPECT_EQ(parameters("{\"cut\": "), key + "arguments\" string=\"true\">{\"cut\": " + end);
  // An object inside a JSON string is unpacked, not nested.
  EXPECT_EQ(parameters(R"("{\"k\": 1}")"), key + "k\" string=\"false\">1" + end);
  EXPECT_THROW(parameters("[1]"), Error);
  EXPECT_THROW(parameters("3"), Error);
}

TEST(ChatEncoder, ErrorsNameTheCulprit) {
  const auto expect = [](std::vector<Message> messages, const char* part) {
    try {
      render(std::move(messages));
      ADD_FAILURE() << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_THAT(error.what(), HasSubstr(part));
      EXPECT_FALSE(error.hint().empty());
    }
  };
  expect({message("narrator", "x")}, "`narrator`");
  expect({with_task(user("u"), "dance")}, "`dance`");
  Message tools = system("");
  tools.tools = {"{}", "{broken"};
  expect({tools}, "tool 1");
  tools.tools = {"[]"};
  expect({tools}, "tool 0");
  Message format = system("");
  format.response_format = "{";
  expect({format}, "response format");
}

TEST(ChatEncoder, UnknownRolesAreDroppedOnlyWithOldThinking) {
  EXPECT_EQ(think({message("narrator", "x"), user("u")}),
            kBos + kUser + "u" + kAssistant + "<think>");
  EXPECT_THROW(think({user("u"), message("narrator", "x")}), Error);
}

}  // namespace
}  // namespace ds4
