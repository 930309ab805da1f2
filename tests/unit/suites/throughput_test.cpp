// Groups, moments, prompts and borrowed cases of the throughput suite.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "profiles/schema/plan.h"
#include "suites/throughput/arrivals.h"
#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

const Suite& throughput() {
  return *find_suite("throughput");
}

Parameters few() {
  Parameters parameters = default_parameters("throughput");
  parameters["requests"] = int64_t{3};
  parameters["warm_up"] = int64_t{1};
  parameters["concurrency"] = std::vector<int64_t>{1, 4};
  return parameters;
}

TEST(Throughput, AGroupForEachLevelBehindItsWarmUp) {
  Parameters parameters = few();
  parameters["loop"] = std::string("both");
  parameters["rates"] = std::vector<double>{0.5};
  const auto cases = throughput().plan(parameters);
  ASSERT_EQ(cases.size(), 12u);
  EXPECT_EQ(cases[0].id, "c1/w0000");
  EXPECT_EQ(cases[0].tags.at("part"), "warm-up");
  EXPECT_EQ(cases[1].id, "c1/0000");
  EXPECT_FALSE(cases[1].tags.contains("part"));
  EXPECT_NE(cases[0].load.group, cases[1].load.group);
  EXPECT_EQ(cases[5].load.at_once, 4);
  EXPECT_EQ(cases[5].tags.at("concurrency"), "4");
  EXPECT_EQ(cases[11].tags.at("rate"), "0.5");
  EXPECT_EQ(cases[11].load.at_once, 0);
  EXPECT_NEAR(cases[11].load.due_s, 3 / 0.5, 1e-12) << "the last of n is due at n / rate";
}

// Before the stretching the gaps are Gamma: mean 1 and variance 1 / shape, so the coefficient of
// variation of many gaps is 1 / sqrt(shape), which stretching keeps.
TEST(Arrivals, GapsVaryAsTheirShapeSays) {
  for (const double shape : {0.25, 1.0, 4.0, 1e6}) {
    const int64_t n = 40000;
    const auto moments = arrivals(7, n, 2, shape);
    EXPECT_NEAR(moments.back(), n / 2.0, 1e-6);
    double before = 0, squares = 0;
    for (const double moment : moments) {
      EXPECT_GE(moment, before);
      squares += std::pow(moment - before, 2);
      before = moment;
    }
    const double variance = squares / n / 0.25 - 1;  // of gaps in units of their mean 0.5
    EXPECT_NEAR(variance * shape, 1, shape > 1e5 ? 1.1 : 0.1) << shape;
  }
  EXPECT_EQ(arrivals(7, 5, 1, 1), arrivals(7, 5, 1, 1));
  EXPECT_NE(arrivals(7, 5, 1, 1), arrivals(8, 5, 1, 1));
}

// An exponential gap is beyond its mean in 1/e of all cases.
TEST(Arrivals, OfShapeOneArePoisson) {
  const int64_t n = 40000;
  const auto moments = arrivals(3, n, 1, 1);
  double before = 0;
  int64_t beyond = 0;
  for (const double moment : moments) {
    beyond += moment - before > 1;
    before = moment;
  }
  EXPECT_NEAR(static_cast<double>(beyond) / n, std::exp(-1), 0.01);
}

TEST(Throughput, TextsHaveTheirLengthAndShareNoBeginning) {
  std::set<std::string> beginnings;
  const auto cases = throughput().plan(few());
  for (const CaseSpec& spec : cases) {
    const Case made = throughput().build(few(), spec, word_counter());
    EXPECT_EQ(word_counter().count(made.conversation), 512);
    EXPECT_TRUE(made.limits.ignore_end);
    EXPECT_TRUE(made.cold);
    beginnings.insert(made.conversation.messages.at(0).content.substr(0, 40));
  }
  EXPECT_EQ(beginnings.size(), cases.size());
}

