// Answers of the embedded engine: several at a time are those it gives one by one; full ones.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/api/scores.h"
#include "profiles/schema/profile.h"
#include "runners/targets/registry.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

std::unique_ptr<Target> engine(int64_t sequences, int64_t draft_tokens,
                               int64_t context_length = 300) {
  profiles::Profile profile;
  profile.target = "engine";
  profile.checkpoint = test_support::source_dir() / "checkpoints/tiny";
  profile.engine.context_length = context_length;
  profile.engine.prefill_chunk = 64;
  profile.engine.sequences = sequences;
  profile.engine.draft_tokens = draft_tokens;
  auto target = make_target(profile);
  target->open([](const std::string&, const std::string&) {});
  return target;
}

Request request(const std::string& text, int64_t max_tokens) {
  Request r;
  Message message;
  message.role = "user";
  message.content = text;
  r.conversation.messages.push_back(message);
  r.limits.max_tokens = max_tokens;
  r.limits.seed = 3;
  return r;
}

// Answers of different lengths, one that cannot fit, one without tokens, sampled and greedy ones.
std::vector<Request> mixed() {
  std::vector<Request> requests = {
      request("What is 12 + 30?", 24),     request("Say OK.", 5),
      request(std::string(2000, 'x'), 24), request("What is the capital of France?", 60),
      request("Count to three.", 0),       request("Say OK.", 40)};
  for (int i = 0; i < 4; ++i) {
    requests.push_back(request("Tell me about the sea.", 20 + i));
    requests.back().limits.sampling.temperature = 1.5;
    requests.back().limits.sequence = static_cast<uint64_t>(i);
    requests.back().limits.ignore_end = i % 2 == 1;
  }
  return requests;
}

TEST(EngineTarget, SeveralAnswersAtATimeAreThoseOfOneByOne) {
  const auto go_on = [](int64_t, int64_t) { return true; };
  const auto alone = engine(1, 0);
  const std::vector<Response> expected = submit_all(*alone, mixed(), go_on);
  for (const auto& [sequences, drafts] :
       {std::pair{2, 0}, std::pair{3, 2}, std::pair{5, 3}, std::pair{16, 0}}) {
    SCOPED_TRACE(sequences);
    const auto target = engine(sequences, drafts);
    const std::vector<Response> got = submit_all(*target, mixed(), go_on);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(got[i].answer.text, expected[i].answer.text);
      EXPECT_EQ(got[i].answer.finish_reason, expected[i].answer.finish_reason);
      EXPECT_EQ(got[i].completion_tokens, expected[i].completion_tokens);
      EXPECT_EQ(got[i].prompt_tokens, expected[i].prompt_tokens);
      EXPECT_EQ(got[i].error, expected[i].error);
    }
  }
  EXPECT_NE(expected[2].error, "");
  EXPECT_NE(expected[6].answer.text, expected[8].answer.text);
}

TEST(EngineTarget, NothingEndsAnAnswerThatIsToBeFull) {
  const auto go_on = [](int64_t, int64_t) { return true; };
  const auto target = engine(1, 0);
  Request r = request("Say OK.", 24);
  r.limits.sampling.stop = {"OK"};
  EXPECT_EQ(submit(*target, r, go_on).answer.finish_reason, "stop");
  r.limits.ignore_end = true;
  const Response full = submit(*target, r, go_on);
  EXPECT_EQ(full.answer.finish_reason, "length");
  EXPECT_EQ(full.completion_tokens, 24);
}

