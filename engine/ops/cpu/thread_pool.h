// Runs the tasks of one operation on a few threads. Tasks are claimed from a counter, so which
// thread runs a task is open; results stay deterministic because a task's arithmetic never depends
// on it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ds4::ops::cpu {

class ThreadPool {
 public:
  /// `threads` in all, the calling thread included; 0 = as many as this process may use.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// The number of threads a pool made with `threads` has.
  static int count(int threads);
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(task, worker) for every task in [0, tasks), worker in [0, threads()). Returns when
  /// all are done. `work` is a rough count of multiply-adds or elements: small operations are run
  /// by the caller alone. Must not be called from inside a task.
  template <class Body>
  void run(int64_t tasks, int64_t work, const Body& body) {
    if (workers_.empty() || tasks < 2 || work < kWorthWaking) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    run_shared(tasks, {[](const void* context, int64_t task, int worker) {
                         (*static_cast<const Body*>(context))(task, worker);
                       },
                       &body});
  }

 private:
  // Below this a wake-up (some ten microseconds) costs more than it saves.
  static constexpr int64_t kWorthWaking = 100'000;

  struct Job {
    void (*call)(const void* context, int64_t task, int worker) = nullptr;
    const void* context = nullptr;
  };

  void run_shared(int64_t tasks, Job job);
  void work_until_empty(int worker);
  void worker_loop(int worker);
  bool enter();

  std::vector<std::thread> workers_;
  Job job_;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_task_{0};
  // Bit 31: a job is open for helpers; lower bits: helpers inside it. A helper that wakes late
  // finds the job closed and is never waited for.
  std::atomic<uint32_t> gate_{0};
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace ds4::ops::cpu
