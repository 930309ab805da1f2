// What every target promises (runners/targets/target.h), checked on each of them.
#include <gtest/gtest.h>

#include <map>

#include "engine/base/clock.h"
#include "engine/base/files.h"
#include "reports/store/store.h"
#include "runners/targets/registry.h"
#include "tests/e2e/served.h"
#include "tests/support/chat_server.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

// A run that answered every question below, as a store has it.
std::string recorded(const std::string& file) {
  const auto store = reports::Store::open(file);
  reports::RunRow run;
  run.id = "recorded-run";
  run.started_at = utc_now();
  reports::CellRow cell;
  cell.key = "k";
  store->add_run(run, {cell});
  for (const char* prompt :
       {"[user]\nSay OK.", "[user]\nWhat is 12 + 30?", "[user]\nWhat is the capital of France?",
        "[text]\nThe capital of France is"}) {
    reports::AttemptRow attempt;
    attempt.cell_key = "k";
    attempt.suite = "smoke";
    attempt.case_id = prompt;
    attempt.status = "ok";
    attempt.prompt = prompt;
    attempt.text = attempt.content = "one “two” three";
    attempt.finish_reason = "stop";
    attempt.prompt_tokens = 11;
    attempt.completion_tokens = 9;
    for (int i = 0; i < 9; ++i) attempt.events.push_back({0.1 * (i + 1), 1});
    attempt.first_token_s = 0.1;
    attempt.end_s = 1;
    store->add_attempt(run.id, attempt, std::nullopt);
  }
  return file;
}

class TargetConformance : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    profile_.target = GetParam();
    profile_.checkpoint = test_support::source_dir() / "checkpoints/tiny";
    profile_.engine.context_length = 512;
    if (profile_.target == "scripted") {
      profile_.script = folder_ / "script.json";
      write_file_atomic(profile_.script,
                        R"({"rules": [{"text": "one “two” three", "tokens": 9, "delay_ms": 30}]})");
    }
    if (profile_.target == "replay") profile_.recording = recorded(folder_ / "results.db");
    if (profile_.target == "serve") {
      served_.emplace(test_support::Served::tiny({"--quiet"}));
      profile_.target = "http";
      profile_.server.url = served_->url() + "/v1";
    } else if (profile_.target == "managed") {
      profile_.launch.server = "other";
      profile_.launch.command = {DS4_SWEEP_BINARY,   "serve",     "--quiet", "--checkpoint",
                                 "{checkpoint}",     "--port",    "{port}",  "--context",
                                 "{context_length}", "--threads", "1"};
    } else if (profile_.target == "http") {
      server_.emplace(ds4::test_support::ChatPlay{.piece_ms = 30});
      profile_.server.url = server_->url();
      profile_.checkpoint.clear();  // it counts with the server's tokenizer
    }
    target_ = make_target(profile_);
    capabilities_ = target_->open(
        [&](const std::string& phase, const std::string&) { phases_.push_back(phase); });
  }
  void TearDown() override { target_->close(); }

  static Request request(const std::string& text) {
    Request r;
    Message message;
    message.role = "user";
    message.content = text;
    r.conversation.messages.push_back(message);
    r.limits.max_tokens = 24;
    return r;
  }
  static bool go_on(int64_t, int64_t) { return true; }

  ds4::test_support::TemporaryFolder folder_;
  profiles::Profile profile_;
  std::optional<ds4::test_support::ChatServer> server_;
  std::optional<ds4::test_support::Served> served_;
  std::unique_ptr<Target> target_;
  Capabilities capabilities_;
  std::vector<std::string> phases_;
};

TEST_P(TargetConformance, DescribesItself) {
  EXPECT_FALSE(capabilities_.description.empty());
}

TEST_P(TargetConformance, CountsWhatItThenSees) {
  if (!capabilities_.exact_token_counts) GTEST_SKIP() << "the target only estimates";
  const Request r = request("What is 12 + 30?");
  const int64_t counted = target_->count_tokens(r.conversation);
  EXPECT_GT(counted, 0);
  EXPECT_EQ(submit(*target_, r, go_on).prompt_tokens, counted);
}

TEST_P(TargetConformance, TimesAreOrderedAndCountsAgree) {
  const Response response = submit(*target_, request("Say OK."), go_on);
  EXPECT_EQ(response.error, "");
  EXPECT_FALSE(response.answer.finish_reason.empty());
  int64_t tokens = 0;
  double last = 0;
  for (const TokenEvent& event : response.events) {
    EXPECT_GE(event.time_s, last);
    EXPECT_GE(event.n_tokens, 1);
    last = event.time_s;
    tokens += event.n_tokens;
  }
  EXPECT_EQ(tokens, response.completion_tokens);
  EXPECT_LE(response.completion_tokens, 24);
  ASSERT_FALSE(response.events.empty());
  EXPECT_EQ(response.first_token_s, response.events.front().time_s);
  EXPECT_GE(response.end_s, last);
}

