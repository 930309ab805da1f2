// Every way in which a server fails an answer, and the class it ends as.
#include <gmock/gmock.h>

#include "tests/support/chat_server.h"
#include "tests/unit/runners/http/worker_run.h"

namespace ds4::runners {
namespace {

using test_support::ChatPlay;
using test_support::ChatServer;
using test_support::HttpConnection;
using test_support::HttpRequest;
using ::testing::HasSubstr;

using Misbehaviour = std::function<void(HttpConnection&)>;

// A server that answers every probe well and misbehaves when it is asked the case.
ChatPlay play_with(const Misbehaviour& misbehave) {
  ChatPlay play;
  play.pieces = {"The capital of France ", "is ", "Paris."};
  play.chat = [misbehave](int, const HttpRequest& request, HttpConnection& connection) {
    if (!misbehave || request.body.find("capital of France?") == std::string::npos) return false;
    misbehave(connection);
    return true;
  };
  return play;
}

constexpr const char* kSlow = "[limits]\ncase_timeout = \"2s\"\n";
constexpr const char* kDone = "data: [DONE]\n\n";
const std::string kFinish =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const std::string kUsage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":3}}\n\n";

reports::AttemptRow attempt_of(const ChatPlay& play, const std::string& rest = "") {
  ChatServer server(play);
  const WorkerRun run = run_against(server.url(), "", rest);
  EXPECT_EQ(run.exit_code, 0) << run.lines;
  if (run.attempts.size() != 1) {
    ADD_FAILURE() << run.lines;
    return {};
  }
  return run.attempts[0].attempt;
}
reports::AttemptRow attempt_of(const Misbehaviour& misbehave, const std::string& rest = "") {
  return attempt_of(play_with(misbehave), rest);
}

// What a misbehaving server sends as a stream.
Misbehaviour streams(const std::string& bytes) {
  return [bytes](HttpConnection& c) {
    c.begin("text/event-stream");
    c.chunk(bytes);
    c.end();
  };
}

TEST(HttpOutcomes, AWellBehavedServer) {
  const auto attempt = attempt_of(nullptr);
  EXPECT_EQ(attempt.outcome, "ok") << attempt.error << attempt.note;
  EXPECT_EQ(attempt.content, "The capital of France is Paris.");
  EXPECT_EQ(attempt.completion_tokens, 3);
  EXPECT_EQ(attempt.prompt_tokens, 30);
  EXPECT_EQ(attempt.finish_reason, "stop");
}

TEST(HttpOutcomes, DiesInTheMiddle) {
  const auto attempt = attempt_of([](HttpConnection& c) {
    c.begin("text/event-stream");
    c.chunk(ChatServer::event("The capital"));
    c.wait(0.05);
    c.reset();
  });
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
  EXPECT_THAT(attempt.error, HasSubstr("broke off"));
  EXPECT_EQ(attempt.content, "The capital");
  EXPECT_GE(attempt.first_token_s, 0);
}

TEST(HttpOutcomes, EndsWithoutItsEndMark) {
  const auto attempt = attempt_of(streams(ChatServer::event("The capital of France is Paris.")));
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
  EXPECT_THAT(attempt.error, HasSubstr("[DONE]"));
}

TEST(HttpOutcomes, EndsWithoutItsCounts) {
  const auto attempt =
      attempt_of(streams(ChatServer::event("The capital of France is Paris.") + kFinish + kDone));
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
  EXPECT_THAT(attempt.error, HasSubstr("token counts"));
}

TEST(HttpOutcomes, AServerWithoutEndMarksAndCountsIsTakenAsItIs) {
  ChatPlay play = play_with(nullptr);
  play.end_mark = play.usage = false;
  const auto attempt = attempt_of(play);
  EXPECT_EQ(attempt.outcome, "ok") << attempt.error;
  EXPECT_EQ(attempt.completion_tokens, 3) << "pieces are counted";
}

TEST(HttpOutcomes, MalformedJsonInTheStream) {
  const auto attempt =
      attempt_of(streams(ChatServer::event("The capital") + "data: {\"choices\":[{\n\n" + kDone));
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
  EXPECT_THAT(attempt.error, HasSubstr("no JSON"));
}

TEST(HttpOutcomes, AnErrorObjectInTheStream) {
  const auto attempt = attempt_of(streams(
      ChatServer::event("The capital") + "data: {\"error\":{\"message\":\"CUDA went away\"}}\n\n"));
  EXPECT_EQ(attempt.outcome, "API_ERROR");
  EXPECT_THAT(attempt.error, HasSubstr("CUDA went away"));
}

TEST(HttpOutcomes, RefusalsAreApiErrors) {
  for (const int status : {400, 404, 429, 500, 503}) {
    const auto attempt = attempt_of([status](HttpConnection& c) {
      c.reply(status, "application/json", R"({"error":{"message":"not now"}})");
    });
    EXPECT_EQ(attempt.outcome, "API_ERROR");
    EXPECT_EQ(attempt.error, "HTTP " + std::to_string(status) + ": not now");
  }
}

TEST(HttpOutcomes, AWebPageIsNoAnswer) {
  const auto attempt = attempt_of([](HttpConnection& c) {
    c.reply(200, "text/html", "<html><body>Please log in</body></html>");
  });
  EXPECT_EQ(attempt.outcome, "API_ERROR");
  EXPECT_THAT(attempt.error, HasSubstr("web page"));
}

TEST(HttpOutcomes, AWrongContentTypeOfARightStreamDoesNoHarm) {
  const auto attempt = attempt_of([](HttpConnection& c) {
    c.begin("application/octet-stream");
    c.chunk(ChatServer::event("The capital of France is Paris.") + kFinish + kUsage + kDone);
    c.end();
  });
  EXPECT_EQ(attempt.outcome, "ok") << attempt.error;
}

TEST(HttpOutcomes, AWholeReplyInPlaceOfAStreamIsAnAnswer) {
  const auto attempt = attempt_of([](HttpConnection& c) {
    c.reply(200, "application/json",
            R"({"choices":[{"index":0,"message":{"content":"The capital of France is Paris."},)"
            R"("finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":7}})");
  });
  EXPECT_EQ(attempt.outcome, "ok") << attempt.error;
  EXPECT_EQ(attempt.completion_tokens, 7);
}

TEST(HttpOutcomes, AMalformedWholeReply) {
  const auto attempt =
      attempt_of([](HttpConnection& c) { c.reply(200, "application/json", "{\"choices\":"); });
  EXPECT_EQ(attempt.outcome, "API_ERROR");
}

TEST(HttpOutcomes, HangsBeforeItsFirstByte) {
  const auto attempt = attempt_of([](HttpConnection& c) { c.wait(30); }, kSlow);
  EXPECT_EQ(attempt.outcome, "TIMEOUT");
  EXPECT_THAT(attempt.error, HasSubstr("limits.case_timeout"));
}

TEST(HttpOutcomes, DripsForever) {
  const auto attempt = attempt_of(
      [](HttpConnection& c) {
        c.begin("text/event-stream");
        while (c.chunk(": alive\n\n") && c.wait(0.02)) {
        }
      },
      kSlow);
  EXPECT_EQ(attempt.outcome, "TIMEOUT");
}

TEST(HttpOutcomes, StallsLongerThanItMay) {
  ChatServer server(play_with([](HttpConnection& c) {
    c.begin("text/event-stream");
    c.chunk(ChatServer::event("The capital"));
    c.wait(30);
  }));
  const WorkerRun run = run_against(server.url(), "stall_timeout = \"500ms\"\n");
  ASSERT_EQ(run.attempts.size(), 1u) << run.lines;
  EXPECT_EQ(run.attempts[0].attempt.outcome, "TIMEOUT");
  EXPECT_THAT(run.attempts[0].attempt.error, HasSubstr("server.stall_timeout"));
}

TEST(HttpOutcomes, ChunksWithoutAnEndDoNotMatterBehindTheEndMark) {
  const auto attempt = attempt_of(
      [](HttpConnection& c) {
        c.begin("text/event-stream");
        c.chunk(ChatServer::event("The capital of France is Paris.") + kFinish + kUsage + kDone);
        c.wait(30);  // neither a last chunk nor a good-bye
      },
      kSlow);
  EXPECT_EQ(attempt.outcome, "ok") << attempt.error;
}

TEST(HttpOutcomes, WrongCounts) {
  for (const auto& [prompt, completion] :
       {std::pair<int64_t, int64_t>{-1, 4000}, {-1, 0}, {9000, -1}}) {
    ChatPlay play = play_with(nullptr);
    play.chat = nullptr;
    ChatServer honest(play);
    ChatPlay lying = play;
    lying.chat = [&honest, prompt = prompt, completion = completion](
                     int, const HttpRequest& request, HttpConnection& c) {
      if (request.body.find("capital of France?") == std::string::npos) return false;
      c.begin("text/event-stream");
      c.chunk(ChatServer::event("The capital of France is Paris.") + kFinish +
              "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":" +
              std::to_string(prompt < 0 ? 30 : prompt) + ",\"completion_tokens\":" +
              std::to_string(completion < 0 ? 3 : completion) + "}}\n\n" + kDone);
      c.end();
      return true;
    };
    const auto attempt = attempt_of(lying);
    EXPECT_EQ(attempt.outcome, "MISCOUNTED") << prompt << " " << completion;
    EXPECT_THAT(attempt.note, HasSubstr("the server states"));
    EXPECT_EQ(attempt.status, "ok") << "its answer counts";
  }
}

TEST(HttpOutcomes, NothingToRead) {
  const auto attempt = attempt_of(streams(kFinish + kUsage + kDone));
  EXPECT_EQ(attempt.outcome, "EMPTY_CONTENT") << attempt.error;
}

TEST(HttpOutcomes, TwoAnswersInOne) {
  const auto attempt =
      attempt_of(streams("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}\n\n" +
                         std::string(kDone)));
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
}

TEST(HttpOutcomes, ALineWithoutEnd) {
  const auto attempt = attempt_of([](HttpConnection& c) {
    c.begin("text/event-stream");
    const std::string piece(1 << 20, 'x');
    c.chunk("data: ");
    while (c.chunk(piece)) {
    }
  });
  EXPECT_EQ(attempt.outcome, "STREAM_BROKEN");
  EXPECT_THAT(attempt.error, HasSubstr("longer than"));
}

TEST(HttpOutcomes, AWrongAnswerIsAWrongAnswer) {
  ChatPlay play;
  play.pieces = {"The capital of France ", "is ", "Lyon."};
  EXPECT_EQ(attempt_of(play).outcome, "WRONG_ANSWER");
}

TEST(HttpOutcomes, CutByItsBudget) {
  ChatPlay play;
  play.pieces.clear();
  for (int i = 0; i < 300; ++i) play.pieces.push_back("word" + std::to_string(i * 7919) + " ");
  EXPECT_EQ(attempt_of(play).outcome, "TRUNCATED_BY_BUDGET");
}

TEST(HttpOutcomes, NobodyThereIsToldAtOnce) {
  int port = 0;
  { port = ChatServer(ChatPlay{}).http().port(); }
  const WorkerRun run = run_against("http://127.0.0.1:" + std::to_string(port) + "/v1");
  ASSERT_TRUE(run.error.has_value());
  EXPECT_EQ(run.error->code, "machine");
  EXPECT_THAT(run.error->what, HasSubstr("nobody listens"));
  EXPECT_THAT(run.error->hint, HasSubstr("server.url"));
}

}  // namespace
}  // namespace ds4::runners
