// Tokens spread over pieces, and counts that cannot be true.
#include "runners/openai/counts.h"

#include <gmock/gmock.h>

namespace ds4::runners::openai {
namespace {

using ::testing::HasSubstr;

// Pieces of so many bytes, a second apart from second 1.
Answer answer_of(const std::vector<int64_t>& bytes, int64_t stated) {
  Answer answer;
  double time = 1;
  for (const int64_t n : bytes) {
    answer.arrivals.push_back({time, n, 0});
    answer.content += std::string(static_cast<size_t>(n), 'x');
    time += 1;
  }
  answer.finish_reason = "stop";
  answer.finish_s = time;
  answer.end_mark = true;
  if (stated >= 0) answer.usage = Usage{10, stated, 0, -1};
  return answer;
}

std::vector<int> counts(const Timeline& timeline) {
  std::vector<int> n;
  int64_t sum = 0;
  double last = 0;
  for (const Tokens& tokens : timeline.tokens) {
    EXPECT_GE(tokens.n, 1);
    EXPECT_GE(tokens.time_s, last);
    last = tokens.time_s;
    n.push_back(tokens.n);
    sum += tokens.n;
  }
  EXPECT_EQ(sum, timeline.total);
  return n;
}

using Counts = std::vector<int>;

TEST(Timeline, ATokenEachAndTheEndTokenAtTheFinish) {
  const Timeline timeline = timeline_of(answer_of({4, 4, 4}, 4));
  EXPECT_EQ(counts(timeline), (Counts{1, 1, 1, 1}));
  EXPECT_EQ(timeline.tokens.back().time_s, 4);
}

TEST(Timeline, WithoutAnEndTokenNothingIsAtTheFinish) {
  Answer cut = answer_of({4, 4, 4}, 3);
  cut.finish_reason = "length";
  EXPECT_EQ(counts(timeline_of(cut)), (Counts{1, 1, 1}));
}

TEST(Timeline, MoreTokensThanPiecesGoByTheBytes) {
  Answer answer = answer_of({2, 20, 2}, 12);
  answer.finish_reason = "length";
  EXPECT_EQ(counts(timeline_of(answer)), (Counts{2, 8, 2}));
}

TEST(Timeline, FewerTokensThanPiecesLeaveSomeWithout) {
  const Timeline timeline = timeline_of(answer_of({1, 1, 1, 1, 1}, 2));
  EXPECT_EQ(counts(timeline), (Counts{1, 1}));
  EXPECT_EQ(timeline.tokens.front().time_s, 1) << "the first token is in the first piece";
}

TEST(Timeline, AsThePiecesStateIt) {
  Answer answer = answer_of({4, 4, 4}, 7);
  answer.arrivals[0].tokens = 1;
  answer.arrivals[1].tokens = 3;
  answer.arrivals[2].tokens = 2;
  EXPECT_EQ(counts(timeline_of(answer)), (Counts{1, 3, 2, 1}));
}

TEST(Timeline, ReasoningThatIsKeptBackBelongsToTheFirst) {
  Answer answer = answer_of({4, 4}, 102);
  answer.usage->reasoning_tokens = 100;
  answer.finish_reason = "length";
  EXPECT_EQ(counts(timeline_of(answer)), (Counts{101, 1}));
  answer.reasoning = "shown";
  EXPECT_EQ(timeline_of(answer).tokens.front().n, 51);
}

TEST(Timeline, WithoutCountsPiecesAreCounted) {
  const Timeline timeline = timeline_of(answer_of({3, 3}, -1));
  EXPECT_FALSE(timeline.stated);
  EXPECT_EQ(counts(timeline), (Counts{1, 1}));
}

TEST(Timeline, TokensWithoutTextComeAtTheFinish) {
  const Timeline timeline = timeline_of(answer_of({}, 5));
  EXPECT_EQ(counts(timeline), (Counts{5}));
  EXPECT_TRUE(timeline_of(Answer{}).tokens.empty());
}

TEST(Timeline, AbsurdCountsDoNotOverflow) {
  EXPECT_GT(timeline_of(answer_of({3}, int64_t{1} << 49)).total, 0);
  EXPECT_TRUE(timeline_of(answer_of({3}, 0)).tokens.empty());
}

const Asked kAsked{.max_tokens = 1000, .prompt_bytes = 40};

TEST(Doubt, OrdinaryAnswersAreBelieved) {
  EXPECT_EQ(doubt_of(answer_of({4, 4, 4}, 4), kAsked), "");
  EXPECT_EQ(doubt_of(answer_of(std::vector<int64_t>(500, 4), 501), kAsked), "");
  EXPECT_EQ(doubt_of(answer_of({900}, 40), kAsked), "") << "runs of blanks are few tokens";
  EXPECT_EQ(doubt_of(answer_of({4}, -1), kAsked), "") << "nothing was stated";
  EXPECT_EQ(doubt_of(answer_of({}, 300), kAsked), "") << "that is EMPTY_CONTENT";
  Answer call = answer_of({30}, 90);
  call.tool_calls.emplace_back();
  EXPECT_EQ(doubt_of(call, kAsked), "") << "the markers of a call are tokens too";
}

TEST(Doubt, CountsBeyondTheText) {
  EXPECT_THAT(doubt_of(answer_of({4, 4, 4}, 400), kAsked),
              HasSubstr("400 completion tokens for 12"));
  EXPECT_THAT(doubt_of(answer_of({40000}, 10), kAsked), HasSubstr("10 completion tokens"));
  EXPECT_THAT(doubt_of(answer_of({4}, 0), kAsked), HasSubstr("0 completion tokens"));
  EXPECT_THAT(doubt_of(answer_of(std::vector<int64_t>(100, 4), 20), kAsked),
              HasSubstr("in 100 pieces"));
  EXPECT_THAT(doubt_of(answer_of({9000}, 1001), kAsked), HasSubstr("of at most 1000"));
}

TEST(Doubt, HiddenReasoningIsNoLie) {
  Answer answer = answer_of({4, 4}, 902);
  answer.usage->reasoning_tokens = 900;
  EXPECT_EQ(doubt_of(answer, kAsked), "");
}

TEST(Doubt, PromptsThatWereCutOrInvented) {
  const auto prompt = [](int64_t stated, Asked asked) {
    Answer answer = answer_of({4}, 1);
    answer.usage->prompt_tokens = stated;
    return doubt_of(answer, asked);
  };
  EXPECT_EQ(prompt(12, kAsked), "");
  EXPECT_THAT(prompt(5000, kAsked), HasSubstr("5000 prompt tokens for a prompt of 40 bytes"));
  EXPECT_THAT(prompt(2048, {.prompt_bytes = 200000}), HasSubstr("2048 prompt tokens"));
  const Asked exact{.prompt_bytes = 40000, .expected_prompt = 10000, .exact = true};
  EXPECT_EQ(prompt(10000, exact), "");
  EXPECT_EQ(prompt(10150, exact), "");
  EXPECT_THAT(prompt(9000, exact), HasSubstr("its own tokenizer counts 10000"));
  const Asked about{.prompt_bytes = 40000, .expected_prompt = 10000};
  EXPECT_EQ(prompt(9000, about), "");
  EXPECT_THAT(prompt(4096, about), HasSubstr("about 10000 were expected"));
  Answer cached = answer_of({4}, 1);
  cached.usage->cached_tokens = 11;
  EXPECT_THAT(doubt_of(cached, kAsked), HasSubstr("11 came from a cache"));
}

}  // namespace
}  // namespace ds4::runners::openai
