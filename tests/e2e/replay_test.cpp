// The target `replay`: a run's answers given again with their times, and what is missing said case
// by case.
#include <gmock/gmock.h>

#include "tests/e2e/measured.h"

namespace ds4::test_support {
namespace {

using testing::HasSubstr;

TEST(Replay, GivesARunAgainAndSaysWhatItLacks) {
  const Measured first("target = \"engine\"\n[engine]\ncontext_length = 2048\n");
  const std::string db = first.folder / "results.db";
  const Measured again("target = \"replay\"\nrecording = \"" + db + "\"\n",
                       std::string(kSmall) + "[[suite]]\nname = \"tool_calls\"\ncases = 2\n");
  EXPECT_EQ(again.launch.outcome, "ok") << again.launch.message << again.run.err;
  ASSERT_EQ(again.attempts.size(), first.attempts.size() + 2);
  for (const auto& [name, wanted] : first.attempts) {
    SCOPED_TRACE(name);
    const reports::AttemptRow& got = again.attempts.at(name);
    EXPECT_EQ(got.text, wanted.text);
    EXPECT_EQ(got.outcome, wanted.outcome);
    EXPECT_EQ(got.completion_tokens, wanted.completion_tokens);
    EXPECT_EQ(got.first_token_s, wanted.first_token_s) << "its own times";
    EXPECT_EQ(got.end_s, wanted.end_s);
    EXPECT_EQ(got.events.size(), wanted.events.size());
  }
  for (const auto& [name, attempt] : again.attempts) {
    if (!name.starts_with("tool_calls/")) continue;
    EXPECT_EQ(attempt.outcome, "API_ERROR");
    EXPECT_THAT(attempt.error, HasSubstr("nothing is recorded for the case " + name));
  }
}

TEST(Replay, NeedsARecording) {
  const Measured none("target = \"replay\"\nrecording = \"no.db\"\n");
  EXPECT_THAT(none.launch.message, HasSubstr("there is no file"));
  EXPECT_EQ(none.launch.outcome, "PREFLIGHT_REFUSED");
}

}  // namespace
}  // namespace ds4::test_support
