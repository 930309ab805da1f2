// Requests as bytes.
#include "runners/openai/body.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using nlohmann::json;

Body plain() {
  Body body;
  body.model = "m";
  Message user;
  user.role = "user";
  user.content = "Hi \xF0\x9F\x98\x80";
  body.conversation.messages.push_back(user);
  body.max_tokens = 8;
  return body;
}

json written(const Body& body) {
  return json::parse(write_body(body));
}

TEST(Body, SaysNoMoreThanItMust) {
  EXPECT_EQ(written(plain()),
            (json{{"model", "m"},
                  {"messages", {{{"role", "user"}, {"content", "Hi \xF0\x9F\x98\x80"}}}},
                  {"max_tokens", 8},
                  {"temperature", 0.0},
                  {"stream", false}}));
  EXPECT_EQ(endpoint(plain()), "chat/completions");
}

TEST(Body, StreamsWithCounts) {
  Body body = plain();
  body.stream = body.stream_usage = true;
  EXPECT_EQ(written(body)["stream_options"], (json{{"include_usage", true}}));
  body.usage_each = true;
  EXPECT_EQ(written(body)["stream_options"]["continuous_usage_stats"], true);
}

TEST(Body, ToolsAndFormatsMoveToTheTop) {
  Body body = plain();
  Message system;
  system.role = "system";
  system.tools = {R"({"name":"f"})", R"({"name":"g"})"};
  system.response_format = R"({"type":"json_object"})";
  body.conversation.messages.insert(body.conversation.messages.begin(), system);
  const json out = written(body);
  EXPECT_EQ(out["messages"].size(), 1u) << "the system message had nothing else to say";
  EXPECT_EQ(out["tools"][1], (json{{"type", "function"}, {"function", {{"name", "g"}}}}));
  EXPECT_EQ(out["response_format"]["type"], "json_object");
}

TEST(Body, CallsAndTheirResultsGoBack) {
  Body body = plain();
  Message assistant, tool;
  assistant.role = "assistant";
  assistant.reasoning_content = "hm";
  assistant.tool_calls = {{"id1", "f", R"({"a":1})"}};
  tool.role = "tool";
  tool.tool_call_id = "id1";
  tool.content_parts = {{"text", "sunny"}};
  body.conversation.messages.push_back(assistant);
  body.conversation.messages.push_back(tool);
  const json messages = written(body)["messages"];
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"]["arguments"], R"({"a":1})");
  EXPECT_EQ(messages[1]["reasoning_content"], "hm");
  EXPECT_EQ(messages[2]["content"][0]["text"], "sunny");
  EXPECT_EQ(messages[2]["tool_call_id"], "id1");
}

TEST(Body, EachSwitchOfThinkingInItsOwnWords) {
  Body body = plain();
  const auto with = [&](ThinkingSwitch thinking, bool on) {
    body.thinking = thinking;
    body.conversation.thinking = on ? ThinkingMode::kThinking : ThinkingMode::kChat;
    return written(body);
  };
  EXPECT_EQ(with(ThinkingSwitch::kNone, true), with(ThinkingSwitch::kNone, false));
  for (const bool on : {false, true}) {
    EXPECT_EQ(with(ThinkingSwitch::kTemplateThinking, on)["chat_template_kwargs"]["thinking"], on);
    EXPECT_EQ(with(ThinkingSwitch::kTemplateEnable, on)["chat_template_kwargs"]["enable_thinking"],
              on);
    EXPECT_EQ(with(ThinkingSwitch::kThinkingType, on)["thinking"]["type"],
              on ? "enabled" : "disabled");
    EXPECT_EQ(with(ThinkingSwitch::kThink, on)["think"], on);
    EXPECT_EQ(with(ThinkingSwitch::kReasoningEffort, on)["reasoning_effort"], on ? "high" : "none");
  }
  body.conversation.reasoning_effort = "max";
  EXPECT_EQ(with(ThinkingSwitch::kTemplateThinking, true)["reasoning_effort"], "max");
  EXPECT_FALSE(with(ThinkingSwitch::kTemplateThinking, false).contains("reasoning_effort"));
}

TEST(Body, RawPromptsAreTextsOrTokens) {
  Body body = plain();
  body.prompt = suites::RawPrompt{"Once"};
  body.echo = body.logprobs = true;
  body.top_logprobs = 3;
  json out = written(body);
  EXPECT_EQ(endpoint(body), "completions");
  EXPECT_EQ(out["prompt"], "Once");
  EXPECT_EQ(out["logprobs"], 3);
  EXPECT_EQ(out["echo"], true);
  EXPECT_FALSE(out.contains("messages"));
  body.prompt->tokens = {5, 6};
  body.plain_prompt = true;
  out = written(body);
  EXPECT_EQ(out["prompt"], (json{5, 6}));
  EXPECT_EQ(out["add_special_tokens"], false);
}

TEST(Body, SamplingIsSaidWhereItIsNoDefault) {
  Body body = plain();
  body.sampling = {.temperature = 0.5,
                   .top_k = 40,
                   .min_p = 0.1,
                   .top_p = 0.9,
                   .repetition_penalty = 1.1,
                   .presence_penalty = 0.2,
                   .frequency_penalty = 0.3,
                   .stop = {"END"}};
  body.seed = 7;
  body.ignore_end = true;
  body.max_tokens = suites::kAsManyAsFit;
  const json out = written(body);
  EXPECT_EQ(out["top_k"], 40);
  EXPECT_EQ(out["min_p"], 0.1);
  EXPECT_EQ(out["repetition_penalty"], 1.1);
  EXPECT_EQ(out["stop"], (json{"END"}));
  EXPECT_EQ(out["seed"], 7);
  EXPECT_EQ(out["ignore_eos"], true);
  EXPECT_FALSE(out.contains("max_tokens"));
}

TEST(Body, BytesThatAreNoUtf8AreReplaced) {
  Body body = plain();
  body.conversation.messages[0].content = "a\xFFz";
  EXPECT_EQ(written(body)["messages"][0]["content"], "a\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace ds4::runners::openai
