// Bodies as clients post them, right and wrong ones: what is read, and what is said of the rest.
#include "runners/openai/request.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const json kHello = json::array({{{"role", "user"}, {"content", "Hello"}}});

ReadBody chat(json extra) {
  json body = {{"messages", kHello}};
  body.update(extra);
  return read_chat(body.dump(), {});
}

TEST(OpenAiRequest, APlainConversation) {
  const ReadBody read = chat(json::object());
  ASSERT_FALSE(read.refusal);
  EXPECT_THAT(read.unknown, ElementsAre());
  ASSERT_EQ(read.body.conversation.messages.size(), 1u);
  EXPECT_EQ(read.body.conversation.messages[0].content, "Hello");
  EXPECT_EQ(read.body.conversation.thinking, ThinkingMode::kChat);
  EXPECT_EQ(read.body.sampling.temperature, 1);
  EXPECT_EQ(read.body.max_tokens, suites::kAsManyAsFit);
  EXPECT_FALSE(read.body.seed);
  EXPECT_FALSE(read.body.prompt);
  EXPECT_FALSE(read.body.stream);
}

TEST(OpenAiRequest, EverySettingIsRead) {
  const ReadBody read =
      chat({{"model", "m"},
            {"temperature", 0.5},
            {"top_p", 0.9},
            {"top_k", 40},
            {"min_p", 0.1},
            {"presence_penalty", -1},
            {"frequency_penalty", 2},
            {"repetition_penalty", 1.1},
            {"seed", -7},
            {"stop", {"a", "b"}},
            {"max_completion_tokens", 12},
            {"ignore_eos", true},
            {"stream", true},
            {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}},
            {"logprobs", true},
            {"top_logprobs", 5},
            {"n", 1},
            {"user", "u"},
            {"response_format", {{"type", "text"}}},
            {"logit_bias", json::object()},
            {"tools", json::array()}});
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  EXPECT_THAT(read.unknown, ElementsAre());
  const suites::Sampling expected{0.5, 40, 0.1, 0.9, 1.1, -1, 2, {"a", "b"}};
  EXPECT_EQ(read.body.sampling, expected);
  EXPECT_EQ(read.body.seed, -7);
  EXPECT_EQ(read.body.max_tokens, 12);
  EXPECT_TRUE(read.body.ignore_end && read.body.stream && read.body.stream_usage &&
              read.body.usage_each && read.body.logprobs);
  EXPECT_EQ(read.body.top_logprobs, 5);
}

TEST(OpenAiRequest, NullIsAsAbsent) {
  const ReadBody read = chat({{"temperature", nullptr},
                              {"stop", nullptr},
                              {"seed", nullptr},
                              {"tools", nullptr},
                              {"max_tokens", nullptr},
                              {"stream_options", nullptr},
                              {"unheard_of", nullptr}});
  ASSERT_FALSE(read.refusal);
  EXPECT_EQ(read.body.sampling.temperature, 1);
  EXPECT_THAT(read.unknown, ElementsAre());
}

