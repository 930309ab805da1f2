// What is due when: groups one after the other, so many at once, and drawn moments.
#include "runners/load_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ds4::runners {
namespace {

using suites::Load;

TEST(LoadSchedule, WithoutGroupsEverythingIsDueAtOnce) {
  LoadSchedule schedule({{}, {}, {}});
  EXPECT_FALSE(schedule.to_begin());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(schedule.take(5)->index, i);
  EXPECT_FALSE(schedule.take(5));
  EXPECT_TRUE(std::isinf(schedule.due_in(5)));
}

TEST(LoadSchedule, SoManyAtOnceAndTheNextWithAnAnswer) {
  LoadSchedule schedule({{"c2", 2}, {"c2", 2}, {"c2", 2}, {"c2", 2}});
  EXPECT_FALSE(schedule.take(9)) << "its prompts are not made yet";
  ASSERT_TRUE(schedule.to_begin());
  EXPECT_EQ(schedule.to_begin()->last, 4u);
  schedule.begin(10);
  EXPECT_EQ(schedule.take(10)->scheduled, 10);
  // A target with room for one alone takes the second late; it was due at the beginning.
  schedule.answered(11);
  EXPECT_EQ(schedule.take(11)->scheduled, 10);
  const auto third = schedule.take(11.5);
  EXPECT_EQ(third->scheduled, 11);
  EXPECT_EQ(third->begin, 10);
  EXPECT_FALSE(schedule.take(12)) << "two are unanswered";
  EXPECT_TRUE(std::isinf(schedule.due_in(12)));
  schedule.answered(13);
  EXPECT_EQ(schedule.due_in(13), 0);
  EXPECT_EQ(schedule.take(14)->scheduled, 13);
  EXPECT_FALSE(schedule.to_begin());
}

TEST(LoadSchedule, DrawnMomentsWaitForNoAnswer) {
  LoadSchedule schedule({{"r", 0, 0.5}, {"r", 0, 2}});
  schedule.begin(100);
  EXPECT_FALSE(schedule.take(100.25));
  EXPECT_EQ(schedule.due_in(100.25), 0.25);
  EXPECT_EQ(schedule.take(101)->scheduled, 100.5);
  EXPECT_EQ(schedule.due_in(101), 1);
  EXPECT_EQ(schedule.take(102)->scheduled, 102);
}

TEST(LoadSchedule, AGroupBeginsWhenAllBeforeItIsAnswered) {
  LoadSchedule schedule({{}, {"a", 1}, {"b", 1}, {}, {}});
  EXPECT_TRUE(schedule.take(0));
  EXPECT_FALSE(schedule.to_begin());
  EXPECT_FALSE(schedule.take(0));
  schedule.answered(1);
  schedule.begin(1);
  EXPECT_EQ(schedule.take(1)->index, 1u);
  EXPECT_FALSE(schedule.to_begin());
  schedule.answered(2);
  EXPECT_EQ(schedule.to_begin()->first, 2u);
  schedule.begin(3);
  EXPECT_EQ(schedule.take(3)->begin, 3);
  EXPECT_FALSE(schedule.take(4)) << "what has no group waits for groups, too";
  schedule.answered(4);
  EXPECT_EQ(schedule.take(4)->index, 3u);
  EXPECT_EQ(schedule.take(4)->index, 4u);
}

}  // namespace
}  // namespace ds4::runners
