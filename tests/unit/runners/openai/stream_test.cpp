// Answers put together from what servers send, each with its own deviations.
#include "runners/openai/stream.h"

#include <gmock/gmock.h>

#include "engine/base/files.h"
#include "runners/openai/piece.h"
#include "tests/support/source_dir.h"

namespace ds4::runners::openai {
namespace {

using ::testing::HasSubstr;

std::string fixture(const std::string& name) {
  return read_file(test_support::source_dir() / "tests/data/servers" / name);
}

// Fed in pieces of `step` bytes, a second apart.
Answer read(const std::string& bytes, size_t step = 1 << 20, bool streamed = true) {
  AnswerReader reader(streamed);
  double time = 1;
  for (size_t i = 0; i < bytes.size(); i += step) {
    if (!reader.feed(std::string_view(bytes).substr(i, step), time)) break;
    time += 1;
  }
  reader.finish(time);
  return reader.take();
}

// The same whatever the cuts.
Answer read_in_any_way(const std::string& bytes) {
  const Answer whole = read(bytes);
  for (const size_t step : {1, 2, 3, 7, 64, 1000}) {
    const Answer cut = read(bytes, step);
    EXPECT_EQ(cut.content, whole.content) << step;
    EXPECT_EQ(cut.reasoning, whole.reasoning) << step;
    EXPECT_EQ(cut.tool_calls, whole.tool_calls) << step;
    EXPECT_EQ(cut.usage, whole.usage) << step;
    EXPECT_EQ(cut.finish_reason, whole.finish_reason) << step;
    EXPECT_EQ(cut.end_mark, whole.end_mark) << step;
    EXPECT_EQ(cut.error, whole.error) << step;
    EXPECT_EQ(cut.problem, whole.problem) << step;
    EXPECT_EQ(cut.arrivals.size(), whole.arrivals.size()) << step;
  }
  return whole;
}

std::string event(const std::string& json) {
  return "data: " + json + "\n\n";
}
std::string delta(const std::string& inside, const std::string& finish = "null") {
  return event(R"({"choices":[{"index":0,"delta":{)" + inside + R"(},"finish_reason":)" + finish +
               "}]}");
}

TEST(ServerHabits, VllmNamesItReasoningAndCountsInAPieceOfItsOwn) {
  const Answer answer = read_in_any_way(fixture("vllm_reasoning.sse"));
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.reasoning, "17 * 23 is 391.");
  EXPECT_EQ(answer.content, "It is 391 \xF0\x9F\x8E\x89.");
  EXPECT_EQ(answer.finish_reason, "stop");
  EXPECT_EQ(answer.usage, (Usage{18, 14, 16, -1}));
  EXPECT_TRUE(answer.end_mark);
}

TEST(ServerHabits, VllmMayCountInEveryPiece) {
  const Answer answer = read_in_any_way(fixture("vllm_continuous_usage.sse"));
  ASSERT_EQ(answer.arrivals.size(), 3u);
  EXPECT_EQ(answer.arrivals[0].tokens, 1);
  EXPECT_EQ(answer.arrivals[1].tokens, 3) << "three tokens in a piece, of a speculative round";
  EXPECT_EQ(answer.arrivals[2].tokens, 2);
  EXPECT_EQ(answer.usage->completion_tokens, 7);
}

TEST(ServerHabits, VllmSendsCallsInFragmentsByIndex) {
  const Answer answer = read_in_any_way(fixture("vllm_tools.sse"));
  ASSERT_EQ(answer.tool_calls.size(), 2u);
  EXPECT_EQ(answer.tool_calls[0].name, "get_weather");
  EXPECT_EQ(answer.tool_calls[0].id, "chatcmpl-tool-1");
  EXPECT_EQ(answer.tool_calls[0].arguments, R"({"city": "Paris, \"FR\""})");
  EXPECT_EQ(answer.tool_calls[1].name, "get_time");
  EXPECT_EQ(answer.tool_calls[1].arguments, R"({"zone": "CET"})");
  EXPECT_EQ(answer.finish_reason, "tool_calls");
}

TEST(ServerHabits, SglangNamesItReasoningContentAndSaysWhatMatched) {
  const Answer answer = read_in_any_way(fixture("sglang.sse"));
  EXPECT_EQ(answer.reasoning, "Simple.");
  EXPECT_EQ(answer.content, "OK.");
  EXPECT_EQ(answer.usage, (Usage{9, 6, -1, 3}));
  EXPECT_TRUE(answer.end_mark);
}

