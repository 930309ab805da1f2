// `compare` on two scripted runs: the one whose answers are worse is found, the same answers twice
// are not told apart.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSmoke = "[[suite]]\nname = \"smoke\"\n";

// A script that answers as the suite expects; `n_wrong` questions it does not know.
std::string script_of(const Sweep& asked, size_t n_wrong) {
  json rules = json::array();
  const auto store = asked.store();
  for (const auto& attempt : store->attempts(store->run("latest").id, true)) {
    const std::string question = attempt.prompt.substr(attempt.prompt.find('\n') + 1);
    const json accepted = json::parse(attempt.expected).at("accept");
    const bool wrong = rules.size() < n_wrong;
    rules.push_back(
        {{"contains", question}, {"text", wrong ? json("Who knows.") : accepted.at(0)}});
  }
  return json{{"rules", rules}}.dump();
}

std::string latest(const Sweep& sweep) {
  const auto store = sweep.store();
  return store->run("latest").id;
}

CommandResult compare(const Sweep& sweep, const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"compare"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_command(sweep.command(all));
}

TEST(Compare, FindsThePlantedRegressionAndNoneInTheSameAnswers) {
  const Sweep questions("{}", kSmoke);
  questions.run();
  const Sweep sweep(script_of(questions, 0), kSmoke);
  ASSERT_EQ(sweep.run().exit_code, 0);
  const std::string base = latest(sweep);
  sweep.run();
  const std::string same = latest(sweep);
  sweep.rewrite_script(script_of(questions, 10));
  sweep.run();
  const std::string worse = latest(sweep);

  // Times of the scripted target are the machine's; only the scores are asked about.
  const json equal = json::parse(compare(sweep, {base, same, "--json"}).out);
  EXPECT_EQ(equal.at("scores").at(0).at("n"), 20);
  EXPECT_EQ(equal.at("scores").at(0).at("base"), 1);
  EXPECT_EQ(equal.at("scores").at(0).at("verdict"), "not separable");
  EXPECT_TRUE(equal.at("environment").empty());

  const CommandResult found = compare(sweep, {base, worse, "--json"});
  EXPECT_EQ(found.exit_code, 1) << found.err;
  const json lost = json::parse(found.out);
  EXPECT_EQ(lost.at("scores").at(0).at("verdict"), "regression");
  EXPECT_EQ(lost.at("scores").at(0).at("lost"), 10);
  const json won = json::parse(compare(sweep, {worse, base, "--json"}).out);
  EXPECT_EQ(won.at("scores").at(0).at("verdict"), "improvement");

  const CommandResult text = compare(sweep, {base, worse});
  EXPECT_THAT(text.out, HasSubstr("Environment"));
  EXPECT_THAT(text.out, HasSubstr("✗ regression"));
  const CommandResult itself = compare(sweep, {base, base.substr(0, 8)});
  EXPECT_EQ(itself.exit_code, 0) << itself.out;
  EXPECT_THAT(itself.out, HasSubstr("NOT SEPARABLE"));
}

TEST(Compare, TakesTwoDatabasesAndRefusesWhatItCannotCompare) {
  const Sweep one("{}", kSmoke), other("{}", kSmoke), arithmetic("{}", R"([[suite]]
name = "arithmetic"
cases = 4
)");
  one.run();
  other.run();
  arithmetic.run();
  const CommandResult two = compare(one, {"latest", "latest", "--base-db", other.db(), "--json"});
  EXPECT_EQ(json::parse(two.out).at("base").at("id"), latest(other));
  EXPECT_EQ(json::parse(two.out).at("scores").at(0).at("verdict"), "not separable");
  const CommandResult apart = compare(one, {"latest", "latest", "--base-db", arithmetic.db()});
  EXPECT_EQ(apart.exit_code, 2);
  EXPECT_THAT(apart.err, HasSubstr("share no case"));
  EXPECT_EQ(compare(one, {"latest"}).exit_code, 2);
  EXPECT_EQ(compare(one, {"latest", "nothing"}).exit_code, 2);
  EXPECT_EQ(compare(one, {"latest", "latest", "--alpha", "2"}).exit_code, 2);
  EXPECT_EQ(compare(one, {"latest", "latest", "--base-db", "no.db"}).exit_code, 3);
}

}  // namespace
}  // namespace ds4::test_support