TEST(Throughput, RandomIdsRunUpwardsAsVllmMakesThem) {
  Parameters parameters = few();
  parameters["prompts"] = std::string("vllm_random");
  parameters["range_ratio"] = 0.25;
  parameters["token_ids"] = std::vector<int64_t>{10, 109};
  for (const CaseSpec& spec : throughput().plan(parameters)) {
    const Case made = throughput().build(parameters, spec, word_counter());
    ASSERT_TRUE(made.raw);
    const auto& ids = made.raw->tokens;
    EXPECT_GE(ids.size(), 384u);
    EXPECT_LE(ids.size(), 640u);
    EXPECT_GE(made.limits.max_tokens, 48);
    EXPECT_LE(made.limits.max_tokens, 80);
    for (size_t j = 0; j < ids.size(); ++j) {
      EXPECT_GE(ids[j], 10);
      EXPECT_LE(ids[j], 109);
      if (j > 0) {
        EXPECT_EQ(ids[j], ids[j - 1] == 109 ? 10 : ids[j - 1] + 1);
      }
    }
  }
}

TEST(Throughput, BorrowsTheCasesAndTheGradingOfAnotherSuite) {
  profiles::Profile profile = profiles::parse_profile(
      "p.toml",
      "name = \"p\"\ndescription = \"d\"\ntarget = \"null\"\n[[suite]]\nname = \"throughput\"\n"
      "load = \"arithmetic\"\nrequests = 5\nwarm_up = 2\nconcurrency = [2, 3]\n"
      "[[suite]]\nname = \"arithmetic\"\ncases = 6\nmax_tokens = 77\n");
  const profiles::Cell cell = profiles::make_plan(profile).cells.at(0);
  const profiles::SuiteSection& section = cell.profile.suites.at(0);
  const profiles::SuiteSection& own = cell.profile.suites.at(1);
  EXPECT_EQ(section.scores, own.scores);
  const Suite& arithmetic = *find_suite("arithmetic");
  const auto asked = arithmetic.plan(own.parameters);
  const auto cases = throughput().plan(section.parameters);
  ASSERT_EQ(cases.size(), 14u);
  for (const CaseSpec& spec : cases) {
    const Case made = throughput().build(section.parameters, spec, word_counter());
    EXPECT_EQ(made.limits.max_tokens, 77);
    EXPECT_EQ(made.spec.id, spec.id);
  }
  const Case first = arithmetic.build(own.parameters, asked[0], word_counter());
  for (const size_t i : {2, 9}) {  // the first measured one of each level
    const Case made = throughput().build(section.parameters, cases[i], word_counter());
    EXPECT_EQ(joined_text(made), joined_text(first)) << cases[i].id;
    EXPECT_EQ(cases[i].seed, asked[0].seed);
    const Score wanted = arithmetic.score(first.expected, content_answer("#### 7"));
    const Score score = throughput().score(made.expected, content_answer("#### 7"));
    EXPECT_EQ(score.values, wanted.values);
    EXPECT_EQ(score.explanation, wanted.explanation);
  }
  // Warm-ups are the load's last cases, and no average has them.
  const Case warm = throughput().build(section.parameters, cases[0], word_counter());
  EXPECT_EQ(joined_text(warm),
            joined_text(arithmetic.build(own.parameters, asked[5], word_counter())));
  EXPECT_TRUE(throughput().score(warm.expected, content_answer("#### 7")).values.empty());
}

TEST(Throughput, RefusesMoreRequestsThanTheLoadHas) {
  profiles::Profile profile = profiles::parse_profile(
      "p.toml",
      "name = \"p\"\ndescription = \"d\"\ntarget = \"null\"\n[[suite]]\nname = \"throughput\"\n"
      "load = \"arithmetic\"\nrequests = 5\n[[suite]]\nname = \"arithmetic\"\ncases = 4\n");
  const profiles::Cell cell = profiles::make_plan(profile).cells.at(0);
  try {
    throughput().plan(cell.profile.suites.at(0).parameters);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "throughput: `requests` is 5; the load arithmetic has 4 cases");
  }
}

}  // namespace
}  // namespace ds4::suites
