#include "profiles/schema/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace ds4::profiles {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsAndSubstitutions) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2);
  EXPECT_EQ(edit_distance("same", "same"), 0);
}

TEST(Nearest, TakesTheFirstOfTheClosest) {
  const std::vector<std::string> names = {"threads", "seed", "device"};
  EXPECT_EQ(nearest("thread", names), "threads");
  EXPECT_EQ(nearest("sed", names), "seed");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(nearest("ab", std::vector<std::string>{"aa", "bb"}), "aa");
}

}  // namespace
}  // namespace ds4::profiles