// What is wrong, and the key that is told.
TEST(OpenAiRequest, WrongMembersAreRefusedByName) {
  const std::vector<std::pair<json, std::string>> wrong = {
      {{{"messages", "Hello"}}, "messages"},
      {{{"messages", json::array()}}, "messages"},
      {{{"messages", {"Hello"}}}, "messages[0]"},
      {{{"messages", {{{"role", "user"}, {"content", 5}}}}}, "messages[0].content"},
      {{{"messages", {{{"role", "nobody"}}}}}, "messages[0].role"},
      {{{"messages", {{{"content", "x"}}}}}, "messages[0].role"},
      {{{"messages",
         {{{"role", "user"},
           {"content", {{{"type", "image_url"}, {"image_url", {{"url", "x"}}}}}}}}}},
       "messages[0].content[0].type"},
      {{{"messages", {{{"role", "assistant"}, {"tool_calls", 1}}}}}, "messages[0].tool_calls"},
      {{{"messages", {{{"role", "assistant"}, {"tool_calls", {{{"id", "1"}}}}}}}},
       "messages[0].tool_calls[0].function"},
      {{{"tools", {{{"type", "function"}}}}}, "tools[0].function"},
      {{{"tools", {{{"type", "browser"}, {"function", {{"name", "f"}}}}}}}, "tools[0].type"},
      {{{"tools", {{{"function", {{"name", "f"}, {"parameters", 1}}}}}}},
       "tools[0].function.parameters"},
      {{{"temperature", "0"}}, "temperature"},
      {{{"temperature", -0.1}}, "temperature"},
      {{{"top_p", 0}}, "top_p"},
      {{{"top_p", 1.01}}, "top_p"},
      {{{"top_k", -2}}, "top_k"},
      {{{"top_k", 1.5}}, "top_k"},
      {{{"min_p", 2}}, "min_p"},
      {{{"presence_penalty", 3}}, "presence_penalty"},
      {{{"repetition_penalty", 0}}, "repetition_penalty"},
      {{{"max_tokens", 0}}, "max_tokens"},
      {{{"max_tokens", 18446744073709551615u}}, "max_tokens"},
      {{{"max_tokens", true}}, "max_tokens"},
      {{{"seed", 1.5}}, "seed"},
      {{{"stop", {"a", ""}}}, "stop"},
      {{{"stop", 5}}, "stop"},
      {{{"n", 2}}, "n"},
      {{{"stream", 1}}, "stream"},
      {{{"stream_options", {{"include_usage", true}}}}, "stream_options"},
      {{{"stream", true}, {"stream_options", {{"include_usage", "yes"}}}},
       "stream_options.include_usage"},
      {{{"top_logprobs", 5}}, "top_logprobs"},
      {{{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs"},
      {{{"logprobs", 3}}, "logprobs"},
      {{{"logit_bias", {{"5", 1}}}}, "logit_bias"},
      {{{"response_format", {{"type", "json_object"}}}}, "response_format"},
      {{{"tool_choice", "required"}}, "tool_choice"},
      {{{"tool_choice", {{"type", "function"}}}}, "tool_choice"},
      {{{"reasoning_effort", "enormous"}}, "reasoning_effort"},
      {{{"thinking", {{"type", "maybe"}}}}, "thinking.type"},
      {{{"chat_template_kwargs", {{"thinking", "yes"}}}}, "chat_template_kwargs.thinking"},
      {{{"chat_template_kwargs", "thinking"}}, "chat_template_kwargs"},
      {{{"model", 1}}, "model"},
  };
  for (const auto& [extra, key] : wrong) {
    const ReadBody read = chat(extra);
    ASSERT_TRUE(read.refusal) << extra;
    EXPECT_EQ(read.refusal->param, key) << read.refusal->message;
    EXPECT_EQ(read.refusal->status, 400);
    EXPECT_THAT(read.refusal->message, HasSubstr("`" + key + "`"));
  }
}

TEST(OpenAiRequest, WhatIsNoRequestAtAll) {
  for (const std::string text : {"", "{", "null", "[]", "\"x\"", "{}", "{\"messages\": null}",
                                 "\xff\xfe", "{\"messages\": [}", "1e999"}) {
    EXPECT_TRUE(read_chat(text, {}).refusal) << text;
    EXPECT_TRUE(read_completion(text).refusal) << text;
    EXPECT_TRUE(read_tokenize(text, {}).refusal) << text;
    EXPECT_TRUE(read_detokenize(text).refusal) << text;
  }
}

// Neither the stack nor the time of a parse grows with what a stranger sends.
TEST(OpenAiRequest, NestingAndMembersAreBounded) {
  const std::string deep = "{\"messages\":" + std::string(100000, '[');
  EXPECT_TRUE(read_chat(deep, {}).refusal);
  json tool = {{"name", "f"}, {"parameters", json::object()}};
  for (int i = 0; i < 40; ++i) tool["parameters"] = {{"properties", tool["parameters"]}};
  EXPECT_FALSE(chat({{"tools", {{{"function", tool}}}}}).refusal) << "40 levels are a schema";
  std::string wide = "{";
  for (int i = 0; i < 200000; ++i) wide += "\"k" + std::to_string(i) + "\":1,";
  EXPECT_TRUE(read_chat(wide + "\"messages\":[]}", {}).refusal);
  json many = json::array();
  for (int i = 0; i < 20000; ++i) many.push_back({{"role", "user"}, {"content", "x"}});
  EXPECT_FALSE(chat({{"messages", many}}).refusal) << "a list may be long";
}

TEST(OpenAiRequest, UnknownKeysAreToldAndIgnored) {
  const ReadBody read = chat({{"min_tokens", 5},
                              {"chat_template_kwargs", {{"thinking", true}, {"other", 1}}},
                              {"messages", {{{"role", "user"}, {"content", "x"}, {"name", "n"}}}}});
  ASSERT_FALSE(read.refusal);
  EXPECT_THAT(read.unknown, ElementsAre("min_tokens"));
  EXPECT_EQ(read.body.conversation.thinking, ThinkingMode::kThinking);
}

TEST(OpenAiRequest, ThinkingInEveryWayItIsAskedFor) {
  const auto thinks = [](const json& extra, ThinkingMode otherwise = ThinkingMode::kChat) {
    json body = {{"messages", kHello}};
    body.update(extra);
    const ReadBody read = read_chat(body.dump(), {otherwise});
    EXPECT_FALSE(read.refusal) << extra;
    return read.body.conversation.thinking == ThinkingMode::kThinking;
  };
  const std::vector<json> on = {{{"chat_template_kwargs", {{"thinking", true}}}},
                                {{"chat_template_kwargs", {{"enable_thinking", true}}}},
                                {{"thinking", {{"type", "enabled"}}}},
                                {{"thinking", true}},
                                {{"think", true}},
                                {{"reasoning_effort", "high"}}};
  const std::vector<json> off = {{{"chat_template_kwargs", {{"thinking", false}}}},
                                 {{"chat_template_kwargs", {{"enable_thinking", false}}}},
                                 {{"thinking", {{"type", "disabled"}}}},
                                 {{"thinking", false}},
                                 {{"think", false}},
                                 {{"reasoning_effort", "none"}}};
  for (const json& extra : on) EXPECT_TRUE(thinks(extra)) << extra;
  for (const json& extra : off) EXPECT_FALSE(thinks(extra, ThinkingMode::kThinking)) << extra;
  EXPECT_FALSE(thinks(json::object()));
  EXPECT_TRUE(thinks(json::object(), ThinkingMode::kThinking));
  EXPECT_FALSE(thinks({{"reasoning_effort", "high"}, {"think", false}})) << "the switch decides";
}

TEST(OpenAiRequest, EffortBecomesALevelOfTheModel) {
  const auto level = [](const char* effort) {
    return chat({{"reasoning_effort", effort}}).body.conversation.reasoning_effort;
  };
  EXPECT_EQ(level("none"), "");
  EXPECT_EQ(level("minimal"), "low");
  EXPECT_EQ(level("medium"), "low");
  EXPECT_EQ(level("high"), "high");
  EXPECT_EQ(level("xhigh"), "max");
  EXPECT_EQ(level("max"), "max");
}

TEST(OpenAiRequest, ToolsAreTheSystemMessagesInTheOrderOfTheirMembers) {
  const std::string body =
      R"({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function",
          "function": {"name": "f", "description": "d", "parameters": {"z": 1, "a": [2.50, 1e3]}}}]})";
  const ReadBody read = read_chat(body, {});
  ASSERT_FALSE(read.refusal);
  ASSERT_EQ(read.body.conversation.messages.size(), 2u);
  EXPECT_EQ(read.body.conversation.messages[0].role, "system");
  EXPECT_THAT(
      read.body.conversation.messages[0].tools,
      ElementsAre(R"({"name":"f","description":"d","parameters":{"z":1,"a":[2.5,1000.0]}})"));
  EXPECT_TRUE(chat({{"tools", {{{"function", {{"name", "f"}}}}}}, {"tool_choice", "none"}})
                  .body.conversation.messages[0]
                  .tools.empty());
}

