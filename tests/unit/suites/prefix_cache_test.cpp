// Trials of the prefix_cache suite: equal prompts are equal, shared prefixes are exactly shared.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "engine/base/error.h"
#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

const Suite& suite() {
  return *find_suite("prefix_cache");
}

Parameters small() {
  Parameters parameters = default_parameters("prefix_cache");
  parameters["lengths"] = std::vector<int64_t>{256};
  parameters["samples"] = std::vector<int64_t>{2};
  parameters["evict"] = int64_t{2};
  parameters["prefixes"] = std::vector<int64_t>{5, 256};
  return parameters;
}

TEST(PrefixCache, ATrialAsksTheSamePromptInEveryPhase) {
  std::map<std::string, std::vector<std::string>> prompts;  // by group and prompt
  std::string phases;
  for (const CaseSpec& spec : suite().plan(small())) {
    if (!spec.tags.contains("length")) continue;
    EXPECT_EQ(spec.load.at_once, 1);
    const Case made = suite().build(small(), spec, word_counter());
    prompts[spec.load.group + spec.id.substr(spec.id.rfind('-'))].push_back(joined_text(made));
    if (spec.load.group == "256/0000")
      phases += spec.id.substr(spec.id.rfind('-') + 1) + ":" + spec.tags.at("phase") + " ";
    EXPECT_EQ(made.cold, spec.tags.at("phase") == "cold");
    EXPECT_EQ(made.canaries.size(), 4u);
  }
  EXPECT_EQ(phases,
            "A:cold A:hit B:cold A:after_other B:after_other F0:cold F1:cold A:after_many ");
  std::set<std::string> distinct;
  for (const auto& [name, texts] : prompts) {
    EXPECT_EQ(std::count(texts.begin(), texts.end(), texts[0]), std::ssize(texts)) << name;
    distinct.insert(texts[0]);
  }
  EXPECT_EQ(distinct.size(), prompts.size());
}

TEST(PrefixCache, SharedPrefixesShareExactlySoManyTokens) {
  for (const std::string shared : {"5", "256"}) {
    std::vector<std::vector<int32_t>> tokens;
    for (const CaseSpec& spec : suite().plan(small())) {
      if (!spec.tags.contains("shared") || spec.tags.at("shared") != shared) continue;
      tokens.push_back(suite().build(small(), spec, word_counter()).raw->tokens);
    }
    ASSERT_EQ(tokens.size(), 3u);
    EXPECT_EQ(tokens[0], tokens[2]);
    const auto [a, b] = std::mismatch(tokens[0].begin(), tokens[0].end(), tokens[1].begin());
    EXPECT_EQ(a - tokens[0].begin(), std::stoll(shared));
    for (const int32_t id : tokens[1]) EXPECT_TRUE(id >= 300 && id <= 1200);
  }
}

TEST(PrefixCache, WithoutGranularityNoTokenIdsAreNeeded) {
  Parameters parameters = small();
  const auto needs = suite().needs(parameters);
  EXPECT_NE(std::find(needs.begin(), needs.end(), Need::kRawPrompts), needs.end());
  parameters["granularity"] = false;
  const auto less = suite().needs(parameters);
  EXPECT_EQ(std::find(less.begin(), less.end(), Need::kRawPrompts), less.end());
  for (const CaseSpec& spec : suite().plan(parameters)) EXPECT_FALSE(spec.tags.contains("shared"));
}

TEST(PrefixCache, GradesTheAskedValue) {
  const std::string expected = R"({"value": "K7QX3M", "others": ["ABC234"]})";
  EXPECT_EQ(suite().score(expected, content_answer("It is K7QX3M.")).values.at("right"), 1);
  EXPECT_EQ(suite().score(expected, content_answer("It is ABC234.")).values.at("right"), 0);
  EXPECT_EQ(suite().score(expected, content_answer("It is K7QX3N.")).values.at("right"), 0);
  EXPECT_EQ(suite().score(expected, content_answer("It is", "length")).grade, Grade::kInvalid);
  const std::string raw = R"({"answer_tokens": 48})";
  EXPECT_EQ(suite().score(raw, content_answer("x", "length")).values.at("right"), 1);
  EXPECT_EQ(suite().score(raw, content_answer("x")).grade, Grade::kWrong);
}

TEST(PrefixCache, BadIdsAreNamed) {
  Parameters parameters = small();
  parameters["token_ids"] = std::vector<int64_t>{9, 3};
  EXPECT_THROW(suite().plan(parameters), Error);
}

}  // namespace
}  // namespace ds4::suites
