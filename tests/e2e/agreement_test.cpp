// Equal prompts in the real binary: gates on agreement, TTFT ratio and parity pass on a steady
// target and break on one whose cache or setting changes answers.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPrefixCache =
    "[[suite]]\nname = \"prefix_cache\"\nlengths = [512]\nsamples = [1]\nevict = 1\n"
    "prefixes = [16]\n";

std::string gate(const std::string& metric, const std::string& bound) {
  return "[[gate]]\nmetric = \"" + metric + "\"\n" + bound + "\n";
}

TEST(Agreement, ASteadyTargetKeepsIt) {
  const Sweep sweep(R"({"rules": [{"text": "the same"}]})",
                    kPrefixCache + gate("agreement", "min = 1.0"));
  const CommandResult result = sweep.run();
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("Equal prompts"));
  EXPECT_THAT(result.out, HasSubstr("phase hit"));
  EXPECT_THAT(result.out, HasSubstr("shared_again"));
  EXPECT_THAT(result.out, Not(HasSubstr("equal bytes")));
}

TEST(Agreement, AHitThatChangesTheAnswerBreaksItAndIsShown) {
  // The first answer is the cold one; what comes from the cache is another.
  const Sweep sweep(R"({"rules": [{"times": 1, "text": "Paris is old"},
                                  {"text": "Paris is gold", "cached_tokens": 200}]})",
                    kPrefixCache + gate("agreement", "min = 1.0"));
  const CommandResult result = sweep.run();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.out, HasSubstr("equal bytes"));
  EXPECT_THAT(result.out, HasSubstr("gold"));
  const auto store = sweep.store();
  size_t corrupted = 0, contaminated = 0;
  for (const auto& attempt : store->attempts(store->run("latest").id, false)) {
    corrupted += attempt.outcome == "CACHE_CORRUPTION";
    contaminated += attempt.outcome == "CONTAMINATED";
  }
  EXPECT_EQ(corrupted, 3u);     // A again: hit, after another, after many
  EXPECT_EQ(contaminated, 3u);  // B, the other prompt and the shared A claim a cache, and are cold
}

TEST(Agreement, ALeakBetweenSessionsHasItsClass) {
  const Sweep sweep(R"({"rules": [{"times": 2, "text": "OK"}, {"leak": true}]})", kPrefixCache);
  sweep.run();
  const auto store = sweep.store();
  const auto attempts = store->attempts(store->run("latest").id, false);
  EXPECT_TRUE(std::any_of(attempts.begin(), attempts.end(),
                          [](const auto& attempt) { return attempt.outcome == "CACHE_LEAK"; }));
}

constexpr const char* kGarble =
    "[[suite]]\nname = \"garble\"\nlengths = [512]\nprompts = [1]\nrepeats = 3\n";

TEST(Garble, FeaturesOfEveryAnswerAreStoredWithTheirOnset) {
  // The third answer, of six, has gone to pieces from its eleventh byte on.
  const Sweep sweep(R"({"rules": [{"times": 2, "text": "A warm day."},
                                  {"times": 1, "text": "A warm day\u0001\u0002\u0003"},
                                  {"text": "A warm day."}]})",
                    kGarble + gate("clean", "min = 1.0") + gate("agreement", "min = 1.0"));
  const CommandResult result = sweep.run();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  const auto store = sweep.store();
  const auto attempts = store->attempts(store->run("latest").id, false);
  ASSERT_EQ(attempts.size(), 6u);
  EXPECT_EQ(attempts[2].outcome, "GARBLED");
  const auto sample = [&](size_t attempt, const std::string& metric) {
    for (const auto& one : attempts[attempt].samples) {
      if (one.metric == metric) return one.value;
    }
    return -1.0;
  };
  EXPECT_EQ(sample(1, "clean"), 1);
  EXPECT_EQ(sample(1, "garble_control"), 0);
  EXPECT_EQ(sample(1, "garble_onset"), -1);
  EXPECT_EQ(sample(2, "clean"), 0);
  EXPECT_EQ(sample(2, "garble_control"), 3);
  EXPECT_NEAR(sample(2, "garble_onset"), 10.0 / 13, 0.01);  // of one token
  const auto json = nlohmann::json::parse(
      run_command(sweep.command({"report", "latest", "--format", "json", "-o", "-"})).out);
  for (const auto& gate : json.at("verdict").at("gates")) EXPECT_EQ(gate.at("decision"), "fail");
}

TEST(Parity, ASettingThatChangesAnswersBreaksIt) {
  const std::string sweep_of_seeds = "[sweep]\n\"engine.seed\" = [1, 2]\n";
  const std::string suite = "[[suite]]\nname = \"speculation\"\nlengths = [256]\nsamples = [1]\n";
  const std::string tail = suite + gate("parity", "min = 1.0") + sweep_of_seeds;
  const Sweep same(R"({"rules": [{"text": "one two", "tokens": 96, "finish_reason": "length"}]})",
                   tail);
  EXPECT_EQ(same.run().exit_code, 0);
  const Sweep other(R"({"rules": [{"seed": 2, "contains": "this list", "text": "one three"},
                                  {"text": "one two"}]})",
                    tail);
  const CommandResult result = other.run();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.out, HasSubstr("speculation/256/lists/0000"));
  // The cell that is held against none is not judged.
  const auto json = nlohmann::json::parse(
      run_command(other.command({"report", "latest", "--format", "json", "-o", "-"})).out);
  EXPECT_EQ(json.at("verdict").at("gates").size(), 1u);
}

}  // namespace
}  // namespace ds4::test_support
