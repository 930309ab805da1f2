// What the benchmarks share: a loop that keeps the best pass, and the machine's ceilings taken
// right before it. "flops" counts a multiply-add as two; "bytes" are stored weights or rows, read
// once.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/processors.h"
#include "engine/ops/ops.h"
#include "probes/host_speed.h"

namespace ds4::bench {

/// Threads of the engine and of the ceilings: DS4_BENCH_THREADS, or all this process may use.
inline int threads() {
  const char* chosen = std::getenv("DS4_BENCH_THREADS");
  return chosen ? std::atoi(chosen) : usable_processors();
}

/// The best of a few passes of each probe: other processes can only slow a pass down.
struct Ceilings {
  double read = 0;   // B/s
  double sgemm = 0;  // FLOP/s
};
Ceilings measure_ceilings();

/// Wall and processor time (of all threads) since construction.
class Stopwatch {
 public:
  Stopwatch();
  probes::Pass pass(double work) const;

 private:
  double wall_s_, cpu_s_;
};

/// Times body() until the framework has enough. Inside the window: body alone. The counters belong
/// to the pass that took the least time on the wall, so short bodies are measured well on a busy
/// machine too; `share` is the part of all threads' time that this process got in it. GB/s and
/// GFLOP/s stand beside their shares of the ceilings, the larger of which tells what binds.
/// prepare(), if any, runs before each pass, outside the window.
template <class Body, class Prepare = std::nullptr_t>
void measure(benchmark::State& state, double flops, double bytes, const Body& body,
             const Prepare& prepare = nullptr) {
  const Ceilings ceilings = measure_ceilings();
  probes::Pass best{0, 1e30, 0, threads()};
  for (auto _ : state) {
    if constexpr (!std::is_null_pointer_v<Prepare>) {
      state.PauseTiming();
      prepare();
      state.ResumeTiming();
    }
    const Stopwatch watch;
    body();
    const probes::Pass pass = watch.pass(0);
    if (pass.wall_s < best.wall_s) best = pass;
  }
  state.counters["best_us"] = best.wall_s * 1e6;
  state.counters["share"] = best.share();
  state.counters["GFLOP/s"] = flops / best.wall_s / 1e9;
  state.counters["GB/s"] = bytes / best.wall_s / 1e9;
  state.counters["of_sgemm"] = flops / best.wall_s / ceilings.sgemm;
  state.counters["of_read"] = bytes / best.wall_s / ceilings.read;
}

/// `count` normal numbers and room for a vector behind them.
std::vector<float> normals(int64_t count);

inline ops::Values values(std::vector<float>& data, int64_t cols) {
  return {reinterpret_cast<std::byte*>(data.data()), cols};
}
inline ops::Floats floats(std::vector<float>& data, int64_t cols) {
  return {reinterpret_cast<std::byte*>(data.data()), cols};
}

/// A matrix of random codes (none is a NaN) with scales of 2^-7.
class RandomMatrix {
 public:
  RandomMatrix(weights::Matrix::Format format, int64_t rows, int64_t cols);
  const weights::Matrix& operator*() const { return matrix_; }
  const weights::Matrix* operator->() const { return &matrix_; }

 private:
  std::vector<std::byte> data_;
  std::vector<uint8_t> scales_;
  weights::Matrix matrix_;
};

/// `count` rows of a layout, all holding the same random values.
ops::RowStore filled_rows(const ops::RowLayout& layout, int64_t count,
                          std::vector<std::byte>& memory);

}  // namespace ds4::bench
