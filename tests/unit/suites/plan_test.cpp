// What holds for every suite: the plan, the build and the robustness of its scorer.
#include <gtest/gtest.h>

#include <set>

#include "suites/bandwidth_roofline/probing.h"
#include "suites/common/answers.h"
#include "support.h"

namespace ds4::suites {
namespace {

class EverySuite : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!can_make_cases(suite())) {
      GTEST_SKIP() << "data/" << suite().dataset() << " is not under $DS4_SHARED or ../shared";
    }
  }
  const Suite& suite() const { return *find_suite(GetParam()); }
  Parameters parameters() const {
    Parameters out = default_parameters(GetParam());
    if (out.contains("form")) out["form"] = std::string("chat");
    return out;
  }
};

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const Suite* suite : all_suites()) out.emplace_back(suite->name());
  return out;
}

TEST_P(EverySuite, EmbedsItsDefinition) {
  const std::string toml(suite().toml());
  EXPECT_NE(toml.find("name = \"" + GetParam() + "\""), std::string::npos);
  EXPECT_NE(toml.find("version = "), std::string::npos);
  for (const auto& [name, value] : parameters()) {
    EXPECT_NE(toml.find("\n" + name + " = "), std::string::npos) << name;
  }
}

TEST_P(EverySuite, PlansUniqueStableIds) {
  const auto cases = suite().plan(parameters());
  const auto again = suite().plan(parameters());
  ASSERT_FALSE(cases.empty());
  std::set<std::string> ids;
  std::set<uint64_t> seeds;
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_TRUE(ids.insert(cases[i].id).second) << cases[i].id;
    EXPECT_TRUE(seeds.insert(cases[i].seed).second) << cases[i].id;
    EXPECT_EQ(cases[i].id, again[i].id);
    EXPECT_EQ(cases[i].seed, again[i].seed);
  }
}

TEST_P(EverySuite, BuildsTheSamePromptTwiceAndAnotherForAnotherSeed) {
  if (probes_machine(GetParam())) GTEST_SKIP() << "it asks nothing";
  Parameters other = parameters();
  other["seed"] = int64_t{2};
  const auto cases = suite().plan(parameters());
  const auto reseeded = suite().plan(other);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case first = suite().build(parameters(), cases[i], word_counter());
    const Case second = suite().build(parameters(), cases[i], word_counter());
    EXPECT_EQ(joined_text(first), joined_text(second));
    EXPECT_EQ(first.expected, second.expected);
    EXPECT_EQ(first.limits.max_tokens, parameter_as<int64_t>(parameters(), "max_tokens"));
    EXPECT_EQ(cases[i].id, reseeded[i].id);
    EXPECT_NE(cases[i].seed, reseeded[i].seed);
  }
  const std::set<std::string> fixed = {"smoke",   "bfcl",       "toolcall15", "diagrams",
                                       "explain", "philosophy", "logits"};
  if (!fixed.contains(GetParam())) {
    EXPECT_NE(joined_text(suite().build(parameters(), cases[0], word_counter())),
              joined_text(suite().build(other, reseeded[0], word_counter())));
  }
}

TEST_P(EverySuite, PassesThinkingOn) {
  if (probes_machine(GetParam())) GTEST_SKIP() << "it asks nothing";
  Parameters thinking = parameters();
  thinking["thinking"] = true;
  const auto cases = suite().plan(thinking);
  EXPECT_EQ(suite().build(thinking, cases[0], word_counter()).conversation.thinking,
            ThinkingMode::kThinking);
}

TEST_P(EverySuite, SurvivesHostileAnswers) {
  const auto spec = suite().plan(parameters()).front();
  const std::string expected = suite().build(parameters(), spec, word_counter()).expected;
  const std::set<std::string_view> measure_only = {"frontier",    "garble", "logits",
                                                   "speculation", "speed",  "throughput"};
  const bool judges_words = !measure_only.contains(suite().name());
  for (const Answer& answer : hostile_answers()) {
    const Score score = suite().score(expected, answer);
    if (judges_words) {
      EXPECT_NE(score.grade, Grade::kCorrect) << printable(answer.text, 40);
    }
    EXPECT_FALSE(score.explanation.empty());
    EXPECT_EQ(score.explanation.back(), '.') << score.explanation;
    EXPECT_EQ(score.explanation, printable(score.explanation, 1000));  // valid UTF-8, no controls
    EXPECT_EQ(score.extracted, printable(score.extracted, 1000));
    EXPECT_LT(score.extracted.size(), 300u);
    if (score.grade == Grade::kInvalid) {
      EXPECT_TRUE(score.values.empty());
    }
    for (const auto& [name, value] : score.values) {
      EXPECT_GE(value, 0) << name;
      EXPECT_LE(value, 1) << name;
      EXPECT_NE(std::string(suite().toml()).find("\"" + name + "\""), std::string::npos) << name;
    }
    if (judges_words && trim(answer.content).empty() && answer.tool_calls.empty() &&
        was_cut(answer)) {
      EXPECT_EQ(score.grade, Grade::kInvalid) << score.explanation;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Suites, EverySuite, testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

TEST(Registry, FindsByNameOnly) {
  EXPECT_EQ(find_suite("needle")->name(), "needle");
  EXPECT_EQ(find_suite("needles"), nullptr);
}

}  // namespace
}  // namespace ds4::suites
