// The default checkpoint behind `serve`, asked by curl: answers are those of the embedded engine,
// whole or streamed, alone or beside others.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/e2e/served.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const char* const kQuestions[] = {"What is the capital of France?", "What is 12 + 30?",
                                  "Count from one to five.", "What color is the sky?"};

const std::string& tiny_path() {
  static const std::string path = source_dir() / "checkpoints/tiny";
  return path;
}

// The answer of the embedded engine, by the verb that drives it directly.
std::string embedded(const std::string& question) {
  const CommandResult result =
      run_command({DS4_SWEEP_BINARY, "generate", "--checkpoint", tiny_path(), "--json", "--threads",
                   "1", "--max-tokens", "64", question});
  return json::parse(result.out).at("text");
}

TEST(Serve, AnswersAreTheEmbeddedEnginesWholeAndStreamed) {
  const Served server(Served::tiny({"--draft-tokens", "1"}));
  for (const char* question : kQuestions) {
    const HttpReply whole = server.post("/v1/chat/completions", asking(question));
    ASSERT_EQ(whole.status, 200) << whole.body;
    const json reply = whole.json();
    EXPECT_EQ(reply["model"], "tiny");
    EXPECT_EQ(reply["choices"][0]["message"]["content"], embedded(question));
    EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");

    const HttpReply streamed = server.post(
        "/v1/chat/completions",
        asking(question, {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
    EXPECT_THAT(streamed.head, HasSubstr("text/event-stream"));
    EXPECT_TRUE(streamed.body.ends_with("data: [DONE]\n\n"));
    std::string text;
    json usage;
    for (const json& event : events_of(streamed.body)) {
      if (event["choices"].empty()) {
        usage = event["usage"];
      } else {
        text += event["choices"][0]["delta"].value("content", "");
      }
    }
    EXPECT_EQ(text, reply["choices"][0]["message"]["content"]);
    EXPECT_EQ(usage["completion_tokens"], reply["usage"]["completion_tokens"]);
    EXPECT_EQ(usage["prompt_tokens"], reply["usage"]["prompt_tokens"]);
    EXPECT_GT(usage["prompt_tokens_details"]["cached_tokens"], 0) << "it was asked a moment ago";
  }
}

TEST(Serve, ManyAtATimeAreAnsweredAsOneByOne) {
  const Served server(Served::tiny({"--sequences", "3"}));
  std::vector<std::string> alone, beside(8);
  for (const char* question : kQuestions) alone.push_back(embedded(question));
  std::vector<std::thread> clients;
  for (size_t i = 0; i < beside.size(); ++i) {
    clients.emplace_back([&, i] {
      const HttpReply reply =
          server.post("/v1/chat/completions", asking(kQuestions[i % alone.size()]));
      if (reply.status == 200) beside[i] = reply.json()["choices"][0]["message"]["content"];
    });
  }
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < beside.size(); ++i) EXPECT_EQ(beside[i], alone[i % alone.size()]);
  EXPECT_EQ(server.metric("vllm:request_success_total"), 8);
}

TEST(Serve, ToolCallsWholeAndStreamed) {
  const Served server(Served::tiny());
  const json tools = {{{"type", "function"},
                       {"function",
                        {{"name", "set_timer"},
                         {"description", "Start a timer"},
                         {"parameters",
                          {{"type", "object"},
                           {"properties", {{"minutes", {{"type", "integer"}}}}},
                           {"required", {"minutes"}}}}}}}};
  const auto body = [&](bool stream) {
    return asking("Set a timer for 12 minutes.", {{"tools", tools}, {"stream", stream}});
  };
  const json reply = server.post("/v1/chat/completions", body(false)).json();
  const json& message = reply["choices"][0]["message"];
  ASSERT_TRUE(message.contains("tool_calls")) << reply;
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "tool_calls");
  const json call = message["tool_calls"][0];
  EXPECT_EQ(call["function"]["name"], "set_timer");
  EXPECT_EQ(json::parse(call["function"]["arguments"].get<std::string>()), json({{"minutes", 12}}));
  std::string name, arguments, id, reason;
  for (const json& event : events_of(server.post("/v1/chat/completions", body(true)).body)) {
    const json& choice = event["choices"][0];
    if (choice["finish_reason"].is_string()) reason = choice["finish_reason"];
    if (!choice["delta"].contains("tool_calls")) continue;
    const json& delta = choice["delta"]["tool_calls"][0];
    EXPECT_EQ(delta["index"], 0);
    id += delta.value("id", "");
    name += delta["function"].value("name", "");
    arguments += delta["function"].value("arguments", "");
  }
  EXPECT_EQ(reason, "tool_calls");
  EXPECT_EQ(name, call["function"]["name"]);
  EXPECT_EQ(arguments, call["function"]["arguments"]);
  EXPECT_THAT(id, HasSubstr("call_"));
}

// As lm-evaluation-harness asks, against the exact score.
TEST(Serve, TheLikelihoodOfAPromptIsTheExactOne) {
  const Served server(Served::tiny());
  const std::string context = "<｜begin▁of▁sentence｜>What is", rest = " the capital of France?";
  const TemporaryFolder folder;
  write_file_atomic(folder / "context", context);
  write_file_atomic(folder / "rest", rest);
  const json exact =
      json::parse(run_command({DS4_SWEEP_BINARY, "score", "--checkpoint", tiny_path(), "--json",
                               "--prompt", folder / "context", folder / "rest"})
                      .out);
  json ids = server.post("/tokenize", {{"prompt", context}}).json()["tokens"];
  const size_t n_context = ids.size();
  const json more = server.post("/tokenize", {{"prompt", rest}}).json()["tokens"];
  ids.insert(ids.end(), more.begin(), more.end());
  const json request = {{"prompt", ids}, {"max_tokens", 1}, {"temperature", 0},
                        {"logprobs", 1}, {"echo", true},    {"seed", 1234}};
  const HttpReply reply = server.post("/v1/completions", request);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json choice = reply.json()["choices"][0];
  const json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["token_logprobs"].size(), ids.size() + 1);
  double sum = 0;
  for (size_t i = n_context; i < ids.size(); ++i) {
    const double value = logprobs["token_logprobs"][i];
    sum += value;
    double likeliest = -1e9;
    for (const auto& [token, top] : logprobs["top_logprobs"][i].items()) {
      likeliest = std::max(likeliest, top.get<double>());
    }
    EXPECT_GE(likeliest, value);
  }
  EXPECT_NEAR(sum, exact["log_likelihood"], 1e-9);
  EXPECT_THAT(choice["text"].get<std::string>(), ::testing::StartsWith(context + rest));
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
}