TEST(ServerHabits, LlamaCppStatesTimingsAndCountsWithoutAChoice) {
  const Answer answer = read_in_any_way(fixture("llamacpp.sse"));
  EXPECT_EQ(answer.content, "Hello\xE2\x80\x94you.");
  EXPECT_EQ(answer.usage, (Usage{12, 5, 8, -1}));
  EXPECT_EQ(answer.finish_reason, "stop");
}

TEST(ServerHabits, LlamaCppFailsInAFieldNamedError) {
  const Answer answer = read_in_any_way(fixture("llamacpp_error.sse"));
  EXPECT_THAT(answer.error, HasSubstr("context"));
  EXPECT_FALSE(answer.end_mark);
}

TEST(ServerHabits, TheHostedApiKeepsAliveAndCountsCacheHits) {
  const Answer answer = read_in_any_way(fixture("hosted.sse"));
  EXPECT_EQ(answer.reasoning, "Short.");
  EXPECT_EQ(answer.content, "Paris.");
  EXPECT_EQ(answer.usage, (Usage{10, 8, 4, 5}));
}

TEST(ServerHabits, Ds4ServerSendsUsageWithTheFinishReason) {
  const Answer answer = read_in_any_way(fixture("ds4_server.sse"));
  EXPECT_EQ(answer.reasoning, "Hm.");
  EXPECT_EQ(answer.content, "Yes.");
  EXPECT_EQ(answer.usage->completion_tokens, 5);
  EXPECT_TRUE(answer.end_mark);
}

TEST(AnswerReader, WholeRepliesSayTheSameInAMessage) {
  const Answer answer = read(
      R"({"choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning_content":"r",)"
      R"("tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},)"
      R"({"id":"b","type":"function","function":{"name":"g","arguments":{"x":1}}}]},)"
      R"("finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4}})",
      5, /*streamed=*/false);
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.content, "Hi");
  EXPECT_EQ(answer.reasoning, "r");
  ASSERT_EQ(answer.tool_calls.size(), 2u);
  EXPECT_EQ(answer.tool_calls[1].arguments, R"({"x":1})");
  EXPECT_TRUE(answer.end_mark);
  EXPECT_EQ(answer.usage->completion_tokens, 4);
}

TEST(AnswerReader, BothNamesOfReasoningAreOneReasoning) {
  const Answer answer = read(delta(R"("reasoning":"a","reasoning_content":"a")"));
  EXPECT_EQ(answer.reasoning, "a");
}

TEST(AnswerReader, ArrivalsAreOfPiecesWithText) {
  std::string bytes = delta(R"("role":"assistant","content":"")");
  const size_t step = bytes.size();
  bytes += delta(R"("content":"x")", "null").substr(0);
  const Answer answer = read(bytes, step);
  ASSERT_EQ(answer.arrivals.size(), 1u) << "the role alone is no token";
  EXPECT_GE(answer.arrivals[0].time_s, 2);
  EXPECT_EQ(answer.first_reasoning_s, -1);
  EXPECT_EQ(answer.first_content_s, answer.arrivals[0].time_s);
}

TEST(AnswerReader, AStreamThatStopsHasNoEndMark) {
  EXPECT_FALSE(read(delta(R"("content":"x")")).end_mark);
  const Answer finished = read(delta(R"("content":"x")") + delta("", R"("stop")"));
  EXPECT_FALSE(finished.end_mark);
  EXPECT_EQ(finished.finish_reason, "stop");
}

TEST(AnswerReader, WhatComesBehindTheEndBelongsToNothing) {
  const Answer answer =
      read(delta(R"("content":"x")") + "data: [DONE]\n\n" + delta(R"("content":"y")"));
  EXPECT_EQ(answer.content, "x");
  EXPECT_EQ(answer.problem, "");
}

TEST(AnswerReader, ErrorsInsideAStreamEndIt) {
  for (const char* error :
       {R"({"error":{"message":"no slot","code":503}})", R"({"error":"no slot"})",
        R"({"object":"error","message":"no slot","code":500})"}) {
    const Answer answer = read(delta(R"("content":"x")") + event(error));
    EXPECT_EQ(answer.error, "no slot") << error;
    EXPECT_EQ(answer.content, "x");
  }
}

