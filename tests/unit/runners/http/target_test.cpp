// What the http target finds out about servers of different habits, and how it uses it.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "runners/targets/registry.h"
#include "tests/support/chat_server.h"
#include "tests/unit/runners/http/worker_run.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

using nlohmann::json;
using test_support::ChatPlay;
using test_support::ChatServer;
using test_support::HttpConnection;
using test_support::HttpRequest;
using ::testing::HasSubstr;
using ::testing::Not;

struct Opened {
  std::unique_ptr<Target> target;
  Capabilities can;
  json found;
};

struct Keys {
  std::string model = {}, api_key_env = {}, form = "chat", thinking = "auto";
  int64_t concurrency = 1;
  bool stream = true;
};

Opened open(const ChatServer& server, const Keys& keys = {}) {
  profiles::Profile profile;
  profile.target = "http";
  profile.server.url = server.url();
  profile.server.model = keys.model;
  profile.server.api_key_env = keys.api_key_env;
  profile.server.form = keys.form;
  profile.server.thinking = keys.thinking;
  profile.server.concurrency = keys.concurrency;
  profile.server.stream = keys.stream;
  profile.case_timeout_s = 20;
  Opened opened{make_target(profile), {}, {}};
  opened.can = opened.target->open([](const std::string&, const std::string&) {});
  opened.found = json::parse(opened.can.findings);
  return opened;
}

Request asking(const std::string& text, ThinkingMode thinking = ThinkingMode::kChat) {
  Request request;
  ds4::Message user;
  user.role = "user";
  user.content = text;
  request.conversation.messages.push_back(user);
  request.conversation.thinking = thinking;
  request.limits.max_tokens = 64;
  return request;
}

bool go_on(int64_t, int64_t) {
  return true;
}

TEST(HttpProbe, FindsWhatVllmOffers) {
  ChatServer server(ChatPlay{});
  const Opened opened = open(server);
  EXPECT_TRUE(opened.can.exact_token_counts);
  EXPECT_TRUE(opened.can.tools);
  EXPECT_TRUE(opened.can.thinking);
  EXPECT_TRUE(opened.can.no_thinking);
  EXPECT_TRUE(opened.can.logprobs);
  EXPECT_TRUE(opened.can.raw_prompts);
  EXPECT_FALSE(opened.can.prompt_logprobs) << "it ignores echo";
  EXPECT_EQ(opened.found["streaming"]["usage_in_each_piece"], true);
  EXPECT_EQ(opened.found["streaming"]["end_mark"], true);
  EXPECT_EQ(opened.found["health"], true);
  EXPECT_EQ(opened.found["metrics"], false);
  EXPECT_EQ(opened.found["owner"], "vllm");
  EXPECT_THAT(opened.can.description, HasSubstr("played at http://127.0.0.1:"));
}

TEST(HttpProbe, FindsTheSwitchThatHasAnEffect) {
  for (const char* name : {"chat_template_kwargs.thinking", "chat_template_kwargs.enable_thinking",
                           "thinking.type", "think", "reasoning_effort"}) {
    for (const bool by_itself : {false, true}) {
      ChatPlay play;
      play.thinking_switch = name;
      play.thinks_by_itself = by_itself;
      ChatServer server(play);
      Opened opened = open(server);
      EXPECT_EQ(opened.found["thinking"]["switch"], name);
      EXPECT_EQ(opened.found["thinking"]["by_itself"], by_itself);
      EXPECT_TRUE(opened.can.thinking);
      EXPECT_TRUE(opened.can.no_thinking);
      const Response with = submit(*opened.target, asking("Why?", ThinkingMode::kThinking), go_on);
      const Response without = submit(*opened.target, asking("Why?"), go_on);
      EXPECT_EQ(with.answer.reasoning, "let me see") << name;
      EXPECT_EQ(without.answer.reasoning, "") << name;
      EXPECT_EQ(with.answer.content, "one two three");
      EXPECT_EQ(with.completion_tokens, 5);
    }
  }
}

