// Decode-stage GEMVs at the model's true shapes: several designs per weight format, each held to a
// float64 reference and then timed as a chain in a CUDA graph over more weights than L2 holds. A
// bench of structures for the engine to adopt; not the engine's kernels.
//
//   decode_gemv              checks, times, writes the tables to stdout (and TSV with --tsv FILE)
//   decode_gemv --small      checks only, on small shapes: what the memory checker runs
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "stage.hpp"

namespace ds4::bench {
namespace {

// float32 sums over 8192 terms keep 1e-6; FP8 operands may be summed with fewer bits by the
// hardware.
constexpr double kTolerance = 2e-5;
constexpr double kTensorFp8Tolerance = 5e-3;
constexpr int kRows[] = {1, 2, 3, 4, 8};
constexpr int kLayers = 43;

const std::vector<StageShape> kStages = {
    {"wq_a+wkv", Format::kFp8, true, 1536, 4096, 1, false, kLayers},
    {"wq_b", Format::kFp8, true, 32768, 1024, 1, false, kLayers},
    {"wo_a", Format::kFp8, false, 1024, 4096, 8, false, kLayers},
    {"wo_b", Format::kFp8, true, 4096, 8192, 1, false, kLayers},
    {"experts gate+up", Format::kFp4, true, 4096, 4096, 0, false, kLayers},
    {"experts down", Format::kFp4, true, 4096, 2048, 0, true, kLayers},
    {"shared gate+up", Format::kFp8, true, 4096, 4096, 1, false, kLayers},
    {"shared down", Format::kFp8, true, 4096, 2048, 1, false, kLayers},
    {"head", Format::kBf16, false, 129280, 4096, 1, false, 1},
};

const std::vector<StageShape> kSmallStages = {
    {"small fp8", Format::kFp8, true, 256, 1024, 1, false, 1},
    {"small fp8 odd groups", Format::kFp8, true, 128, 384, 1, false, 1},
    {"small fp8 grouped", Format::kFp8, false, 128, 1024, 3, false, 1},
    {"small experts", Format::kFp4, true, 64, 1024, 0, false, 1},
    {"small experts down", Format::kFp4, true, 48, 2048, 0, true, 1},
    {"small head", Format::kBf16, false, 80, 512, 1, false, 1},
};

struct Best {
  const Variant* variant = nullptr;
  int k_warps = 1;
  double us = 0.0;
};

void keep_faster(const Best& candidate, Best* best) {
  if (best->variant == nullptr || candidate.us < best->us) *best = candidate;
}

bool runs_here(const Variant& v, int compute_capability) {
  return v.design != Design::kE4m3 || compute_capability >= 89;
}

std::vector<int> k_warp_choices(const Variant& v) {
  if (v.design == Design::kFma) return {1};
  return {1, 2, 4, 8};
}

void poison(DeviceBytes& out) {
  DS4_BENCH_CUDA(cudaMemset(out.as(), 0xff, out.size()));
}

// Checks one variant over its first and last regions; returns the larger error. `alone_differs`
// counts outputs of a dense stage's first row that change bits when it runs alone.
double verify(const Stage& stage, const Variant& v, int k_warps, int rows,
              std::size_t* alone_differs) {
  const std::size_t count = stage.out_floats(rows);
  DeviceBytes out(count * sizeof(float));
  DeviceBytes ref(count * sizeof(double));
  double worst = 0.0;
  for (const int region : {0, stage.regions(rows) - 1}) {
    poison(out);
    stage.launch(v, k_warps, rows, region, out.as<float>(), nullptr);
    stage.launch_reference(rows, region, ref.as<double>());
    const double error = relative_error(out.as<float>(), ref.as<double>(), count);
    worst = std::isnan(error) || error > worst ? error : worst;
    if (std::isnan(worst)) return worst;
  }
  if (stage.shape().dense_jobs != 0 && rows > 1) {
    DeviceBytes alone(stage.out_floats(1) * sizeof(float));
    poison(alone);
    stage.launch(v, k_warps, 1, stage.regions(rows) - 1, alone.as<float>(), nullptr);
    *alone_differs += count_differing(alone.as<float>(), out.as<float>(), stage.out_floats(1));
  }
  return worst;
}

// Median time of one launch in a graph of launches over successive regions; µs.
template <class Enqueue>
double time_graph(int launches, int replays, Enqueue enqueue) {
  cudaStream_t stream;
  DS4_BENCH_CUDA(cudaStreamCreate(&stream));
  DS4_BENCH_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  enqueue(stream);
  cudaGraph_t graph;
  DS4_BENCH_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec;
  DS4_BENCH_CUDA(cudaGraphInstantiate(&exec, graph, 0));
  cudaEvent_t begin, end;
  DS4_BENCH_CUDA(cudaEventCreate(&begin));
  DS4_BENCH_CUDA(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < replays + 2; ++i) {
    DS4_BENCH_CUDA(cudaEventRecord(begin, stream));
    DS4_BENCH_CUDA(cudaGraphLaunch(exec, stream));
    DS4_BENCH_CUDA(cudaEventRecord(end, stream));
    DS4_BENCH_CUDA(cudaEventSynchronize(end));
    float ms = 0.0f;
    DS4_BENCH_CUDA(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 2) times.push_back(ms);
  }
  DS4_BENCH_CUDA(cudaEventDestroy(begin));
  DS4_BENCH_CUDA(cudaEventDestroy(end));
  DS4_BENCH_CUDA(cudaGraphExecDestroy(exec));
  DS4_BENCH_CUDA(cudaGraphDestroy(graph));
  DS4_BENCH_CUDA(cudaStreamDestroy(stream));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] * 1e3 / launches;
}

struct Checks {
  int done = 0, failed = 0;
};

// Verifies every (variant, k_warps) of the stage, once per row count; true where it may be timed.
bool passes(const Stage& stage, const Variant& v, int k_warps, int rows, double* error,
            Checks* checks) {
  std::size_t alone_differs = 0;
  *error = verify(stage, v, k_warps, rows, &alone_differs);
  const double tolerance = v.design == Design::kE4m3 ? kTensorFp8Tolerance : kTolerance;
  const bool good = *error < tolerance;  // false for NaN
  ++checks->done;
  if (!good) ++checks->failed;
  if (!good) {
    std::printf("FAIL %s, M=%d, %s, k_warps %d: relative error %.3g\n", stage.shape().name, rows,
                v.name, k_warps, *error);
  }
  if (alone_differs != 0) {
    std::printf("note %s, M=%d, %s, k_warps %d: %zu outputs of row 0 differ from running alone\n",
                stage.shape().name, rows, v.name, k_warps, alone_differs);
  }
  return good;
}

int run_small(int compute_capability) {
  Checks checks;
  for (const StageShape& shape : kSmallStages) {
    const Stage stage(shape, 16, 1u << 20, 7);
    for (const int rows : kRows) {
      for (const Variant& v : variants()) {
        if (!exists(shape.format, shape.quantised_x, v) || !runs_here(v, compute_capability))
          continue;
        for (const int k_warps : k_warp_choices(v)) {
          double error = 0.0;
          passes(stage, v, k_warps, rows, &error, &checks);
        }
      }
    }
  }
  std::printf("small shapes: %d checks, %d failed\n", checks.done, checks.failed);
  return checks.failed == 0 ? 0 : 1;
}

// Every GEMV of a decode step, layer after layer, in one graph; a printed row per row count.
void time_step(const std::vector<Stage>& stages, const std::vector<std::vector<Best>>& chosen,
               const char* label, bool early_start, double ceiling, std::FILE* tsv) {
  for (std::size_t r = 0; r < std::size(kRows); ++r) {
    const int rows = kRows[r];
    double bytes = 0.0;
    double alone_us = 0.0;
    std::size_t most = 0;
    bool complete = true;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      complete = complete && chosen[s][r].variant != nullptr;
      bytes += static_cast<double>(stages[s].bytes_per_launch(rows)) * stages[s].shape().per_step;
      alone_us += chosen[s][r].us * stages[s].shape().per_step;
      most = std::max(most, stages[s].out_floats(rows));
    }
    if (!complete) continue;  // a failed check is reported where it happened
    DeviceBytes out(most * sizeof(float));
    const double us = time_graph(1, 9, [&](cudaStream_t stream) {
      for (int layer = 0; layer < kLayers; ++layer) {
        for (std::size_t s = 0; s < stages.size(); ++s) {
          if (layer >= stages[s].shape().per_step) continue;
          const Best& pick = chosen[s][r];
          stages[s].launch(*pick.variant, pick.k_warps, rows, layer, out.as<float>(), stream,
                           early_start);
        }
      }
    });
    const double rate = bytes / us * 1e-3;
    std::printf("%2d %-12s %9.1f %8.3f %6.0f %5.1f %14.1f\n", rows, label, us, bytes * 1e-9, rate,
                100.0 * rate / ceiling, alone_us);
    if (tsv != nullptr) {
      std::fprintf(tsv, "step\t%d\t%s\t0\t%.1f\t%.1f\t%.2f\t0\n", rows, label, us, rate,
                   100.0 * rate / ceiling);
    }
  }
}

