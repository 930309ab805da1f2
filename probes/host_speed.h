// The ceilings of this machine's processors: how fast memory can be read and f32 matrices
// multiplied. Nothing of the engine takes part, so that the engine can be held against them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "probes/sample.h"

namespace ds4::probes {

/// One measured pass: how much was done, how long it took, and the processor time it used.
struct Pass {
  double work = 0;  // bytes or floating-point operations
  double wall_s = 0;
  double cpu_s = 0;  // of all threads together
  int threads = 1;

  /// Work per second as a clock on the wall sees it.
  double rate() const { return work / wall_s; }
  /// Work per second if every thread had a core to itself: what other processes take is left out.
  double undisturbed_rate() const { return work * threads / cpu_s; }
  /// The share of its cores this process got, 0 to 1.
  double share() const { return cpu_s / (wall_s * threads); }
};

/// Sequential reads of a buffer far larger than the caches, divided among the threads.
class ReadProbe {
 public:
  ReadProbe();
  Pass run(int threads);

 private:
  int64_t bytes_;
  std::unique_ptr<uint64_t[]> data_;
};

/// C = A B^T in f32 by oneDNN, one product of 1024 x 1024 x 1024 per thread.
class SgemmProbe {
 public:
  /// `most_threads`: the most that run() will be asked for.
  explicit SgemmProbe(int most_threads);
  /// Throws Error(kMachine) when the library refuses.
  Pass run(int threads);

 private:
  std::vector<std::vector<float>> matrices_;
};

/// Repeats all probes, with one thread and with all, taking turns, for about `seconds`. One sample
/// per pass: metrics read_rate, sgemm_rate and cpu_share, phase "1 thread" or "N threads".
std::vector<Sample> measure_host_speed(double seconds);

}  // namespace ds4::probes
