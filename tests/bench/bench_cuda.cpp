// Times the CUDA back end on a model of the real shapes with random weights: chunks of a prompt,
// decode steps of 1 to 24 rows of a sequence and of eight sequences, and where each goes, operation
// by operation.
//
//   bench_cuda [experts 32] [prompt tokens 8192] [chunk 2048] [sets of weights per kind 2]
//              [first position 0: what lies before it is never computed]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/breakdown/watch.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/cuda/estimate.h"
#include "tests/bench/full_shape.h"

namespace ds4::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kLogits = 8;     // at most, of one call
constexpr int kSequences = 8;  // of a step of several

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double stored(const weights::Expert& e) {
  return static_cast<double>(e.w1.stored_bytes() + e.w2.stored_bytes() + e.w3.stored_bytes());
}

void print(const char* title, const std::vector<OperationCost>& costs) {
  double total = 0;
  for (const OperationCost& cost : costs) total += cost.seconds;
  std::printf("%s: %.2f ms by the GPU's clock, no step recorded\n", title, total * 1e3);
  for (const OperationCost& cost : costs) {
    std::printf("  %-26s %9.3f ms  %5.1f %%  %5lld calls  %8.1f us each\n", cost.name.c_str(),
                cost.seconds * 1e3, 100 * cost.seconds / total, static_cast<long long>(cost.calls),
                1e6 * cost.seconds / static_cast<double>(cost.calls));
  }
}

int run(int experts, int prompt, int chunk, int sets, int begin_at) {
  if (begin_at >= prompt) {
    std::fprintf(stderr, "the first position must lie before the prompt's end\n");
    return 2;
  }
  auto begin = Clock::now();
  const FullShape model = make_full_shape(experts, sets);
  const weights::ModelWeights& w = model.weights;
  std::printf("random weights made in %.1f s\n", since(begin));
  breakdown::WatchingBackend backend(ops::make_cuda_backend(Precision::kReference), w);
  EngineSettings settings;
  settings.device = Device::kCuda;
  settings.context_length = prompt + 1024;
  settings.prefill_chunk = chunk;
  model::Forward forward(w, backend, chunk);
  cache::KvCache cache(backend, cache::plan_cache(w.config, settings));

  std::vector<TokenId> tokens(static_cast<size_t>(prompt + 1024));
  test_support::Random random(3);
  for (TokenId& t : tokens) t = static_cast<TokenId>(random.next() % 129280);
  const auto rows_of = [&](int64_t first, int n, cache::KvCache& of) {
    return model::SequenceRows{
        std::span(tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(n)), first, &of};
  };
  const auto run_rows = [&](int64_t first, int n) {
    const model::SequenceRows rows = rows_of(first, n, cache);
    forward.run({&rows, 1});
  };
  begin = Clock::now();
  run_rows(0, 1);
  forward.logits(0, 1);
  std::printf("first token, with the upload of all weights: %.1f s\n", since(begin));

  int64_t at = begin_at;
  const auto whole = Clock::now();
  for (; at < prompt; at += chunk) {
    begin = Clock::now();
    run_rows(at, chunk);
    forward.logits(chunk - 1, 1);
    const double seconds = since(begin);
    std::printf("prefill %6lld .. %6lld: %8.1f ms, %8.0f tok/s\n", static_cast<long long>(at),
                static_cast<long long>(at + chunk), seconds * 1e3, chunk / seconds);
  }
  std::printf("prefill %d .. %lld in all: %.0f tok/s\n", begin_at, static_cast<long long>(at),
              static_cast<double>(at - begin_at) / since(whole));
  backend.start();
  run_rows(at - chunk, chunk);
  print("last chunk again", backend.stop());
  std::printf("%lld launches so far\n", static_cast<long long>(ops::cuda_kernel_launches()));
  // run(i): the step i tokens further on.
  const auto time_steps = [&](const char* what, int rows, const auto& run) {
    constexpr int kSteps = 24;
    std::vector<double> times;
    const auto step = [&](int i) {
      run(i);
      forward.logits(0, std::min(rows, kLogits));
    };
    for (int i = 0; i < kSteps; ++i) {
      begin = Clock::now();
      step(i);
      times.push_back(since(begin));
    }
    const int64_t before = ops::cuda_kernel_launches();
    step(0);
    const int64_t launches = ops::cuda_kernel_launches() - before;
    // What these steps read of the weights, each expert once that any of their rows chose.
    double bytes = 0;
    double of_experts = 0;
    for (int i = 0; i < kSteps; ++i) {
      backend.start();
      step(i);
      for (const OperationCost& cost : backend.stop()) {
        bytes += cost.weight_bytes / kSteps;
        if (cost.name == "experts") of_experts += cost.weight_bytes / kSteps;
      }
    }
    const auto layers = static_cast<double>(w.layers.size());
    const weights::Moe& moe = w.layers[0].ffn;
    const double touched = (of_experts / layers - stored(moe.shared)) / stored(moe.experts[0]);
    std::sort(times.begin(), times.end());
    const double median = times[kSteps / 2];
    std::printf(
        "decode, %d %s at %lld: %.3f ms a step (median of %d), best %.3f; %.1f experts a layer, "
        "%.2f GB of weights, %.0f GB/s; %lld launches\n",
        rows, what, static_cast<long long>(at), median * 1e3, kSteps, times[0] * 1e3, touched,
        bytes * 1e-9, bytes * 1e-9 / median, static_cast<long long>(launches));
  };
  for (const int rows : {1, 2, 3, 4, 8, 12, 24}) {
    time_steps("rows", rows, [&](int i) { run_rows(at + i * rows, rows); });
  }
  // Each with a cache of its own and other tokens.
  std::vector<cache::KvCache> caches;
  for (int s = 0; s < kSequences; ++s) {
    cache::KvCache& own = caches.emplace_back(backend, cache.plan());
    const model::SequenceRows rows = rows_of(at - chunk, chunk, own);
    forward.run({&rows, 1});
  }
  time_steps("sequences", kSequences, [&](int i) {
    std::vector<model::SequenceRows> rows;
    for (int s = 0; s < kSequences; ++s) {
      rows.push_back({std::span(tokens).subspan(static_cast<size_t>(at + 32 * s + i), 1), at + i,
                      &caches[static_cast<size_t>(s)]});
    }
    forward.run(rows);
  });
  for (const int rows : {1, 8, 24}) {
    backend.start();
    run_rows(at + 640, rows);
    forward.logits(0, std::min(rows, kLogits));
    print(("decode, rows " + std::to_string(rows)).c_str(), backend.stop());
  }
  return 0;
}

}  // namespace
}  // namespace ds4::bench

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  return ds4::bench::run(argument(1, 32), argument(2, 8192), argument(3, 2048), argument(4, 2),
                         argument(5, 0));
}