TEST(OpenAiRequest, AToolLoopsMessages) {
  const ReadBody read =
      chat({{"messages",
             {{{"role", "system"}, {"content", "Be brief."}},
              {{"role", "user"},
               {"content", {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}}}},
              {{"role", "assistant"},
               {"content", nullptr},
               {"reasoning_content", "hm"},
               {"tool_calls",
                {{{"id", "c1"},
                  {"type", "function"},
                  {"function", {{"name", "f"}, {"arguments", "{\"x\": 1}"}}}},
                 {{"id", "c2"}, {"function", {{"name", "g"}, {"arguments", {{"y", 2}}}}}}}}},
              {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "done"}},
              {{"role", "tool"},
               {"tool_call_id", "c2"},
               {"content", {{{"type", "text"}, {"text", "also"}}}}}}},
            {"tools", {{{"function", {{"name", "f"}}}}}}});
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  const auto& messages = read.body.conversation.messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].tools.size(), 1u);
  EXPECT_EQ(messages[1].content, "a\nb");
  EXPECT_EQ(messages[2].reasoning_content, "hm");
  EXPECT_THAT(messages[2].tool_calls,
              ElementsAre(ToolCall{"c1", "f", "{\"x\": 1}"}, ToolCall{"c2", "g", "{\"y\":2}"}));
  EXPECT_EQ(messages[3].tool_call_id, "c1");
  EXPECT_THAT(messages[4].content_parts, ElementsAre(ContentPart{"text", "also"}));
}