TEST(HttpProbe, BelievesNoSwitchWithoutAnEffect) {
  ChatPlay play;
  play.thinking_switch = "something else";
  {
    ChatServer never(play);
    const Opened opened = open(never);
    EXPECT_FALSE(opened.can.thinking);
    EXPECT_TRUE(opened.can.no_thinking);
    EXPECT_EQ(opened.found["thinking"]["switch"], "none");
    EXPECT_EQ(opened.found["thinking"]["tried"]["think"]["on"], "no reasoning");
  }
  play.thinks_by_itself = true;
  ChatServer always(play);
  const Opened opened = open(always);
  EXPECT_TRUE(opened.can.thinking);
  EXPECT_FALSE(opened.can.no_thinking);
}

TEST(HttpProbe, TheProfileMayNameTheSwitch) {
  ChatPlay play;
  play.thinking_switch = "think";
  ChatServer server(play);
  EXPECT_EQ(open(server, {.thinking = "think"}).found["thinking"]["tried"].size(), 1u);
  EXPECT_FALSE(open(server, {.thinking = "none"}).can.thinking);
  EXPECT_FALSE(open(server, {.thinking = "thinking.type"}).can.thinking) << "it has no effect";
}

TEST(HttpProbe, ReasoningInTheTextIsTakenOut) {
  ChatPlay play;
  play.reasoning_field = "";
  ChatServer server(play);
  Opened opened = open(server);
  EXPECT_TRUE(opened.can.thinking);
  EXPECT_EQ(opened.found["thinking"]["stands_in_the_text"], true);
  const Told told =
      told_of_all(*opened.target, {asking("Why?", ThinkingMode::kThinking)}, go_on).at(0);
  EXPECT_EQ(told.response.answer.reasoning, "let me see");
  EXPECT_EQ(told.response.answer.content, "one two three");
  EXPECT_EQ(told.reasoning, "let me see");
  EXPECT_EQ(told.content, "one two three");
}

TEST(HttpProbe, APoorServerIsUsedAsFarAsItGoes) {
  ChatPlay play;
  play.usage = play.end_mark = play.tokenize = play.completions = false;
  play.tools = play.logprobs = play.usage_each = false;
  ChatServer server(play);
  Opened opened = open(server);
  EXPECT_FALSE(opened.can.exact_token_counts);
  EXPECT_FALSE(opened.can.tools);
  EXPECT_FALSE(opened.can.logprobs);
  EXPECT_FALSE(opened.can.raw_prompts);
  const Response response = submit(*opened.target, asking("Hello"), go_on);
  EXPECT_EQ(response.error, "");
  EXPECT_EQ(response.completion_tokens, 3);
}

TEST(HttpProbe, ATokenizerThatCountsSomethingElseIsNotBelieved) {
  ChatPlay play;
  play.prompt_tokens = 50;  // always
  ChatServer server(play);
  const Opened opened = open(server);
  EXPECT_FALSE(opened.can.exact_token_counts);
  EXPECT_EQ(opened.found["tokenize_agrees"], false);
}

TEST(HttpProbe, AServerThatTakesNoStreamOptions) {
  ChatPlay play;
  play.chat = [](int, const HttpRequest& request, HttpConnection& c) {
    if (request.body.find("stream_options") == std::string::npos) return false;
    c.reply(422, "application/json", R"({"detail":[{"msg":"stream_options: extra field"}]})");
    return true;
  };
  ChatServer server(play);
  Opened opened = open(server);
  EXPECT_THAT(opened.found["refused"]["stream_options"].get<std::string>(), HasSubstr("extra"));
  EXPECT_EQ(submit(*opened.target, asking("Hello"), go_on).error, "");
}

