#include <algorithm>
#include <limits>
#include <random>

#include "engine/api/breakdown.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/breakdown/watch.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"

namespace ds4 {
namespace {

std::unique_ptr<ops::Backend> make_backend(const EngineSettings& settings) {
  return settings.device == Device::kCuda
             ? ops::make_cuda_backend(settings.precision)
             : ops::make_cpu_backend(settings.threads, settings.precision);
}

// One sequence and its model.
class Steps {
 public:
  Steps(const weights::ModelWeights& weights, ops::Backend& backend, const EngineSettings& settings)
      : forward_(weights, backend, settings.prefill_chunk),
        cache_(backend, cache::plan_cache(weights.config, settings)) {}

  // Tokens [first, first + n) and the logits of the last, as a session computes them.
  double run(std::span<const TokenId> tokens, int64_t first, int64_t n) {
    const double start = monotonic_seconds();
    const model::SequenceRows rows{
        tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(n)), first, &cache_};
    forward_.run({&rows, 1});
    forward_.logits(static_cast<int>(n) - 1, 1);
    return monotonic_seconds() - start;
  }

 private:
  model::Forward forward_;
  cache::KvCache cache_;
};

}  // namespace

OperationCost StepBreakdown::total() const {
  OperationCost sum{.name = "all operations"};
  for (const OperationCost& cost : operations) {
    sum.calls += cost.calls;
    sum.seconds += cost.seconds;
    sum.bytes += cost.bytes;
    sum.weight_bytes += cost.weight_bytes;
    sum.flops += cost.flops;
  }
  return sum;
}

Breakdown break_down(const BreakdownOptions& options,
                     const std::function<void(int64_t)>& progress) {
  if (options.context < 1 || options.repeats < 1) {
    throw Error(ErrorCode::kUsage, "context and repeats must be at least 1",
                "8192 and 5 are a good start.");
  }
  const weights::ModelWeights weights = weights::load_weights(options.checkpoint);
  EngineSettings settings = options.settings;
  settings.context_length = options.context + 1;
  settings.draft_tokens = 0;
  settings.prefill_chunk =
      static_cast<int>(std::min<int64_t>(settings.prefill_chunk, options.context));
  std::vector<TokenId> tokens(static_cast<size_t>(settings.context_length));
  std::mt19937 random(3);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(random() % static_cast<uint64_t>(weights.config.vocab_size));
  }

  breakdown::WatchingBackend backend(make_backend(settings), weights);
  Steps steps(weights, backend, settings);
  const int64_t chunk = settings.prefill_chunk;
  for (int64_t at = 0; at < options.context; at += chunk) {
    const int64_t n = std::min(chunk, options.context - at);
    steps.run(tokens, at, n);
    if (progress) progress(at + n);
  }
  const auto time_step = [&](int64_t first, int64_t n) {
    StepBreakdown best{n, std::numeric_limits<double>::infinity(), {}};
    for (int i = 0; i < options.repeats; ++i) {
      best.seconds = std::min(best.seconds, steps.run(tokens, first, n));
    }
    for (int i = 0; i < options.repeats; ++i) {
      backend.start();
      steps.run(tokens, first, n);
      StepBreakdown pass = best;
      pass.operations = backend.stop();
      if (i == 0 || pass.total().seconds < best.total().seconds) best = std::move(pass);
    }
    return best;
  };
  Breakdown result;
  result.prefill = time_step(options.context - chunk, chunk);
  result.decode = time_step(options.context, 1);
  return result;
}

}  // namespace ds4