TEST(OpenAiRequest, CompletionsOfTextAndOfIds) {
  const auto completion = [](const json& body) { return read_completion(body.dump()); };
  EXPECT_EQ(completion({{"prompt", "Once"}}).body.prompt->text, "Once");
  EXPECT_EQ(completion({{"prompt", {"Once"}}}).body.prompt->text, "Once");
  EXPECT_THAT(completion({{"prompt", {1, 2}}}).body.prompt->tokens, ElementsAre(1, 2));
  EXPECT_THAT(completion({{"prompt", {{1, 2}}}}).body.prompt->tokens, ElementsAre(1, 2));
  EXPECT_EQ(completion({{"prompt", "x"}}).body.max_tokens, 16);
  for (const json& prompt : std::vector<json>{"",
                                              json::array(),
                                              {"a", "b"},
                                              {{1}, {2}},
                                              {1, -1},
                                              {1, 2.5},
                                              {1, "a"},
                                              {1, 1ull << 40},
                                              5,
                                              nullptr,
                                              json::object(),
                                              {json::array()}}) {
    EXPECT_TRUE(completion({{"prompt", prompt}}).refusal) << prompt;
  }
  // As lm-evaluation-harness asks for a likelihood.
  const ReadBody score = completion({{"prompt", {1, 2}},
                                     {"max_tokens", 1},
                                     {"logprobs", 1},
                                     {"echo", true},
                                     {"temperature", 0},
                                     {"seed", 1234}});
  ASSERT_FALSE(score.refusal);
  EXPECT_TRUE(score.body.logprobs && score.body.echo);
  EXPECT_EQ(score.body.top_logprobs, 1);
  const ReadBody chosen = completion({{"prompt", "x"}, {"logprobs", 0}});
  EXPECT_TRUE(chosen.body.logprobs) << "of the token itself alone";
  EXPECT_EQ(chosen.body.top_logprobs, 0);
  EXPECT_FALSE(completion({{"prompt", "x"}, {"echo", true}, {"max_tokens", 0}}).refusal);
  EXPECT_TRUE(completion({{"prompt", "x"}, {"max_tokens", 0}}).refusal);
  EXPECT_TRUE(completion({{"prompt", "x"}, {"suffix", "y"}}).refusal);
}

}  // namespace
}  // namespace ds4::runners::openai
