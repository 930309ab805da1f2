// Replies as the protocol has them, read back by JSON.
#include "runners/openai/reply.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace ds4::runners::openai {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const ReplyHead kHead{"chatcmpl-7", "tiny", 1700000000};

runners::Response response() {
  runners::Response r;
  r.answer.reasoning = "hm";
  r.answer.content = r.answer.text = "Forty-two “ok”";
  r.answer.finish_reason = "stop";
  r.prompt_tokens = 10;
  r.cached_tokens = 4;
  r.completion_tokens = 3;
  return r;
}

std::vector<json> events(const std::string& stream) {
  std::vector<json> all;
  for (size_t at = 0; at < stream.size();) {
    const size_t end = stream.find("\n\n", at);
    EXPECT_EQ(stream.compare(at, 6, "data: "), 0);
    const std::string data = stream.substr(at + 6, end - at - 6);
    all.push_back(data == "[DONE]" ? json("[DONE]") : json::parse(data));
    at = end + 2;
  }
  return all;
}

TEST(OpenAiReply, AWholeChatReply) {
  const json reply = json::parse(write_reply(kHead, {}, response()));
  EXPECT_EQ(reply["id"], "chatcmpl-7");
  EXPECT_EQ(reply["object"], "chat.completion");
  EXPECT_EQ(reply["created"], 1700000000);
  EXPECT_EQ(reply["model"], "tiny");
  ASSERT_EQ(reply["choices"].size(), 1u);
  const json& choice = reply["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], "Forty-two “ok”");
  EXPECT_EQ(choice["message"]["reasoning_content"], "hm");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  EXPECT_EQ(reply["usage"], json::parse(R"({"prompt_tokens": 10, "completion_tokens": 3,
      "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 4}})"));
}

TEST(OpenAiReply, ToolCallsHaveIdsAndEndTheTurn) {
  runners::Response r = response();
  r.answer.content.clear();
  r.answer.tool_calls = {{"", "f", "{\"x\": 1}"}, {"", "g", "{}"}};
  Body body;
  json choice = json::parse(write_reply(kHead, body, r))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 2u);
  EXPECT_EQ(choice["message"]["tool_calls"][0], json::parse(R"({"id": "call_7_0",
      "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}})"));
  body.parallel_tool_calls = false;
  choice = json::parse(write_reply(kHead, body, r))["choices"][0];
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 1u);
  r.answer.finish_reason = "length";
  choice = json::parse(write_reply(kHead, body, r))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length") << "a cut answer stays one";
}

TEST(OpenAiReply, AStreamSaysWhatTheWholeReplySays) {
  runners::Response r = response();
  r.answer.tool_calls = {{"", "f", "{}"}};
  Body body;
  body.stream = body.stream_usage = true;
  const StreamWriter writer(kHead, body);
  const std::string stream = writer.begin() + writer.pieces({"hm", "", 1}, 10) +
                             writer.pieces({"", "Forty-two ", 2}, 10) +
                             writer.pieces({"", "“ok”", 3}, 10) + writer.end(r);
  const std::vector<json> all = events(stream);
  ASSERT_EQ(all.size(), 9u);
  EXPECT_EQ(all[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(all[1]["choices"][0]["delta"], json::parse(R"({"reasoning_content": "hm"})"));
  EXPECT_EQ(all[3]["choices"][0]["delta"], json::parse(R"({"content": "“ok”"})"));
  const json& named = all[4]["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(named["function"]["name"], "f");
  EXPECT_EQ(named["function"]["arguments"], "");
  EXPECT_EQ(all[5]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"], "{}");
  EXPECT_EQ(all[6]["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(all[7]["choices"], json::array());
  EXPECT_EQ(all[7]["usage"]["completion_tokens"], 3);
  EXPECT_EQ(all[8], "[DONE]");
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(all[i]["object"], "chat.completion.chunk");
    EXPECT_TRUE(all[i]["usage"].is_null()) << i;
    EXPECT_EQ(all[i]["choices"][0]["index"], 0);
    EXPECT_EQ(all[i]["choices"][0]["finish_reason"].is_null(), i != 6) << i;
  }
}

TEST(OpenAiReply, CountsWithEveryPieceWhereTheyAreWanted) {
  Body body;
  body.stream = body.stream_usage = body.usage_each = true;
  const json piece = events(StreamWriter(kHead, body).pieces({"", "a", 5}, 10))[0];
  EXPECT_EQ(piece["usage"]["completion_tokens"], 5);
  EXPECT_EQ(piece["usage"]["prompt_tokens"], 10);
}

TEST(OpenAiReply, LogprobsOfChatAndOfText) {
  runners::Response r = response();
  r.logprobs = {{5, "Forty", -0.5, {{5, "Forty", -0.5}, {6, "\xe2\x80", -1.5}}},
                {7, " two", -std::numeric_limits<double>::infinity(), {{8, "x", -0.1}}}};
  Body body;
  body.logprobs = true;
  json logprobs = json::parse(write_reply(kHead, body, r))["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["content"].size(), 2u);
  EXPECT_EQ(logprobs["content"][0]["token"], "Forty");
  EXPECT_EQ(logprobs["content"][0]["logprob"], -0.5);
  EXPECT_EQ(logprobs["content"][0]["top_logprobs"][1]["bytes"], json({0xe2, 0x80}));
  EXPECT_EQ(logprobs["content"][1]["logprob"], -9999.0);

  body.prompt = suites::RawPrompt{"é"};
  r.prompt_logprobs = {{1, "é", std::nullopt}};
  const json reply = json::parse(write_reply(kHead, body, r, "é"));
  EXPECT_EQ(reply["object"], "text_completion");
  EXPECT_EQ(reply["choices"][0]["text"], "éForty-two “ok”");
  logprobs = reply["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], json({"é", "Forty", " two"}));
  EXPECT_EQ(logprobs["text_offset"], json({0, 1, 6}));
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["token_logprobs"][1], -0.5);
  EXPECT_EQ(logprobs["top_logprobs"][2].size(), 2u) << "the token itself is among them";
}

TEST(OpenAiReply, ErrorsNameTheirKey) {
  const json error = json::parse(write_error({400, "`n` must be 1", "n"}))["error"];
  EXPECT_EQ(error["message"], "`n` must be 1");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "n");
  EXPECT_TRUE(error["code"].is_null());
  EXPECT_EQ(json::parse(write_error({429, "x"}))["error"]["type"], "rate_limit_error");
  EXPECT_EQ(json::parse(write_error({500, "\xff"}))["error"]["type"], "server_error");
  EXPECT_THAT(StreamWriter::failed({500, "x"}), HasSubstr("\n\ndata: [DONE]\n\n"));
}

}  // namespace
}  // namespace ds4::runners::openai
