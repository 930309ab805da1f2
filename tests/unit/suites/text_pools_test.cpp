// Random draws and template expansion.
#include "suites/common/text_pools.h"

#include <gtest/gtest.h>

#include <set>

namespace ds4::suites {
namespace {

// Values fixed once: a change would silently change every prompt of every suite.
TEST(Rng, DrawsAreTheSameEverywhere) {
  Rng rng(42);
  EXPECT_EQ(rng.next(), 13679457532755275413ULL);
  EXPECT_EQ(rng.next(), 2949826092126892291ULL);
  EXPECT_EQ(case_seed("needle", 1, "512/d0.50"), case_seed("needle", 1, "512/d0.50"));
  EXPECT_NE(case_seed("needle", 1, "a"), case_seed("needle", 2, "a"));
  EXPECT_NE(case_seed("needle", 1, "a"), case_seed("smoke", 1, "a"));
}

TEST(Rng, BoundsAndStreams) {
  Rng rng(7);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const int64_t draw = rng.between(3, 9);
    EXPECT_GE(draw, 3);
    EXPECT_LE(draw, 9);
    seen.insert(draw);
  }
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_NE(rng.stream(1).next(), rng.stream(2).next());
  EXPECT_EQ(rng.stream(1).next(), Rng(7).stream(1).next());
}

TEST(Rng, SamplesWithoutReplacement) {
  Rng rng(1);
  const auto some = rng.sample(std::vector<int>{1, 2, 3, 4, 5}, 4);
  EXPECT_EQ((std::set<int>(some.begin(), some.end()).size()), 4u);
  EXPECT_TRUE(rng.sample(std::vector<int>{1, 2}, 0).empty());
}

TEST(FillTemplate, BoundNamesPoolsRangesCodesAndBraces) {
  Rng rng(3);
  EXPECT_EQ(fill_template("{{{a}}} {a}", {{"a", "x"}}, rng), "{x} x");
  const std::string range = fill_template("{5..6}", {}, rng);
  EXPECT_TRUE(range == "5" || range == "6") << range;
  const std::string code = fill_template("{code:8}", {}, rng);
  EXPECT_EQ(code.size(), 8u);
  EXPECT_EQ(code.find_first_of("01IO"), std::string::npos);
  const auto& cities = words("cities");
  EXPECT_NE(std::find(cities.begin(), cities.end(), fill_template("{cities}", {}, rng)),
            cities.end());
}

TEST(FillTemplateDeathTest, AnUnknownSlotIsOurBug) {
  Rng rng(3);
  EXPECT_DEATH(fill_template("{no_such_list}", {}, rng), "no_such_list");
}

}  // namespace
}  // namespace ds4::suites