int run_full(int compute_capability, std::FILE* tsv) {
  constexpr std::size_t kMinBytes = 800u << 20;  // over ten times the largest L2 of today's GPUs
  double ceiling;
  {
    DeviceBytes pool(std::size_t{4} << 30);
    fill_weights(Format::kFp4, pool.as(), pool.size(), 3);
    ceiling = read_ceiling(pool.as(), pool.size());
  }
  std::printf("read ceiling of this run: %.0f GB/s (4 GiB)\n", ceiling);
  std::vector<Stage> stages;
  stages.reserve(kStages.size());
  for (std::size_t i = 0; i < kStages.size(); ++i)
    stages.emplace_back(kStages[i], 160, kMinBytes, 100 * i + 11);
  DS4_BENCH_CUDA(cudaDeviceSynchronize());

  Checks checks;
  std::vector<std::vector<Best>> best(stages.size(), std::vector<Best>(std::size(kRows)));
  std::vector<std::vector<Best>> best_mma = best;
  std::printf("%-16s %2s %-24s %2s %9s %6s %5s %9s\n", "stage", "M", "design", "kw", "us", "GB/s",
              "%", "error");
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const Stage& stage = stages[s];
    for (std::size_t r = 0; r < std::size(kRows); ++r) {
      const int rows = kRows[r];
      DeviceBytes out(stage.out_floats(rows) * sizeof(float));
      for (const Variant& v : variants()) {
        if (!exists(stage.shape().format, stage.shape().quantised_x, v) ||
            !runs_here(v, compute_capability)) {
          continue;
        }
        Best fastest;
        double its_error = 0.0;
        for (const int k_warps : k_warp_choices(v)) {
          double error = 0.0;
          if (!passes(stage, v, k_warps, rows, &error, &checks)) continue;
          const int launches = std::max(2, std::min(stage.regions(rows), 96));
          const double us = time_graph(launches, 9, [&](cudaStream_t stream) {
            for (int i = 0; i < launches; ++i)
              stage.launch(v, k_warps, rows, i, out.as<float>(), stream);
          });
          const double rate = stage.bytes_per_launch(rows) / us * 1e-3;
          if (tsv != nullptr) {
            std::fprintf(tsv, "%s\t%d\t%s\t%d\t%.3f\t%.1f\t%.2f\t%.3g\n", stage.shape().name, rows,
                         v.name, k_warps, us, rate, 100.0 * rate / ceiling, error);
          }
          if (fastest.variant == nullptr || us < fastest.us) {
            fastest = {&v, k_warps, us};
            its_error = error;
          }
        }
        if (fastest.variant == nullptr) continue;
        const double rate = stage.bytes_per_launch(rows) / fastest.us * 1e-3;
        std::printf("%-16s %2d %-24s %2d %9.2f %6.0f %5.1f %9.2g\n", stage.shape().name, rows,
                    v.name, fastest.k_warps, fastest.us, rate, 100.0 * rate / ceiling, its_error);
        keep_faster(fastest, &best[s][r]);
        if (v.design != Design::kFma) keep_faster(fastest, &best_mma[s][r]);
      }
    }
    std::fflush(stdout);
  }

  std::printf("\nall GEMVs of one step in one graph (no attention, norms, small stages)\n");
  std::printf("%2s %-12s %9s %8s %6s %5s %14s\n", "M", "designs", "us", "GB", "GB/s", "%",
              "sum of alone us");
  time_step(stages, best, "fastest", false, ceiling, tsv);
  time_step(stages, best_mma, "mma", false, ceiling, tsv);
  if (compute_capability >= 90) time_step(stages, best_mma, "mma early", true, ceiling, tsv);
  std::printf("full shapes: %d checks, %d failed\n", checks.done, checks.failed);
  return checks.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ds4::bench