TEST(HttpProbe, AServerThatDoesNotStream) {
  ChatPlay play;
  play.chat = [](int, const HttpRequest& request, HttpConnection& c) {
    if (!json::parse(request.body).value("stream", false)) return false;
    c.reply(400, "application/json", R"({"error":"stream is not supported"})");
    return true;
  };
  ChatServer server(play);
  Opened opened = open(server);
  EXPECT_EQ(opened.found["streaming"]["as_events"], false);
  const Told told = told_of_all(*opened.target, {asking("Hello")}, go_on).at(0);
  EXPECT_EQ(told.response.answer.content, "one two three");
  EXPECT_EQ(told.content, "one two three");
}

TEST(HttpTarget, ModelsThatAreNotThere) {
  ChatServer server(ChatPlay{});
  try {
    open(server, {.model = "other"});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("does not list the model `other`"));
    EXPECT_THAT(error.hint(), HasSubstr("played"));
  }
}

TEST(HttpTarget, TheKeyComesFromTheEnvironmentAndStaysThere) {
  ChatPlay play;
  play.key = "sk-very-secret";
  ChatServer server(play);
  try {
    open(server);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("server.api_key_env"));
  }
  ::unsetenv("DS4_TEST_KEY");
  EXPECT_THROW(open(server, {.api_key_env = "DS4_TEST_KEY"}), Error) << "it is not set";
  ::setenv("DS4_TEST_KEY", "sk-very-secret", 1);
  EXPECT_EQ(run_against(server.url(), "api_key_env = \"DS4_TEST_KEY\"\n").attempts.size(), 1u);
  ::setenv("DS4_TEST_KEY", "sk-another-secret", 1);
  const WorkerRun refused = run_against(server.url(), "api_key_env = \"DS4_TEST_KEY\"\n");
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_THAT(refused.error->what, HasSubstr("***"));
  EXPECT_THAT(refused.lines, Not(HasSubstr("sk-another-secret")));
  ::unsetenv("DS4_TEST_KEY");
}

TEST(HttpTarget, AnEchoOfTheKeyIsNotStored) {
  ChatPlay play;
  play.chat = [](int, const HttpRequest& request, HttpConnection& c) {
    if (request.body.find("capital of France?") == std::string::npos) return false;
    c.reply(500, "text/plain", "headers were: " + request.headers.at("authorization"));
    return true;
  };
  ChatServer server(play);
  ::setenv("DS4_TEST_KEY", "sk-mirrored", 1);
  const WorkerRun run = run_against(server.url(), "api_key_env = \"DS4_TEST_KEY\"\n");
  ::unsetenv("DS4_TEST_KEY");
  ASSERT_EQ(run.attempts.size(), 1u);
  EXPECT_THAT(run.attempts[0].attempt.error, HasSubstr("Bearer ***"));
  EXPECT_THAT(run.lines, Not(HasSubstr("sk-mirrored")));
}

TEST(HttpTarget, SuitesItCannotServeAreSkippedWithTheReason) {
  ChatPlay play;
  play.thinking_switch = "nothing";
  play.tools = false;
  ChatServer server(play);
  const WorkerRun run = run_against(
      server.url(), "", "thinking = true\n[[suite]]\nname = \"tool_calls\"\ncases = 1\n");
  EXPECT_EQ(run.exit_code, 0);
  ASSERT_TRUE(run.ready.has_value()) << run.lines;
  EXPECT_EQ(run.ready->skipped.at("smoke"), "thinking cannot be had from it");
  EXPECT_TRUE(run.attempts.size() == 1 || run.ready->skipped.contains("tool_calls"));
  const json target = json::parse(run.ready->target);
  EXPECT_EQ(target["thinking"], false);
  EXPECT_EQ(target["findings"]["thinking"]["switch"], "none");
}

TEST(HttpTarget, AsManyRequestsAtATimeAsItIsToldTo) {
  ChatPlay play;
  play.piece_ms = 60;
  ChatServer server(play);
  Opened opened = open(server, {.concurrency = 3});
  const std::vector<Request> requests(7, asking("Hello"));
  const auto told = told_of_all(*opened.target, requests, go_on);
  for (const Told& one : told) {
    EXPECT_EQ(one.response.error, "");
    EXPECT_EQ(one.content, "one two three");
    EXPECT_EQ(one.response.events.size(), 3u);
  }
  EXPECT_EQ(server.http().most_at_once(), 3);
}

