// The ceilings of this machine's processors: how fast memory can be read and f32 matrices
// multiplied. Nothing of the engine takes part, so that the engine can be held against them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

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

/// Sequential reads of a buffer of random words, divided among the threads.
class ReadProbe {
 public:
  /// Far larger than the caches, as far as memory is free.
  ReadProbe();
  int64_t bytes() const { return bytes_; }
  /// All of it, once.
  Pass run(int threads) { return run(threads, bytes_, 1); }
  /// Its first `bytes`, `rounds` times.
  Pass run(int threads, int64_t bytes, int rounds);

 private:
  int64_t bytes_;
  std::unique_ptr<uint64_t[]> data_;
  std::map<int64_t, uint64_t> expected_;  // sums by the number of words
};

/// What STREAM does (J. D. McCalpin, 1995) on three arrays of f32 far larger than the caches. A
/// write also reads the line first unless the processor is told otherwise; only what the program
/// asked for is counted.
class StreamProbe {
 public:
  StreamProbe();
  Pass write(int threads);
  Pass copy(int threads);
  Pass triad(int threads);  // c = a + 3 b

 private:
  int64_t count_;  // of each array
  std::unique_ptr<float[]> a_, b_, c_;
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

/// The two ceilings that steps of a model are held against, with so many threads: the best of a few
/// passes.
struct HostSpeed {
  double read_rate = 0;   // B/s
  double sgemm_rate = 0;  // FLOP/s
};
HostSpeed measure_host_speed(int threads);

}  // namespace ds4::probes