TEST(Serve, TokensThereAndBack) {
  const Served server(Served::tiny());
  const std::string text = "Zwei “Wörter” 日本 🎉";
  const json tokens = server.post("/tokenize", {{"prompt", text}}).json();
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["max_model_len"], 2048);
  EXPECT_EQ(server.post("/detokenize", {{"tokens", tokens["tokens"]}}).json()["prompt"], text);
  const json messages = asking(kQuestions[0])["messages"];
  const json counted = server.post("/tokenize", {{"messages", messages}}).json();
  const json reply =
      server.post("/v1/chat/completions", {{"messages", messages}, {"max_tokens", 1}}).json();
  EXPECT_EQ(reply["usage"]["prompt_tokens"], counted["count"]);
}

TEST(Serve, ThinkingIsReasoningApart) {
  const Served server(Served::tiny());
  const json thinking = {{"chat_template_kwargs", {{"thinking", true}}}};
  const json messages = asking(kQuestions[1])["messages"];
  const auto count = [&](const json& more) {
    json body = {{"messages", messages}};
    body.update(more);
    return server.post("/tokenize", body).json()["tokens"].back();
  };
  EXPECT_NE(count(thinking), count(json::object())) << "the prompt ends in <think>";
  const json message = server.post("/v1/chat/completions", asking(kQuestions[1], thinking))
                           .json()["choices"][0]["message"];
  EXPECT_NE(message.value("reasoning_content", ""), "") << message;
}

TEST(Serve, WhatIsWrongIsSaidAsTheProtocolSaysIt) {
  const Served server(Served::tiny({"--max-body", "64KiB"}));
  const auto expect = [&](const HttpReply& reply, int status, const std::string& param,
                          const std::string& code) {
    EXPECT_EQ(reply.status, status) << reply.body;
    const json error = reply.json();
    ASSERT_TRUE(error.is_object() && error.contains("error")) << reply.body;
    EXPECT_FALSE(error["error"]["message"].get<std::string>().empty());
    if (!param.empty()) {
      EXPECT_EQ(error["error"]["param"], param);
    }
    if (!code.empty()) {
      EXPECT_EQ(error["error"]["code"], code);
    }
  };
  const std::string chat = "/v1/chat/completions";
  expect(server.post_bytes(chat, "{"), 400, "", "invalid_json");
  expect(server.post(chat, asking("x", {{"temperature", "hot"}})), 400, "temperature", "");
  expect(server.post(chat, asking("x", {{"model", "gpt-5"}})), 404, "model", "model_not_found");
  std::string longer;
  for (int i = 0; i < 3000; ++i) longer += "word ";
  for (const bool stream : {false, true}) {
    expect(server.post(chat, asking(longer, {{"stream", stream}})), 400, "messages",
           "context_length_exceeded");
  }
  expect(server.post("/v1/completions", {{"prompt", {1, 2, 99999999}}}), 400, "prompt", "");
  expect(server.post_bytes(chat, std::string(100000, ' ')), 413, "", "");
  expect(server.post_bytes(chat, std::string(100000, ' '), {"-H", "Transfer-Encoding: chunked"}),
         413, "", "");
  expect(server.post(chat, asking("x"), {}, "text/plain"), 415, "", "");
  expect(server.post(chat, asking("x"), {"-H", "Content-Encoding: gzip"}), 415, "", "");
  expect(server.post(chat, asking("x"), {"-H", "Origin: http://evil.example"}), 403, "", "");
  expect(server.get("/v1/nothing"), 404, "", "");
  EXPECT_EQ(server.post(chat, asking("x"), {"-H", "Origin: http://localhost:3000"}).status, 200)
      << "and it still answers";
}

TEST(Serve, UnknownKeysAreSaidOnceAndTextIsNotLogged) {
  Served server(Served::tiny());
  for (int i = 0; i < 2; ++i) {
    const json body = asking("What is the capital of Norway?", {{"min_tokens", 3}});
    EXPECT_EQ(server.post("/v1/chat/completions", body).status, 200);
  }
  EXPECT_EQ(server.get("/health").status, 200);
  EXPECT_EQ(server.get("/v1/models").json()["data"][0]["id"], "tiny");
  EXPECT_EQ(server.stop(SIGTERM), 0);
  const std::string log = server.log();
  const size_t said = log.find("`min_tokens`");
  ASSERT_NE(said, std::string::npos);
  EXPECT_EQ(log.find("`min_tokens`", said + 1), std::string::npos);
  EXPECT_THAT(log, HasSubstr("/v1/chat/completions 200"));
  EXPECT_THAT(log, ::testing::Not(HasSubstr("Norway")));
  EXPECT_THAT(log, ::testing::Not(HasSubstr("Oslo")));
}

}  // namespace
}  // namespace ds4::test_support
