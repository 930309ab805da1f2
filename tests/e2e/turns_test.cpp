// Cases of several turns through the real binary: what is asked again, stored, shown and judged
// anew, and what a kill in a later turn leaves.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

constexpr const char* kIceland = "[[suite]]\nname = \"toolcall15\"\nscenarios = [15]\n";

// Each rule answers to what was said last.
constexpr const char* kPlay = R"({"rules": [
  {"contains": "inhabitants", "text": "Now the share.",
   "tool_calls": [{"name": "calculator", "arguments": {"expression": "372520 * 0.02"}}]},
  {"contains": "7450.4", "text": "That is 7,450.4 people.", "tokens": 3},
  {"contains": "Iceland",
   "tool_calls": [{"name": "web_search", "arguments": {"query": "population of Iceland"}}]}]})";

std::vector<reports::StoredAttempt> attempts(const Sweep& sweep) {
  const auto store = sweep.store();
  return store->attempts(store->run("latest").id, true);
}

TEST(Turns, ACaseGoesOnUntilNothingIsSaid) {
  const Sweep sweep(kPlay, kIceland);
  EXPECT_EQ(sweep.run().exit_code, 0);
  const auto all = attempts(sweep);
  ASSERT_EQ(all.size(), 1u);
  const reports::StoredAttempt& attempt = all[0];
  EXPECT_THAT(attempt.tool_calls, HasSubstr("web_search"));
  ASSERT_EQ(attempt.exchanges.size(), 2u);
  EXPECT_THAT(attempt.exchanges[0].said.at(0).content, HasSubstr("372,520"));
  EXPECT_EQ(attempt.exchanges[0].said.at(0).tool_call_id, "call_1_1");
  EXPECT_THAT(attempt.exchanges[0].tool_calls, HasSubstr("372520"));
  EXPECT_EQ(attempt.exchanges[1].text, "That is 7,450.4 people.");
  EXPECT_EQ(attempt.exchanges[1].events.size(), 3u);
  EXPECT_GT(attempt.exchanges[1].prompt_tokens, attempt.exchanges[0].prompt_tokens);
  EXPECT_GT(attempt.exchanges[0].prompt_tokens, attempt.prompt_tokens);
  EXPECT_GE(attempt.exchanges[1].sent_s, attempt.exchanges[0].sent_s);
  ASSERT_TRUE(attempt.score);
  EXPECT_EQ(attempt.score->grade, "correct") << attempt.score->explanation;

  const CommandResult shown = run_command(sweep.command({"show", "latest", "toolcall15/15"}));
  EXPECT_THAT(shown.out, HasSubstr("turn 3: "));
  EXPECT_THAT(shown.out, HasSubstr("[tool call_1_1]"));
  EXPECT_THAT(shown.out, HasSubstr("That is 7,450.4 people."));
  EXPECT_THAT(run_command(sweep.command({"rescore", "latest"})).out,
              HasSubstr("1 answers graded, 0 with another result"));
}

TEST(Turns, AnErrorInALaterTurnIsTheCases) {
  const Sweep sweep(R"({"rules": [
    {"contains": "inhabitants", "error": "no more"},
    {"contains": "Iceland", "tool_calls": [{"name": "web_search", "arguments": {"query": "x"}}]}]})",
                    kIceland);
  sweep.run();
  const auto all = attempts(sweep);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].status, "error");
  EXPECT_EQ(all[0].error, "turn 2: no more");
  EXPECT_EQ(all[0].outcome, "API_ERROR");
}

TEST(Turns, AKillInALaterTurnLosesThatCaseOnly) {
  const Sweep sweep(R"({"rules": [
    {"contains": "inhabitants", "times": 1, "end": "kill"},
    {"contains": "Iceland", "tool_calls": [{"name": "web_search", "arguments": {"query": "x"}}]},
    {"text": "1945"}]})",
                    "[[suite]]\nname = \"toolcall15\"\nscenarios = [10, 15]\n");
  sweep.run();
  auto answered = sweep.answered();
  EXPECT_EQ(answered.size(), 1u);
  sweep.rewrite_script(kPlay);
  EXPECT_EQ(sweep.resume().exit_code, 0);
  answered = sweep.answered();
  ASSERT_EQ(answered.size(), 2u);
  for (const auto& [name, times] : answered) EXPECT_EQ(times, 1) << name;
  EXPECT_EQ(attempts(sweep).back().exchanges.size(), 2u);
}

}  // namespace
}  // namespace ds4::test_support