int main(int argc, char** argv) {
  using namespace ds4::bench;
  bool small = false;
  std::FILE* tsv = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--small") == 0) {
      small = true;
    } else if (std::strcmp(argv[i], "--tsv") == 0 && i + 1 < argc) {
      tsv = std::fopen(argv[++i], "w");
      if (tsv == nullptr) {
        std::fprintf(stderr, "cannot write %s\n", argv[i]);
        return 2;
      }
      std::fprintf(tsv,
                   "stage\trows\tdesign\tk_warps\tus\tgb_s\tpercent_of_read\trelative_error\n");
    } else {
      std::fprintf(stderr, "usage: decode_gemv [--small] [--tsv FILE]\n");
      return 2;
    }
  }
  cudaDeviceProp prop;
  DS4_BENCH_CUDA(cudaGetDeviceProperties(&prop, 0));
  std::printf("%s, sm_%d%d, %d SMs, L2 %d MiB, %.1f GiB\n", prop.name, prop.major, prop.minor,
              prop.multiProcessorCount, prop.l2CacheSize >> 20, prop.totalGlobalMem / 1073741824.0);
  const int compute_capability = prop.major * 10 + prop.minor;
  const int result = small ? run_small(compute_capability) : run_full(compute_capability, tsv);
  if (tsv != nullptr) std::fclose(tsv);
  DS4_BENCH_CUDA(cudaDeviceSynchronize());
  return result;
}