// The frontier suite's walk: each step finds all of the step before, whatever was decoded behind
// it, its length is the one that was counted, and its answer the one of a target that reads it at
// once.
TEST(EngineTarget, AWalkGoesOnFromWhereItWas) {
  const auto go_on = [](int64_t, int64_t) { return true; };
  const auto target = engine(1, 0, 2000), other = engine(1, 0, 2000);
  const suites::Suite& frontier = *suites::find_suite("frontier");
  suites::Parameters parameters = profiles::suite_definition(frontier).defaults;
  parameters["ctx_start"] = int64_t{200};
  parameters["ctx_max"] = int64_t{1500};
  parameters["step"] = int64_t{325};
  parameters["max_tokens"] = int64_t{150};
  const suites::TokenCounter counter{[&](const Conversation& c) { return target->count_tokens(c); },
                                     true};
  int64_t before = 0;
  std::vector<Response> walked;
  std::vector<Request> requests;
  for (const suites::CaseSpec& spec : frontier.plan(parameters)) {
    const suites::Case made = frontier.build(parameters, spec, counter);
    requests.push_back({made.conversation, made.raw, made.limits});
    walked.push_back(submit(*target, requests.back(), go_on));
    const Response& response = walked.back();
    EXPECT_EQ(response.error, "");
    EXPECT_LE(response.prompt_tokens, std::stoll(spec.id));
    EXPECT_GT(response.prompt_tokens, std::stoll(spec.id) - 20);
    EXPECT_NE(made.expected.find("\"counted_tokens\":" + std::to_string(response.prompt_tokens)),
              std::string::npos)
        << made.expected << " " << response.prompt_tokens;
    EXPECT_LE(before, response.cached_tokens + 1);  // the first token is that of the warm-up
    EXPECT_LE(response.cached_tokens, std::max<int64_t>(1, before));
    EXPECT_EQ(response.completion_tokens, 150);
    before = response.prompt_tokens;
    const auto sample =
        std::find_if(response.samples.begin(), response.samples.end(),
                     [](const probes::Sample& s) { return s.metric == "kv_cache"; });
    ASSERT_NE(sample, response.samples.end());
    // Rows come, and the tails of the compressors come and go.
    EXPECT_GT(sample->value, 100e3);
    EXPECT_LT(sample->value, 1e6);
  }
  ASSERT_EQ(walked.size(), 5u);
  std::reverse(requests.begin(), requests.end());
  for (const Request& request : requests) {
    EXPECT_EQ(submit(*other, request, go_on).answer.text, walked.back().answer.text);
    walked.pop_back();
  }
}

// Whatever the way: in parts, beside others, with guesses, as an answer of its own.
TEST(EngineTarget, LogprobsAreTheExactOnes) {
  const auto go_on = [](int64_t, int64_t) { return true; };
  const std::string checkpoint = test_support::source_dir() / "checkpoints/tiny";
  const auto tokenizer = Tokenizer::load(checkpoint);
  std::string text = "<｜begin▁of▁sentence｜>";
  for (int i = 0; i < 40; ++i) text += "The sea is " + std::to_string(i * i) + " miles wide. ";
  Request prompt;
  prompt.raw = suites::RawPrompt{text};
  prompt.limits.logprobs = {.answer = true, .prompt = true, .top = 2};
  prompt.limits.max_tokens = 12;
  prompt.limits.ignore_end = true;
  Request other = request("Tell me about the sea.", 30);
  for (const auto& [sequences, drafts] : {std::pair{1, 0}, std::pair{2, 2}}) {
    SCOPED_TRACE(drafts);
    const auto target = engine(sequences, drafts, 1000);
    const std::vector<Response> got = submit_all(*target, {other, prompt, other}, go_on);
    EXPECT_EQ(got[1].error, "");
    std::vector<TokenId> tokens;
    for (const TokenLogprob& t : got[1].prompt_logprobs) tokens.push_back(t.token);
    ASSERT_EQ(tokens, tokenizer->encode(text, AddedTokens::kParse));
    ASSERT_GT(tokens.size(), 200u) << "several parts";
    for (const TokenLogprob& t : got[1].logprobs) tokens.push_back(t.token);
    ASSERT_EQ(got[1].logprobs.size(), 12u);

    const auto reference = Engine::load(checkpoint, {.context_length = 1000});
    const auto session = reference->new_session();
    const std::vector<double> exact =
        score_continuation(*session, std::span(tokens).first(1), std::span(tokens).subspan(1));
    for (size_t i = 0; i < exact.size(); ++i) {
      const size_t n_prompt = got[1].prompt_logprobs.size();
      const TokenLogprob& told =
          i + 1 < n_prompt ? got[1].prompt_logprobs[i + 1] : got[1].logprobs[i + 1 - n_prompt];
      ASSERT_EQ(told.logprob, exact[i]) << i;
    }
  }
}

