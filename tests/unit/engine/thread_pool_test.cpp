// The pool runs every task exactly once, also when operations follow each other without a pause.
#include "engine/ops/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace ds4::ops::cpu {
namespace {

constexpr int64_t kMuch = 1 << 30;

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int round = 0; round < 2000; ++round) {
      const int64_t tasks = round % 17;
      std::vector<int> hits(static_cast<size_t>(tasks), 0);
      pool.run(tasks, kMuch, [&](int64_t task, int worker) {
        EXPECT_LT(worker, threads);
        ++hits[static_cast<size_t>(task)];
      });
      EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), tasks);
      for (const int hit : hits) EXPECT_EQ(hit, 1);
    }
  }
}

TEST(ThreadPool, WakesAfterSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::vector<int64_t> out(64);
    pool.run(64, kMuch, [&](int64_t task, int) { out[static_cast<size_t>(task)] = task; });
    EXPECT_EQ(std::accumulate(out.begin(), out.end(), int64_t{0}), 64 * 63 / 2);
  }
}

TEST(ThreadPool, SmallWorkStaysWithTheCaller) {
  ThreadPool pool(4);
  const auto self = std::this_thread::get_id();
  pool.run(100, 1000, [&](int64_t, int worker) {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), self);
  });
}

}  // namespace
}  // namespace ds4::ops::cpu
