// Both directions of the protocol meet: what body.h writes is read back as it was.
#include <gtest/gtest.h>

#include "runners/openai/body.h"
#include "runners/openai/request.h"

namespace ds4::runners::openai {
namespace {

Message message(const char* role, const char* content) {
  Message out;
  out.role = role;
  out.content = content;
  return out;
}

Body full() {
  Body body;
  body.model = "tiny";
  Message system = message("system", "Be brief.");
  system.tools = {R"({"name":"f","description":"d","parameters":{"z":{},"a":1}})"};
  Message assistant = message("assistant", "Well.");
  assistant.reasoning_content = "hm";
  assistant.tool_calls = {{"c1", "f", "{\"b\": 1, \"a\": \"é\"}"}};
  Message tool = message("tool", "ok");
  tool.tool_call_id = "c1";
  body.conversation.messages = {system, message("user", "Hi “you”"), assistant, tool};
  body.conversation.thinking = ThinkingMode::kThinking;
  body.thinking = ThinkingSwitch::kTemplateThinking;
  body.max_tokens = 12;
  body.sampling = {0.5, 40, 0.1, 0.9, 1.1, -1, 2, {"a", "b"}};
  body.seed = 7;
  body.ignore_end = true;
  body.stream = body.stream_usage = body.usage_each = true;
  body.logprobs = true;
  body.top_logprobs = 3;
  return body;
}

void expect_same(const Body& got, const Body& wanted) {
  EXPECT_EQ(got.model, wanted.model);
  EXPECT_EQ(got.conversation.messages, wanted.conversation.messages);
  EXPECT_EQ(got.conversation.thinking, wanted.conversation.thinking);
  ASSERT_EQ(got.prompt.has_value(), wanted.prompt.has_value());
  if (wanted.prompt) {
    EXPECT_EQ(got.prompt->text, wanted.prompt->text);
    EXPECT_EQ(got.prompt->tokens, wanted.prompt->tokens);
  }
  EXPECT_EQ(got.max_tokens, wanted.max_tokens);
  EXPECT_EQ(got.sampling, wanted.sampling);
  EXPECT_EQ(got.seed, wanted.seed);
  EXPECT_EQ(got.ignore_end, wanted.ignore_end);
  EXPECT_EQ(got.stream, wanted.stream);
  EXPECT_EQ(got.stream_usage, wanted.stream_usage);
  EXPECT_EQ(got.usage_each, wanted.usage_each);
  EXPECT_EQ(got.logprobs, wanted.logprobs);
  EXPECT_EQ(got.top_logprobs, wanted.top_logprobs);
  EXPECT_EQ(got.echo, wanted.echo);
}

TEST(OpenAiRoundTrip, Chat) {
  const ReadBody read = read_chat(write_body(full()), {});
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  EXPECT_TRUE(read.unknown.empty());
  expect_same(read.body, full());
}

TEST(OpenAiRoundTrip, AsManyTokensAsFit) {
  Body body = full();
  body.max_tokens = suites::kAsManyAsFit;
  const ReadBody read = read_chat(write_body(body), {});
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  EXPECT_EQ(read.body.max_tokens, suites::kAsManyAsFit);
}

TEST(OpenAiRoundTrip, EveryThinkingSwitch) {
  for (const ThinkingSwitch by : kThinkingSwitches) {
    for (const ThinkingMode mode : {ThinkingMode::kChat, ThinkingMode::kThinking}) {
      Body body = full();
      body.thinking = by;
      body.conversation.thinking = mode;
      const ThinkingMode other =
          mode == ThinkingMode::kChat ? ThinkingMode::kThinking : ThinkingMode::kChat;
      const ReadBody read = read_chat(write_body(body), {other});
      ASSERT_FALSE(read.refusal) << read.refusal->message;
      EXPECT_EQ(read.body.conversation.thinking, mode) << name_of(by);
    }
  }
}

TEST(OpenAiRoundTrip, TextAndIds) {
  Body body = full();
  body.conversation = {};
  body.prompt = suites::RawPrompt{"Once “upon”"};
  body.echo = true;
  body.stream = body.stream_usage = body.usage_each = false;
  ReadBody read = read_completion(write_body(body));
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  expect_same(read.body, body);
  body.prompt = suites::RawPrompt{"", {3, 1, 2}};
  read = read_completion(write_body(body));
  ASSERT_FALSE(read.refusal) << read.refusal->message;
  expect_same(read.body, body);
}

}  // namespace
}  // namespace ds4::runners::openai
