#include "engine/session/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/cache/kv_cache.h"
#include "engine/cache/marks.h"
#include "engine/model/drafter.h"
#include "engine/model/workspace.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/ops.h"

namespace ds4 {

int64_t MemoryEstimate::total_bytes() const {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0},
                         [](int64_t sum, const Part& part) { return sum + part.bytes; });
}

MemoryEstimate estimate_memory(const std::filesystem::path& checkpoint,
                               const EngineSettings& settings) {
  return session::estimate(weights::open_model(checkpoint), settings);
}

MemoryEstimate session::estimate(const weights::OpenedModel& opened,
                                 const EngineSettings& settings) {
  const weights::ModelConfig& config = opened.config;
  const weights::Structure& structure = opened.structure;
  int64_t weight_bytes = 0;
  for (const weights::TensorRef& tensor : opened.checkpoint.tensors())
    weight_bytes += tensor.bytes();

  int experts = 0;
  for (const auto& counts : {structure.experts_per_layer, structure.experts_per_mtp_block}) {
    for (const int count : counts) experts = std::max(experts, count);
  }
  const int rows = batch_rows(settings);
  const cache::CachePlan plan = cache::plan_cache(config, settings);
  const bool cuda = settings.device == Device::kCuda;
  const int value_bytes = cuda ? ops::cuda_value_bytes(settings.precision) : ops::kCpuValueBytes;
  const int64_t scratch =
      cuda ? ops::cuda_scratch_bytes(config, rows, settings.precision)
           : ops::cpu_scratch_bytes(config, rows, settings.context_length, settings.threads);
  const int64_t activations = model::workspace_bytes(config, experts, rows, value_bytes) + scratch;
  const int64_t n = settings.sequences;
  const model::DraftBytes drafter =
      model::drafter_bytes(config, static_cast<int>(structure.experts_per_mtp_block.size()),
                           settings, rows, value_bytes);
  return {{{"weights", weight_bytes},
           {"raw KV", n * plan.raw_bytes},
           {"compressed KV", n * plan.compressed_bytes},
           {"indexer keys", n * plan.key_bytes},
           {"tails", n * plan.tail_bytes},
           {"marks", n * cache::marks_bytes(plan, config.vocab_size)},
           {"logits", n * config.vocab_size * 4},
           {"drafter", drafter.engine + n * drafter.sequence},
           {"activations", activations}}};
}

namespace session {
namespace {

// What the system says it can still give; no limit where it does not say.
int64_t free_host_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key;
  int64_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    meminfo.ignore(256, '\n');
  }
  return std::numeric_limits<int64_t>::max();
}

}  // namespace

int batch_rows(const EngineSettings& settings) {
  const int64_t chunk = std::min<int64_t>(settings.prefill_chunk, settings.context_length);
  return static_cast<int>(std::max<int64_t>(chunk, settings.sequences * cache::kDraftRows));
}

void check_free_memory(const MemoryEstimate& estimate, Device device) {
  const int64_t available = device == Device::kCuda ? ops::cuda_free_bytes() : free_host_bytes();
  if (estimate.total_bytes() <= available) return;
  std::string what = "the engine needs " + format_bytes(estimate.total_bytes()) + ", " +
                     format_bytes(available) + " are free" +
                     (device == Device::kCuda ? " on the GPU:" : ":");
  for (const MemoryEstimate::Part& part : estimate.parts) {
    what += " " + part.owner + " " + format_bytes(part.bytes) + ",";
  }
  what.pop_back();
  throw Error(ErrorCode::kMachine, what, "Lower the context length or the prefill chunk.");
}

}  // namespace session
}  // namespace ds4
