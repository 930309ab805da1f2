// Whole steps: reading a prompt and drawing tokens behind it. DS4_BENCH_CHECKPOINT chooses another
// checkpoint than the shipped one, for example synthetic:k160:layers=1 for the real shapes.
#include <cstdlib>
#include <memory>

#include "engine/api/session.h"
#include "tests/bench/measure.h"
#include "tests/bench/model_work.h"
#include "tests/support/source_dir.h"

namespace ds4::bench {
namespace {
using benchmark::State;

std::filesystem::path checkpoint() {
  const char* chosen = std::getenv("DS4_BENCH_CHECKPOINT");
  return chosen ? chosen : test_support::source_dir() / "checkpoints/tiny";
}

struct Loaded {
  ModelWork work;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  std::vector<TokenId> tokens;

  explicit Loaded(int64_t length, EngineSettings settings = {})
      : work((settings.context_length = length + 4096, settings.threads = threads(), checkpoint()),
             settings),
        engine(Engine::load(checkpoint(), settings)),
        session(engine->new_session()),
        tokens(static_cast<size_t>(length)) {
    std::mt19937 random(3);
    for (TokenId& token : tokens) {
      token = static_cast<TokenId>(random() % static_cast<uint64_t>(engine->info().vocab_size));
    }
  }
};

void lengths(benchmark::internal::Benchmark* measured) {
  for (const int64_t tokens : {512, 2048, 16384, 65536, 200000}) measured->Arg(tokens);
  measured->Unit(benchmark::kMillisecond)->UseRealTime();
}

void prefill(State& state) {
  Loaded model(state.range(0));
  const double flops = model.work.prefill_flops(state.range(0));
  measure(
      state, flops, 0, [&] { model.session->extend_to(model.tokens); },
      [&] {
        model.session.reset();
        model.session = model.engine->new_session();
      });
  state.counters["us/tok"] = state.counters["best_us"].value / static_cast<double>(state.range(0));
}
BENCHMARK(prefill)->ArgName("tokens")->Apply(lengths);

// 16 greedy tokens behind a context, always the same.
void decode(State& state) {
  constexpr int kSteps = 16;
  Loaded model(state.range(0));
  const int64_t position = state.range(0) + kSteps / 2;
  measure(
      state, kSteps * model.work.decode_flops(position), kSteps * model.work.decode_bytes(position),
      [&] {
        for (int i = 0; i < kSteps; ++i) model.session->append(model.session->sample({}));
      },
      [&] { model.session->extend_to(model.tokens); });
  state.counters["us/tok"] = state.counters["best_us"].value / kSteps;
}
BENCHMARK(decode)->ArgName("context")->Apply(lengths);

}  // namespace
}  // namespace ds4::bench