TEST(AnswerReader, WhatIsNoProtocolIsAProblemNotACrash) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "no JSON"},
      {"[]", "no object"},
      {"3", "no object"},
      {"{}", "without `choices`"},
      {R"({"choices":3})", "no list"},
      {R"({"choices":[4]})", "no object"},
      {R"({"choices":[{"index":0,"delta":{}},{"index":1,"delta":{}}]})", "2 answers"},
      {R"({"choices":[{"index":1,"delta":{"content":"x"}}]})", "second answer"},
      {R"({"choices":[{"delta":{"tool_calls":3}}]})", "no list"},
      {R"({"choices":[{"delta":{"tool_calls":[{"index":100000}]}}]})", "index 100000"},
      {"\xFF\xFE", "no JSON"},
      {"\"\xFF\xFE\"", "no object"}};
  for (const auto& [json, problem] : cases) {
    EXPECT_THAT(read(event(json)).problem, HasSubstr(problem)) << json;
  }
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_THAT(read(event(deep)).problem, HasSubstr("no JSON"));
  EXPECT_THAT(read(delta(R"("content":"a")", R"("stop")") + delta(R"("content":"b")")).problem,
              HasSubstr("after the finish reason"));
}

TEST(AnswerReader, OddTypesAreNoText) {
  const Answer answer = read(delta(R"("content":null,"reasoning":7,"role":[])") +
                             delta(R"("content":[{"type":"text","text":"a"},{"x":1}])"));
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.content, "a");
  EXPECT_EQ(answer.reasoning, "");
}

TEST(AnswerReader, CallsUnderOneIndexAreToldApartByTheirIds) {
  const Answer answer = read(
      delta(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])") +
      delta(R"("tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"[]"}}])"));
  ASSERT_EQ(answer.tool_calls.size(), 2u);
  EXPECT_EQ(answer.tool_calls[0].arguments, "{}");
  EXPECT_EQ(answer.tool_calls[1].arguments, "[]");
}

TEST(AnswerReader, LogprobsOfBothForms) {
  const Answer chat = read(event(
      R"({"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.5,)"
      R"("bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5},{"token":"a","logprob":-0.5}]}]}}]})"));
  ASSERT_EQ(chat.logprobs.size(), 1u);
  EXPECT_EQ(chat.logprobs[0].text, "a");
  ASSERT_EQ(chat.logprobs[0].top.size(), 2u);
  EXPECT_EQ(chat.logprobs[0].top[0].text, "a") << "falling";
  const Answer raw = read(R"({"choices":[{"text":"The end","logprobs":{"tokens":["The"," end"],)"
                          R"("token_logprobs":[null,-2.5],"top_logprobs":[null,{" end":-2.5}]}}]})",
                          1 << 20, /*streamed=*/false);
  ASSERT_EQ(raw.logprobs.size(), 2u);
  EXPECT_FALSE(raw.logprobs[0].logprob.has_value());
  EXPECT_EQ(raw.logprobs[1].logprob, -2.5);
  EXPECT_EQ(raw.logprobs[1].top.size(), 1u);
}

TEST(ReadError, TakesTheServersOwnWords) {
  EXPECT_EQ(read_error(R"({"error":{"message":"too long","type":"x"}})"), "too long");
  EXPECT_EQ(read_error(R"({"message":"nope"})"), "nope");
  EXPECT_EQ(read_error(R"({"detail":"Not Found"})"), "Not Found");
  EXPECT_THAT(read_error(R"({"detail":[{"msg":"field required"}]})"), HasSubstr("field required"));
  EXPECT_EQ(read_error("<html>\n502</html>"), "<html> 502</html>");
  EXPECT_LT(read_error(std::string(100000, 'x')).size(), 500u);
  EXPECT_EQ(read_error(""), "");
}

TEST(ReadModels, ListsWhatHasAName) {
  const auto models = read_models(
      R"({"data":[{"id":"a","owned_by":"vllm","max_model_len":4096},{"id":3},{"id":"b"}]})");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].context_length, 4096);
  EXPECT_EQ(models[0].owner, "vllm");
  EXPECT_EQ(models[1].id, "b");
  EXPECT_TRUE(read_models("[]").empty());
  EXPECT_TRUE(read_models("no").empty());
}

}  // namespace
}  // namespace ds4::runners::openai
