#include "engine/ops/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include "engine/base/processors.h"

namespace ds4::ops::cpu {
namespace {

constexpr uint32_t kOpen = 1u << 31;
// How long a helper looks for the next operation before it sleeps; operations of one token follow
// each other within microseconds.
constexpr auto kSpin = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int ThreadPool::count(int threads) {
  return threads > 0 ? threads : usable_processors();
}

ThreadPool::ThreadPool(int threads) {
  const int total = count(threads);
  for (int worker = 1; worker < total; ++worker) {
    workers_.emplace_back([this, worker] { worker_loop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_shared(int64_t tasks, Job job) {
  job_ = job;
  tasks_ = tasks;
  next_task_.store(0, std::memory_order_relaxed);
  gate_.store(kOpen, std::memory_order_release);
  generation_.fetch_add(1);
  if (sleepers_.load() > 0) {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  work_until_empty(0);
  gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
  int spins = 0;
  while (gate_.load(std::memory_order_acquire) != 0) {
    if (++spins < 2000) {
      pause_briefly();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::work_until_empty(int worker) {
  for (;;) {
    const int64_t task = next_task_.fetch_add(1, std::memory_order_relaxed);
    if (task >= tasks_) return;
    job_.call(job_.context, task, worker);
  }
}

bool ThreadPool::enter() {
  uint32_t gate = gate_.load(std::memory_order_relaxed);
  while (gate & kOpen) {
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void ThreadPool::worker_loop(int worker) {
  uint64_t seen = 0;
  while (!stop_.load()) {
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (generation_.load() == seen && std::chrono::steady_clock::now() < until) pause_briefly();
    if (generation_.load() == seen) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleepers_.fetch_sub(1);
    }
    seen = generation_.load();
    if (enter()) {
      work_until_empty(worker);
      gate_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }
}

}  // namespace ds4::ops::cpu
