// The running selection against a full sort, with many ties.
#include "engine/ops/cpu/top_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace ds4::ops::cpu {
namespace {

std::vector<int32_t> sorted_best(const std::vector<float>& score, int64_t k) {
  std::vector<int32_t> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return score[static_cast<size_t>(a)] > score[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(k)));
  std::sort(order.begin(), order.end());
  order.resize(static_cast<size_t>(k), -1);
  return order;
}

TEST(TopRows, EqualsAFullSort) {
  std::mt19937 random(5);
  for (const int64_t k : {1, 3, 64, 512}) {
    for (const int n : {0, 1, 63, 64, 65, 511, 512, 513, 5000}) {
      for (const int levels : {1, 2, 30, 1 << 20}) {
        std::vector<float> score(static_cast<size_t>(n));
        for (float& s : score) s = static_cast<float>(static_cast<int>(random() % levels)) - 3;
        TopRows best(k);
        for (int at = 0; at < n; at += 64) {
          best.offer(score.data() + at, at, std::min(64, n - at));
        }
        std::vector<int32_t> got(static_cast<size_t>(k), 99);
        best.finish(got.data());
        EXPECT_EQ(got, sorted_best(score, k)) << "k " << k << " n " << n << " levels " << levels;
      }
    }
  }
}

TEST(TopRows, MergedSegmentsEqualOneStream) {
  std::mt19937 random(6);
  std::vector<float> score(3000);
  for (float& s : score) s = static_cast<float>(random() % 40);
  TopRows best(100);
  std::vector<TopRows> segments(3, TopRows(100));
  for (int at = 0; at < 3000; at += 50) {
    best.offer(score.data() + at, at, 50);
    segments[static_cast<size_t>(at / 1000)].offer(score.data() + at, at, 50);
  }
  segments[0].merge(segments[1]);
  segments[0].merge(segments[2]);
  std::vector<int32_t> whole(100), merged(100);
  best.finish(whole.data());
  segments[0].finish(merged.data());
  EXPECT_EQ(whole, merged);
  EXPECT_EQ(whole, sorted_best(score, 100));
}

TEST(TopRows, AscendingScoresReplaceEverything) {
  std::vector<float> score(10'000);
  std::iota(score.begin(), score.end(), 0.0f);
  TopRows best(7);
  for (int at = 0; at < 10'000; at += 50) best.offer(score.data() + at, at, 50);
  std::vector<int32_t> got(7);
  best.finish(got.data());
  EXPECT_EQ(got, (std::vector<int32_t>{9993, 9994, 9995, 9996, 9997, 9998, 9999}));
}

}  // namespace
}  // namespace ds4::ops::cpu
