// Whole steps of the tiny checkpoint: reading a prompt and drawing tokens behind it.
#include <memory>

#include "engine/api/session.h"
#include "tests/bench/measure.h"
#include "tests/support/source_dir.h"

namespace ds4::bench {
namespace {
using benchmark::State;

struct Tiny {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  std::vector<TokenId> tokens;

  explicit Tiny(int64_t length) {
    EngineSettings settings;
    settings.context_length = length + 4096;
    settings.threads = threads();
    const auto checkpoint = test_support::source_dir() / "checkpoints/tiny";
    engine = Engine::load(checkpoint, settings);
    session = engine->new_session();
    std::mt19937 random(3);
    tokens.resize(static_cast<size_t>(length));
    for (TokenId& token : tokens) {
      token = static_cast<TokenId>(random() % static_cast<uint64_t>(engine->info().vocab_size));
    }
  }
};

void rates(State& state, double tokens, double cpu_s) {
  const double seconds = cpu_s / threads();
  state.counters["tok/s"] = tokens / seconds;
  state.counters["us/tok"] = seconds / tokens * 1e6;
}

void prefill(State& state) {
  Tiny tiny(state.range(0));
  double best_cpu_s = 1e30;
  for (auto _ : state) {
    state.PauseTiming();
    tiny.session.reset();
    tiny.session = tiny.engine->new_session();
    state.ResumeTiming();
    const Stopwatch watch;
    tiny.session->extend_to(tiny.tokens);
    best_cpu_s = std::min(best_cpu_s, watch.pass(0).cpu_s);
  }
  rates(state, static_cast<double>(state.range(0)), best_cpu_s);
}
BENCHMARK(prefill)
    ->ArgName("tokens")
    ->Arg(2048)
    ->Arg(16384)
    ->Arg(65536)
    ->Arg(200000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// 16 greedy tokens behind a context.
void decode(State& state) {
  Tiny tiny(state.range(0));
  tiny.session->extend_to(tiny.tokens);
  constexpr int kSteps = 16;
  int64_t left = 4000;
  double best_cpu_s = 1e30;
  for (auto _ : state) {
    if (left < kSteps) {
      state.PauseTiming();
      tiny.session->extend_to(tiny.tokens);
      left = 4000;
      state.ResumeTiming();
    }
    const Stopwatch watch;
    for (int i = 0; i < kSteps; ++i) tiny.session->append(tiny.session->sample({}));
    best_cpu_s = std::min(best_cpu_s, watch.pass(0).cpu_s);
    left -= kSteps;
  }
  rates(state, kSteps, best_cpu_s);
}
BENCHMARK(decode)
    ->ArgName("context")
    ->Arg(2048)
    ->Arg(16384)
    ->Arg(65536)
    ->Arg(200000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace ds4::bench
