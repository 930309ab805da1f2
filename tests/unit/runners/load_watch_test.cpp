#include "runners/targets/load_watch.h"

#include <gtest/gtest.h>

namespace ds4::runners {
namespace {

TEST(LoadWatch, ShowsWhatThereIsWithRateAndRest) {
  LoadWatch watch;
  EXPECT_EQ(watch.rate(), 0);
  EXPECT_EQ(watch.told(2'000'000'000, 20'000'000'000, 100), "1.86 GiB of 18.6 GiB");
  EXPECT_EQ(watch.told(2'500'000'000, 20'000'000'000, 100.1), "") << "shown a moment ago";
  EXPECT_EQ(watch.told(8'000'000'000, 20'000'000'000, 102),
            "7.45 GiB of 18.6 GiB, 3.00 GB/s, 4.0 s left");
  EXPECT_EQ(watch.told(20'000'000'000, 20'000'000'000, 102.1),
            "18.6 GiB of 18.6 GiB, 8.57 GB/s, 0 ms left")
      << "the end is always shown";
  EXPECT_NEAR(watch.rate(), 18e9 / 2.1, 1);
}

}  // namespace
}  // namespace ds4::runners
