#include "engine/base/side_by_side.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace ds4 {
namespace {

TEST(SideBySideTest, EveryPieceIsDoneOnce) {
  for (const int threads : {1, 2, 7}) {
    for (const size_t n : {0, 1, 5, 1000}) {
      std::vector<int> times(n);
      side_by_side(
          n, [&](size_t i) { ++times[i]; }, threads);
      EXPECT_EQ(times, std::vector<int>(n, 1));
    }
  }
}

TEST(SideBySideTest, AloneInOrder) {
  std::vector<size_t> order;
  side_by_side(
      4, [&](size_t i) { order.push_back(i); }, 1);
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3}));
}

TEST(SideBySideTest, WhatAPieceThrowsIsThrownOnAndEndsTheRest) {
  std::atomic<int> n_done = 0;
  const auto work = [&](size_t i) {
    if (i == 3) throw std::runtime_error("the fourth");
    ++n_done;
  };
  EXPECT_THROW(side_by_side(1'000'000, work, 1), std::runtime_error);
  EXPECT_EQ(n_done, 3);
  n_done = 0;
  const auto slow = [&](size_t i) {
    if (i != 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    work(i);
  };
  EXPECT_THROW(side_by_side(1000, slow, 4), std::runtime_error);
  EXPECT_LT(n_done, 500);
}

}  // namespace
}  // namespace ds4