TEST(EngineTarget, WhatCannotBeRenderedIsRefusedAndTheNextOneAnswered) {
  const auto go_on = [](int64_t, int64_t) { return true; };
  const auto target = engine(1, 0);
  Request role = request("Say OK.", 5);
  role.conversation.messages[0].role = "nobody";
  Request unknown_id;
  unknown_id.raw = suites::RawPrompt{"", {1, 1 << 30}};
  Request nothing;
  nothing.raw = suites::RawPrompt{""};
  Request fill = request("Say OK.", suites::kAsManyAsFit);
  fill.limits.ignore_end = true;
  const std::vector<Response> got =
      submit_all(*target, {role, unknown_id, nothing, fill, request("Say OK.", 5)}, go_on);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NE(got[i].error, "") << i;
    EXPECT_EQ(got[i].failure, Failure::kRefused);
  }
  EXPECT_EQ(got[3].error, "");
  EXPECT_EQ(got[3].prompt_tokens + got[3].completion_tokens, 300);
  EXPECT_EQ(got[4].error, "");
}

// While the prompt of one is read the other one goes on; a prompt can be given up between parts.
TEST(EngineTarget, ANewcomersPromptStopsNobody) {
  const auto target = engine(2, 0);
  std::vector<Request> requests = {request("Tell me about the sea.", 40),
                                   request(std::string(150, 'x'), 2)};
  requests[0].limits.ignore_end = true;
  struct Step {
    int64_t prompt, completion;
  };
  std::vector<Step> steps;
  const auto go_on = [&](int64_t prompt, int64_t completion) {
    steps.push_back({prompt, completion});
    return true;
  };
  const std::vector<Response> whole = submit_all(*target, requests, go_on);
  ASSERT_GT(whole[1].prompt_tokens, 128) << "three parts";
  const auto part = [&](size_t from) {  // the next step at which some of the prompt is read
    return static_cast<size_t>(
        std::find_if(steps.begin() + static_cast<std::ptrdiff_t>(from), steps.end(),
                     [](const Step& step) { return step.prompt >= 64 && step.completion == 0; }) -
        steps.begin());
  };
  const size_t first = part(0);
  const size_t second = part(first + 1);
  ASSERT_LT(second, steps.size());
  EXPECT_TRUE(std::any_of(steps.begin() + static_cast<std::ptrdiff_t>(first),
                          steps.begin() + static_cast<std::ptrdiff_t>(second),
                          [](const Step& step) { return step.completion > 0; }));
  const auto alone = engine(1, 0);
  const std::vector<Response> expected =
      submit_all(*alone, requests, [](int64_t, int64_t) { return true; });
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(whole[i].answer.text, expected[i].answer.text);
  EXPECT_GT(whole[1].first_token_s, whole[0].first_token_s);

  const std::vector<Response> cut =
      submit_all(*target, {requests[0], request(std::string(160, 'y'), 2)},
                 [](int64_t prompt, int64_t completion) { return prompt < 64 || completion > 0; });
  EXPECT_EQ(cut[0].answer.text, expected[0].answer.text);
  EXPECT_EQ(cut[1].answer.finish_reason, "cancelled");
  EXPECT_EQ(cut[1].completion_tokens, 0);
}

TEST(EngineTarget, ACancelledAnswerLeavesTheOthersAlone) {
  const auto target = engine(2, 0);
  const std::vector<Request> requests = {request("What is 12 + 30?", 24),
                                         request("Tell me about the sea.", 24)};
  const std::vector<Response> whole =
      submit_all(*target, requests, [](int64_t, int64_t) { return true; });
  const int64_t first_prompt = whole[0].prompt_tokens;
  ASSERT_NE(first_prompt, whole[1].prompt_tokens);
  const std::vector<Response> cut = submit_all(
      *target, requests,
      [&](int64_t prompt, int64_t completion) { return prompt == first_prompt || completion < 2; });
  EXPECT_EQ(cut[0].answer.text, whole[0].answer.text);
  EXPECT_EQ(cut[1].answer.finish_reason, "cancelled");
}

}  // namespace
}  // namespace ds4::runners