TEST_P(TargetConformance, SameRequestTwiceGivesTheSameAnswer) {
  const Request r = request("What is the capital of France?");
  const Response first = submit(*target_, r, go_on), second = submit(*target_, r, go_on);
  EXPECT_EQ(first.answer.text, second.answer.text);
  EXPECT_EQ(first.completion_tokens, second.completion_tokens);
}

TEST_P(TargetConformance, CanBeCancelledAndUsedAgain) {
  const Response cancelled =
      submit(*target_, request("Say OK."), [](int64_t, int64_t) { return false; });
  EXPECT_EQ(cancelled.answer.finish_reason, "cancelled");
  EXPECT_EQ(submit(*target_, request("Say OK."), go_on).error, "");
}

// A cancelled answer is the beginning of the whole one.
TEST_P(TargetConformance, CanBeCancelledInTheMiddle) {
  const Request r = request("What is the capital of France?");
  const Told whole = told_of_all(*target_, {r}, go_on).at(0);
  if (whole.response.completion_tokens < 3) GTEST_SKIP() << "the answer is too short";
  const Told cut = told_of_all(*target_, {r}, [](int64_t, int64_t done) { return done < 2; }).at(0);
  EXPECT_EQ(cut.response.answer.finish_reason, "cancelled");
  // Where answers come by themselves one more may be under way.
  EXPECT_GE(cut.response.completion_tokens, 2);
  EXPECT_LE(cut.response.completion_tokens, whole.response.completion_tokens);
  // A fast server on the same machine may have sent all before it heard.
  if (std::string_view(GetParam()) != "serve" && std::string_view(GetParam()) != "managed") {
    EXPECT_LT(cut.response.completion_tokens, whole.response.completion_tokens);
    EXPECT_LT(cut.content.size(), whole.content.size());
  }
  EXPECT_TRUE(whole.content.starts_with(cut.content));
  EXPECT_EQ(cut.content, cut.response.answer.content);
}

TEST_P(TargetConformance, PiecesAreTheAnswer) {
  for (const ThinkingMode thinking : {ThinkingMode::kChat, ThinkingMode::kThinking}) {
    Request r = request("What is the capital of France?");
    r.conversation.thinking = thinking;
    const Told told = told_of_all(*target_, {r}, go_on).at(0);
    EXPECT_EQ(told.reasoning, told.response.answer.reasoning);
    EXPECT_EQ(told.content, told.response.answer.content);
    EXPECT_EQ(told.pieces > 0, !told.reasoning.empty() || !told.content.empty());
    EXPECT_LE(told.pieces, told.response.completion_tokens + 1);
  }
}

TEST_P(TargetConformance, RawTextsAreAnsweredByText) {
  if (!capabilities_.raw_prompts) GTEST_SKIP() << "the target takes conversations only";
  Request r;
  r.raw = suites::RawPrompt{"The capital of France is"};
  r.limits.max_tokens = 8;
  const Told told = told_of_all(*target_, {r}, go_on).at(0);
  EXPECT_EQ(told.response.error, "");
  EXPECT_GT(told.response.prompt_tokens, 0);
  EXPECT_EQ(told.response.answer.content, told.response.answer.text);
  EXPECT_EQ(told.content, told.response.answer.text);
  EXPECT_EQ(told.reasoning, "");
  EXPECT_EQ(told.response.answer.reasoning, "");
}

TEST_P(TargetConformance, LogprobsBelongToTheTokensOfTheAnswer) {
  if (!capabilities_.logprobs) GTEST_SKIP() << "the target tells no log-probabilities";
  Request r = request("What is the capital of France?");
  r.limits.logprobs = {.answer = true, .top = 3};
  const Told told = told_of_all(*target_, {r}, go_on).at(0);
  const auto& logprobs = told.response.logprobs;
  ASSERT_EQ(static_cast<int64_t>(logprobs.size()), told.response.completion_tokens);
  ASSERT_EQ(told.logprobs.size(), logprobs.size());
  std::string text;
  for (const TokenLogprob& token : logprobs) {
    text += token.text;
    ASSERT_TRUE(token.logprob.has_value());
    EXPECT_LE(*token.logprob, 0);
    ASSERT_EQ(token.top.size(), 3u);
    EXPECT_EQ(token.top[0].text, token.text) << "the answer is greedy";
    EXPECT_EQ(token.top[0].logprob, *token.logprob);
    EXPECT_GE(token.top[0].logprob, token.top[1].logprob);
    EXPECT_GE(token.top[1].logprob, token.top[2].logprob);
  }
  EXPECT_TRUE(text.starts_with(told.response.answer.text)) << text;
}