TEST(HttpTarget, CancellingOneLeavesTheOthers) {
  ChatPlay play;
  play.pieces = std::vector<std::string>(40, "word ");
  play.piece_ms = 20;
  ChatServer server(play);
  Opened opened = open(server, {.concurrency = 2});
  struct CancelFirst final : Work {
    int begun = 0;
    std::vector<Response> responses{2};
    std::optional<Item> next(bool) override {
      if (begun == 2) return std::nullopt;
      return Item{begun++, asking("Hello")};
    }
    bool progress(int64_t id, int64_t, int64_t done) override { return id == 1 || done < 3; }
    void done(int64_t id, Response r) override {
      responses.at(static_cast<size_t>(id)) = std::move(r);
    }
  } work;
  opened.target->run(work);
  EXPECT_EQ(work.responses[0].answer.finish_reason, "cancelled");
  EXPECT_LT(work.responses[0].completion_tokens, 40);
  EXPECT_EQ(work.responses[1].answer.finish_reason, "stop");
  EXPECT_EQ(work.responses[1].completion_tokens, 40);
}

TEST(HttpTarget, TimesAreOfArrival) {
  ChatPlay play;
  play.piece_ms = 80;
  ChatServer server(play);
  Opened opened = open(server);
  const Response response = submit(*opened.target, asking("Hello"), go_on);
  ASSERT_EQ(response.events.size(), 3u);
  EXPECT_GT(response.events[0].time_s, 0.06);
  EXPECT_GT(response.events[2].time_s - response.events[0].time_s, 0.12);
  EXPECT_GE(response.end_s, response.events[2].time_s);
}

TEST(HttpTarget, TokensWithoutTextAreToldToo) {
  ChatPlay play;
  play.pieces = {"one ", "", "three", ""};
  play.piece_ms = 80;  // each is looked at by itself
  ChatServer server(play);
  Opened opened = open(server);
  Request request = asking("Hello");
  request.limits.logprobs = {.answer = true, .top = 1};
  const Told told = told_of_all(*opened.target, {request}, go_on).at(0);
  EXPECT_EQ(told.content, "one three");
  ASSERT_EQ(told.response.logprobs.size(), 4u);
  ASSERT_EQ(told.logprobs.size(), 4u);
  EXPECT_EQ(told.logprobs[1].text, "");
  EXPECT_EQ(told.logprobs[2].text, "three");
}

TEST(HttpTarget, WholeAnswersWhenTheProfileSaysSo) {
  ChatServer server(ChatPlay{});
  Opened opened = open(server, {.stream = false});
  EXPECT_EQ(opened.found["streaming"]["as_events"], true) << "what the server can, all the same";
  const Told told = told_of_all(*opened.target, {asking("Hello")}, go_on).at(0);
  EXPECT_EQ(told.response.error, "");
  EXPECT_EQ(told.content, "one two three");
  EXPECT_FALSE(json::parse(server.http().requests().back().body).value("stream", false));
}

TEST(HttpTarget, CompletionsTakeOurOwnRendering) {
  ChatServer server(ChatPlay{});
  Opened opened = open(server, {.form = "completions"});
  EXPECT_TRUE(opened.can.thinking);
  const Response response = submit(*opened.target, asking("Hello"), go_on);
  EXPECT_EQ(response.error, "");
  const json body = json::parse(server.http().requests().back().body);
  EXPECT_EQ(server.http().requests().back().path, "/v1/completions");
  EXPECT_EQ(opened.found["begin_token_in_front"], false);
  EXPECT_TRUE(body["prompt"].get<std::string>().starts_with(
      "<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜>"))
      << body["prompt"];
}

}  // namespace
}  // namespace ds4::runners
