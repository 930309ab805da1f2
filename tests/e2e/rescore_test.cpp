// Grading twice: stored answers graded again offline, and what that is said to have changed.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

std::map<std::string, reports::StoredAttempt> attempts_of(const Sweep& sweep) {
  std::map<std::string, reports::StoredAttempt> out;
  const auto store = sweep.store();
  for (auto& attempt : store->attempts(store->run("latest").id, true)) {
    out[attempt.case_id] = attempt;
  }
  return out;
}

TEST(Rescore, SaysPerCaseWhatAnOlderScorerThought) {
  const Sweep sweep(R"({"rules": [{"text": "The capital of Japan is Tokyo."}]})", kSmoke);
  sweep.run();
  const auto graded = attempts_of(sweep);
  {
    // As if version 1 of the suite had graded: one case otherwise, two the same.
    const auto store = reports::Store::open(sweep.db());
    reports::ScoreRow old = *graded.at("japan").score;
    old.attempt_id = graded.at("japan").id;
    old.suite_version = 1;
    old.grade = "wrong";
    old.values = {{"normalised", 0}, {"exact", 0}, {"contains", 1}};
    old.extracted = "Tokyo";
    store->add_score(old);
    for (const char* id : {"italy", "spain"}) {
      reports::ScoreRow same = *graded.at(id).score;
      same.attempt_id = graded.at(id).id;
      same.suite_version = 1;
      store->add_score(same);
    }
  }
  const CommandResult result = run_command(sweep.command({"rescore", "latest"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("smoke japan"));
  EXPECT_THAT(result.out, HasSubstr("wrong -> correct, exact 0 -> 1, normalised 0 -> 1"));
  EXPECT_THAT(result.out, HasSubstr("took \"Tokyo\" -> \"The capital of Japan is Tokyo.\""));
  EXPECT_THAT(result.out, HasSubstr("The answer is \"The capital of Japan is Tokyo.\"."));
  EXPECT_THAT(result.out, HasSubstr("smoke: version 2 of the suite; 3 graded by version 1"));
  EXPECT_THAT(result.out, HasSubstr("1 wrong -> correct, normalised 0.000 -> 0.050 over 20"));
  EXPECT_THAT(result.out, HasSubstr("(1 rose, 0 fell; change +0.050"));
  EXPECT_THAT(result.out, HasSubstr("20 answers graded, 1 with another result than before"));
  EXPECT_THAT(result.out, Not(HasSubstr("smoke italy")));

  // All of one version now, also where only the version was another; and nothing is left to say.
  for (const auto& [id, attempt] : attempts_of(sweep)) {
    EXPECT_EQ(attempt.score->suite_version, 2) << id;
  }
  const CommandResult again = run_command(sweep.command({"rescore", "latest"}));
  EXPECT_EQ(again.out, "20 answers graded, 0 with another result than before\n");
}

TEST(Rescore, JsonHasBothGradingsOfEachChangedCase) {
  const Sweep sweep(R"({"rules": [{"text": "OK"}]})", kSmoke);
  sweep.run();
  {
    const auto graded = attempts_of(sweep);
    const auto store = reports::Store::open(sweep.db());
    reports::ScoreRow old;
    old.attempt_id = graded.at("say_ok").id;
    old.suite_version = 1;
    old.grade = "invalid";
    old.explanation = "No verdict.";
    store->add_score(old);
  }
  const CommandResult result = run_command(sweep.command({"rescore", "latest", "--json"}));
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("changed"), 1);
  const auto& change = json.at("cases").at(0);
  EXPECT_EQ(change.at("case"), "say_ok");
  EXPECT_EQ(change.at("then").at("grade"), "invalid");
  EXPECT_EQ(change.at("then").at("version"), 1);
  EXPECT_EQ(change.at("then").at("explanation"), "No verdict.");
  EXPECT_EQ(change.at("now").at("grade"), "correct");
  EXPECT_EQ(change.at("now").at("values").at("exact"), 1.0);
  const auto& suite = json.at("suites").at(0);
  EXPECT_EQ(suite.at("graded_by").at("1"), 1);
  EXPECT_EQ(suite.at("graded_by").at("2"), 19);
  EXPECT_EQ(suite.at("turned").at("invalid -> correct"), 1);
  EXPECT_EQ(suite.at("paired").at("n"), 19) << "an invalid answer has no score to pair";
}

TEST(Rescore, CasesOfSeveralTurnsAreGradedByAllOfThem) {
  const Sweep sweep(
      R"({"rules": [{"contains": "cat?", "text": "Miso"}, {"contains": "How many animals", "text": "3"},
          {"text": "OK"}]})",
      "[[suite]]\nname = \"smoke\"\nstyle = \"instructed\"\n");
  sweep.run();
  const auto before = attempts_of(sweep);
  ASSERT_TRUE(before.at("pets").score);
  EXPECT_EQ(before.at("pets").score->grade, "correct") << before.at("pets").score->explanation;
  EXPECT_EQ(before.at("pets").score->extracted, "OK | Miso | 3");
  EXPECT_EQ(before.at("correction").score->grade, "wrong");
  EXPECT_THAT(before.at("correction").score->explanation, HasSubstr("Turn 3: "));
  EXPECT_EQ(before.at("pets_told").score->grade, "correct");
  const CommandResult again = run_command(sweep.command({"rescore", "latest"}));
  EXPECT_THAT(again.out, HasSubstr(" 0 with another result")) << again.out;
  for (const auto& [id, attempt] : before) {
    EXPECT_FALSE(attempt.score->explanation.empty()) << id;
  }
}

}  // namespace
}  // namespace ds4::test_support
