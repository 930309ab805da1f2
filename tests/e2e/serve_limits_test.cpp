// A server whose target is a script, so that every moment can be had at leisure: full queues,
// clients that leave, keys, addresses, the end.
#include <gmock/gmock.h>

#include "tests/e2e/served.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Scripted {
 public:
  explicit Scripted(const std::string& script, std::vector<std::string> more = {}) {
    write_file_atomic(folder_ / "script.json", script);
    more.insert(more.begin(), {"--target", "scripted", "--script", folder_ / "script.json"});
    server_.emplace(more);
  }
  Served* operator->() { return &*server_; }

 private:
  TemporaryFolder folder_;
  std::optional<Served> server_;
};

const std::string kSlow =
    R"({"rules": [{"contains": "slow", "text": "0123456789", "tokens": 200, "token_ms": 50},
                  {"contains": "wait", "delay_ms": 20000, "text": "late"},
                  {"contains": "fail", "error": "no", "failure": "refused"},
                  {"contains": "break", "error": "broke", "failure": "broken"},
                  {"text": "at once", "tokens": 2}]})";
const std::string kChat = "/v1/chat/completions";

TEST(ServeLimits, AFullQueueSaysComeBack) {
  Scripted server(kSlow, {"--queue", "1"});
  std::thread first([&] { server->post(kChat, asking("wait"), {"--max-time", "3"}); });
  ASSERT_TRUE(server->becomes("vllm:num_requests_running", 1));
  std::thread second([&] { server->post(kChat, asking("wait"), {"--max-time", "3"}); });
  ASSERT_TRUE(server->becomes("vllm:num_requests_waiting", 1));
  const HttpReply third = server->post(kChat, asking("x"));
  EXPECT_EQ(third.status, 429);
  EXPECT_THAT(third.head, HasSubstr("Retry-After: "));
  EXPECT_EQ(third.json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(server->get("/health").status, 200) << "the rest still answers";
  first.join();
  second.join();
  EXPECT_TRUE(server->becomes("vllm:num_requests_waiting", 0));
  EXPECT_EQ(server->post(kChat, asking("x")).status, 200) << "both left, there is room";
}

// The work for a client that left stops: while it computes a prompt, and while it streams.
TEST(ServeLimits, WhoLeavesIsNotWorkedFor) {
  Scripted server(kSlow);
  int left = 0;
  for (const char* text : {"wait", "slow"}) {
    for (const bool stream : {false, true}) {
      SCOPED_TRACE(std::string(text) + (stream ? ", streamed" : ""));
      server->post(kChat, asking(text, {{"stream", stream}}), {"--max-time", "0.5"});
      EXPECT_TRUE(server->becomes("vllm:num_requests_running", 0));
      ++left;
    }
  }
  EXPECT_EQ(server->post(kChat, asking("x")).status, 200);
  EXPECT_THAT(server->get("/metrics").body,
              HasSubstr("finished_reason=\"abort\"} " + std::to_string(left) + "\n"));
  EXPECT_THAT(server->log(), HasSubstr("the client left"));
}

TEST(ServeLimits, AStreamComesAsItIsWritten) {
  Scripted server(kSlow);
  const HttpReply cut =
      server->post(kChat, asking("slow", {{"stream", true}}), {"--max-time", "3"});
  EXPECT_EQ(cut.status, 200);
  const auto events = events_of(cut.body.substr(0, cut.body.rfind("\n\n") + 2));
  EXPECT_GT(events.size(), 2u) << "long before its end";
  EXPECT_EQ(cut.body.find("[DONE]"), std::string::npos);
}

TEST(ServeLimits, WhatTheTargetCannotAnswer) {
  Scripted server(kSlow);
  EXPECT_EQ(server->post(kChat, asking("fail")).status, 400);
  EXPECT_EQ(server->post(kChat, asking("fail", {{"stream", true}})).status, 400);
  EXPECT_EQ(server->post(kChat, asking("break")).status, 500);
  EXPECT_EQ(server->post("/tokenize", {{"prompt", "x"}}).status, 501) << "a script has no tokens";
}

TEST(ServeLimits, OnlyWithTheKey) {
  ::setenv("DS4_TEST_KEY", "s3cret", 1);
  Scripted server(kSlow, {"--api-key-env", "DS4_TEST_KEY", "--host", "0.0.0.0"});
  const HttpReply none = server->post(kChat, asking("x"));
  EXPECT_EQ(none.status, 401);
  EXPECT_THAT(none.head, HasSubstr("WWW-Authenticate"));
  EXPECT_EQ(server->post(kChat, asking("x"), {"-H", "Authorization: Bearer s3cre"}).status, 401);
  EXPECT_EQ(server->post(kChat, asking("x"), {"-H", "Authorization: Bearer s3cret"}).status, 200);
  EXPECT_EQ(server->get("/v1/models").status, 401);
  EXPECT_EQ(server->get("/health").status, 200);
  EXPECT_THAT(server->log(), ::testing::Not(HasSubstr("s3cret")));
}

TEST(ServeLimits, AddressesThatCannotBe) {
  const auto serve = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {DS4_SWEEP_BINARY, "serve", "--target", "null"});
    return run_command(flags);
  };
  const CommandResult open = serve({"--host", "0.0.0.0", "--port", "0"});
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_THAT(open.err, HasSubstr("--api-key-env"));
  EXPECT_EQ(serve({"--api-key-env", "DS4_NOT_SET", "--port", "0"}).exit_code, 2);
  Scripted server(kSlow);
  const std::string port = server->url().substr(server->url().rfind(':') + 1);
  const CommandResult taken = serve({"--port", port});
  EXPECT_EQ(taken.exit_code, 3);
  EXPECT_THAT(taken.err, HasSubstr("port " + port));
}

// Nobody is left waiting: who is being answered is told, and the process ends well.
TEST(ServeLimits, TheEndIsSaid) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Scripted server(kSlow);
    HttpReply waiting, streaming;
    std::thread stream([&] {
      streaming = server->post(kChat, asking("slow", {{"stream", true}}));
    });
    ASSERT_TRUE(server->becomes("vllm:num_requests_running", 1));
    std::thread wait([&] { waiting = server->post(kChat, asking("wait")); });
    ASSERT_TRUE(server->becomes("vllm:num_requests_waiting", 1));
    EXPECT_EQ(server->stop(signal), 0);
    wait.join();
    stream.join();
    EXPECT_EQ(waiting.status, 503);
    EXPECT_EQ(streaming.status, 200);
    EXPECT_THAT(streaming.body, HasSubstr("\"shutting_down\""));
  }
}

}  // namespace
}  // namespace ds4::test_support