TEST_P(TargetConformance, LogprobsOfThePromptAndNoAnswer) {
  if (!capabilities_.prompt_logprobs) GTEST_SKIP() << "the target tells no prompt's";
  Request r;
  r.raw = suites::RawPrompt{"Say OK. Say OK."};
  r.limits.logprobs = {.prompt = true, .top = 1};
  r.limits.max_tokens = 0;
  for (int i = 0; i < 2; ++i) {  // the second time all of it is known already
    const Response response = submit(*target_, r, go_on);
    EXPECT_EQ(response.error, "");
    EXPECT_EQ(response.completion_tokens, 0);
    ASSERT_EQ(static_cast<int64_t>(response.prompt_logprobs.size()), response.prompt_tokens);
    std::string text;
    for (const TokenLogprob& token : response.prompt_logprobs) text += token.text;
    EXPECT_EQ(text, r.raw->text);
    EXPECT_FALSE(response.prompt_logprobs[0].logprob.has_value());
    for (size_t t = 1; t < response.prompt_logprobs.size(); ++t) {
      ASSERT_EQ(response.prompt_logprobs[t].top.size(), 1u);
      EXPECT_LE(response.prompt_logprobs[t].logprob, response.prompt_logprobs[t].top[0].logprob);
    }
  }
}

TEST_P(TargetConformance, EveryRequestIsAnsweredOnceAndAsIfAlone) {
  std::vector<Request> requests;
  for (const char* text : {"Say OK.", "What is 12 + 30?", "What is the capital of France?"}) {
    requests.push_back(request(text));
  }
  struct Counted final : Work {
    const std::vector<Request>& requests;
    size_t begun = 0;
    std::map<int64_t, std::vector<Response>> answers;

    explicit Counted(const std::vector<Request>& all) : requests(all) {}
    std::optional<Item> next(bool) override {
      if (begun == requests.size()) return std::nullopt;
      ++begun;
      return Item{static_cast<int64_t>(begun) + 100, requests[begun - 1]};
    }
    bool progress(int64_t id, int64_t, int64_t) override {
      EXPECT_TRUE(answers[id].empty()) << "told of a request that was answered";
      return true;
    }
    void done(int64_t id, Response response) override {
      answers[id].push_back(std::move(response));
    }
  } work(requests);
  target_->run(work);
  ASSERT_EQ(work.answers.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto& answers = work.answers.at(static_cast<int64_t>(i) + 101);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].error, "");
    EXPECT_EQ(answers[0].answer.content, submit(*target_, requests[i], go_on).answer.content);
  }
}

// What was said before is part of the question; a replay has only what was recorded.
TEST_P(TargetConformance, AConversationOfSeveralTurnsIsAnswered) {
  Request r = request("What is the capital of France?");
  const Response first = submit(*target_, r, go_on);
  Message answer, more;
  answer.role = "assistant";
  answer.content = first.answer.content;
  more.role = "user";
  more.content = "And of Italy?";
  r.conversation.messages.push_back(answer);
  r.conversation.messages.push_back(more);
  const Response second = submit(*target_, r, go_on);
  if (profile_.target == "replay") {
    EXPECT_NE(second.error.find("nothing is recorded for this prompt"), std::string::npos);
    EXPECT_EQ(second.failure, Failure::kRefused);
    return;
  }
  EXPECT_EQ(second.error, "");
  EXPECT_GT(second.prompt_tokens, first.prompt_tokens);
}

// A case that is late is cancelled; its answer so far comes, and the target goes on.
TEST_P(TargetConformance, ADeadlineEndsAnAnswerSoon) {
  const double begun = monotonic_seconds();
  const Response late = submit(*target_, request("What is the capital of France?"),
                               [&](int64_t, int64_t done) { return done < 1; });
  EXPECT_LT(monotonic_seconds() - begun, 5);
  EXPECT_EQ(late.error, "");
  EXPECT_EQ(submit(*target_, request("Say OK."), go_on).error, "");
}

INSTANTIATE_TEST_SUITE_P(Targets, TargetConformance,
                         testing::Values("engine", "http", "managed", "null", "replay", "scripted",
                                         "serve"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(TargetRegistry, EveryTargetIsUnderTheConformanceTest) {
  std::vector<std::string_view> names;
  for (const TargetKind& kind : target_kinds()) names.push_back(kind.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"engine", "http", "managed", "null", "replay",
                                                  "scripted"}));
}

}  // namespace
}  // namespace ds4::runners
