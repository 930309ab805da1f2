// Readings that may take long or wait for a driver: GPUs, the kernel's log, and who uses shared
// memory. On a thread of their own, so that the guard's next reading of memory never waits for
// them.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "runners/guard/group.h"
#include "runners/guard/sample.h"
#include "runners/guard/shared_memory.h"

namespace ds4::runners::guard {

class SlowReadings {
 public:
  SlowReadings();
  ~SlowReadings();
  SlowReadings(const SlowReadings&) = delete;
  SlowReadings& operator=(const SlowReadings&) = delete;

  /// Whose GPU memory and shared memory is meant; call once.
  void guard(std::shared_ptr<const Group> group);
  /// Fills in the latest. Never waits or allocates.
  void read(Sample& sample) const noexcept;
  /// Removes what the dead group left in shared memory; gives up when the thread hangs.
  Leftovers clean_up();

 private:
  void work();
  void read_gpus();
  void read_kernel_log();

  struct Values {
    std::atomic<int64_t> gpu_processes{-1}, gpu_target{-1}, gpu_free{-1}, gpu_temperature{-1},
        gpu_clock{-1}, gpu_memory_clock{-1}, gpu_throttle{-1}, nvrm_lines{-1};
  };
  struct Gpus;

  Values values_;
  std::unique_ptr<Gpus> gpus_;
  int kernel_log_ = -1;
  int end_ = -1;  // readable once the thread is to end, so that nobody waits for its period
  std::timed_mutex mutex_;  // group_ and shared_memory_
  std::shared_ptr<const Group> group_;
  SharedMemory shared_memory_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace ds4::runners::guard
