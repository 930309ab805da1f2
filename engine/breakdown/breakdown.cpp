#include <algorithm>
#include <limits>
#include <random>

#include "engine/api/breakdown.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/breakdown/stretch.h"
#include "engine/breakdown/watch.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/weights/structure.h"

namespace ds4 {
namespace {

std::unique_ptr<ops::Backend> make_backend(const EngineSettings& settings) {
  return settings.device == Device::kCuda
             ? ops::make_cuda_backend(settings.precision, settings.residency)
             : ops::make_cpu_backend(settings.threads, settings.precision);
}

void check_stretch(const weights::ModelConfig& config, int64_t computed, int64_t length) {
  for (const int ratio : config.compress_ratios) {
    if (ratio == 0 || (computed % ratio == 0 && length % ratio == 0)) continue;
    throw Error(ErrorCode::kUsage,
                "the tokens computed (" + std::to_string(computed) +
                    ") and the context less one chunk (" + std::to_string(length) +
                    ") must be multiples of the compression ratio " + std::to_string(ratio),
                "Multiples of 128 suit every layer.");
  }
}

// One sequence and its model.
class Steps {
 public:
  Steps(const weights::ModelWeights& weights, ops::Backend& backend, const EngineSettings& settings,
        std::span<TokenId> tokens)
      : backend_(backend),
        tokens_(tokens),
        forward_(weights, backend, settings.prefill_chunk),
        cache_(backend, cache::plan_cache(weights.config, settings)) {}

  const cache::KvCache& cache() const { return cache_; }

  struct Times {
    double submit, all;
  };
  // Tokens [first, first + n) and the logits of the last, as a session computes them.
  Times run(int64_t first, int64_t n) {
    const double start = monotonic_seconds();
    submit(first, n);
    const double submitted = monotonic_seconds();
    backend_.read_floats(logits_, logits_.cols);
    return {submitted - start, monotonic_seconds() - start};
  }

  // Seconds of decoding `count` tokens, drawn where the logits are, behind the last run, which
  // ended at `first`.
  double generate(int64_t first, int64_t count) {
    const SamplingSettings greedy;
    const double start = monotonic_seconds();
    for (int64_t at = first; at < first + count; ++at) {
      const ops::Draw draw{logits_, at, &greedy, {}};
      backend_.sample({&draw, 1}, tokens_.subspan(static_cast<size_t>(at), 1));
      submit(at, 1);
    }
    backend_.read_floats(logits_, 1);  // waits
    return monotonic_seconds() - start;
  }

  // StepBreakdown::gpu_seconds.
  double gpu_seconds(int64_t first, int64_t n) {
    submit(first, n);
    backend_.mark();
    submit(first, n);
    backend_.mark();
    return backend_.take_marks()[1];
  }

 private:
  void submit(int64_t first, int64_t n) {
    const model::SequenceRows rows{
        tokens_.subspan(static_cast<size_t>(first), static_cast<size_t>(n)), first, &cache_};
    forward_.run({&rows, 1});
    logits_ = forward_.compute_logits(static_cast<int>(n) - 1, 1);
  }

  ops::Backend& backend_;
  std::span<TokenId> tokens_;
  ops::Floats logits_;  // of the last run
  model::Forward forward_;
  cache::KvCache cache_;
};

// Tokens [first, first + n) as they normally run, by the GPU's clock, and watched.
StepBreakdown time_step(Steps& steps, breakdown::WatchingBackend& backend, int64_t first, int64_t n,
                        int repeats) {
  StepBreakdown best;
  best.rows = n;
  best.seconds = std::numeric_limits<double>::infinity();
  best.gpu_seconds = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    const int64_t launched = ops::cuda_kernel_launches();
    const Steps::Times times = steps.run(first, n);
    best.launches = ops::cuda_kernel_launches() - launched;
    if (times.all >= best.seconds) continue;
    best.seconds = times.all;
    best.submit_seconds = times.submit;
  }
  for (int i = 0; i < repeats && best.launches > 0; ++i) {
    best.gpu_seconds = std::min(best.gpu_seconds, steps.gpu_seconds(first, n));
  }
  if (best.launches == 0) best.gpu_seconds = 0;
  for (int i = 0; i < repeats; ++i) {
    backend.start();
    steps.run(first, n);
    StepBreakdown pass = best;
    pass.operations = backend.stop();
    if (i == 0 || pass.total().seconds < best.total().seconds) best = std::move(pass);
  }
  return best;
}

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

double StepBreakdown::gpu_busy() const {
  return std::min(1.0, gpu_seconds / seconds);
}

Breakdown break_down(const BreakdownOptions& options,
                     const std::function<void(int64_t)>& progress) {
  if (options.context < 1 || options.repeats < 1 || options.computed < 0 || options.generated < 0) {
    throw Error(ErrorCode::kUsage, "context and repeats must be at least 1, the rest at least 0",
                "8192 and 5 are a good start.");
  }
  EngineSettings settings = options.settings;
  settings.context_length = options.context + 1 + options.generated;
  settings.draft_tokens = 0;
  settings.prefill_chunk =
      static_cast<int>(std::min<int64_t>(settings.prefill_chunk, options.context));
  const int64_t chunk = settings.prefill_chunk;
  const int64_t chunk_at = options.context - chunk;  // the watched chunk
  const bool stretched = options.computed > 0 && options.computed < chunk_at;
  weights::OpenedModel opened = weights::open_model(options.checkpoint);
  if (stretched) check_stretch(opened.config, options.computed, chunk_at);
  std::unique_ptr<ops::Backend> device = make_backend(settings);
  const weights::ModelWeights weights = device->load(std::move(opened), /*drafts=*/false, nullptr);
  std::vector<TokenId> tokens(static_cast<size_t>(settings.context_length));
  std::mt19937 random(3);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(random() % static_cast<uint64_t>(weights.config.vocab_size));
  }

  breakdown::WatchingBackend backend(std::move(device), weights);
  Steps steps(weights, backend, settings, tokens);
  Breakdown result;
  result.settings = settings;
  steps.run(0, 1);  // the first touch of what was loaded
  result.prompt_tokens = stretched ? options.computed : options.context;
  for (int64_t at = 0; at < result.prompt_tokens; at += chunk) {
    const int64_t n = std::min(chunk, result.prompt_tokens - at);
    result.prompt_seconds += steps.run(at, n).all;
    if (progress) progress(at + n);
  }
  if (stretched) {
    breakdown::stretch(backend, steps.cache(), options.computed, chunk_at);
    steps.run(chunk_at, chunk);
  }
  result.prefill = time_step(steps, backend, chunk_at, chunk, options.repeats);
  // A back end may record a step at its second run.
  for (int i = 0; i < 2; ++i) steps.run(options.context, 1);
  result.decode = time_step(steps, backend, options.context, 1, options.repeats);
  result.generated_seconds = steps.generate(options.context + 1, options.generated);
  result.device_bytes = settings.device == Device::kCuda ? ops::cuda_used_bytes() : 0;
  return result;
}

}  // namespace ds4
