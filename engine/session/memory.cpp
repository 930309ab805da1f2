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
#include "engine/weights/weights.h"

namespace ds4 {

int64_t MemoryEstimate::total_bytes() const {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0},
                         [](int64_t sum, const Part& part) { return sum + part.bytes; });
}

MemoryEstimate estimate_memory(const std::filesystem::path& checkpoint,
                               const EngineSettings& settings) {
  return session::plan_memory(weights::open_model(checkpoint), settings).estimate;
}

namespace session {
namespace {

// What both back ends allocate: the pieces of one sequence, and those of the engine.
struct Pieces {
  cache::CachePlan cache;
  model::DraftBytes drafter;
  int experts = 0;
  int64_t workspace = 0;
};

Pieces pieces_of(const weights::OpenedModel& opened, const EngineSettings& settings,
                 int value_bytes) {
  const weights::Structure& structure = opened.structure;
  Pieces pieces;
  pieces.cache = cache::plan_cache(opened.config, settings);
  pieces.drafter =
      model::drafter_bytes(opened.config, static_cast<int>(structure.experts_per_mtp_block.size()),
                           settings, batch_rows(settings), value_bytes);
  for (const auto& counts : {structure.experts_per_layer, structure.experts_per_mtp_block}) {
    for (const int count : counts) pieces.experts = std::max(pieces.experts, count);
  }
  pieces.workspace =
      model::workspace_bytes(opened.config, pieces.experts, batch_rows(settings), value_bytes);
  return pieces;
}

MemoryPlan plan_host(const weights::OpenedModel& opened, const EngineSettings& settings) {
  const Pieces pieces = pieces_of(opened, settings, ops::kCpuValueBytes);
  const cache::CachePlan& cache = pieces.cache;
  const int64_t n = settings.sequences;
  int64_t weight_bytes = 0;
  for (const weights::TensorRef& tensor : opened.checkpoint.tensors())
    weight_bytes += tensor.bytes();
  const int64_t scratch = ops::cpu_scratch_bytes(opened.config, batch_rows(settings),
                                                 settings.context_length, settings.threads);
  return {.estimate = {{{"weights", weight_bytes},
                        {"raw KV", n * cache.raw_bytes},
                        {"compressed KV", n * cache.compressed_bytes},
                        {"indexer keys", n * cache.key_bytes},
                        {"tails", n * cache.tail_bytes},
                        {"marks", n * cache::marks_bytes(cache, opened.config.vocab_size)},
                        {"logits", n * opened.config.vocab_size * 4},
                        {"drafter", pieces.drafter.engine + n * pieces.drafter.sequence},
                        {"activations", pieces.workspace + scratch}}}};
}

// Every piece as the back end rounds it, so that the sum is what it takes.
MemoryPlan plan_device(const weights::OpenedModel& opened, const EngineSettings& settings) {
  const auto rounded = [](int64_t bytes) { return ops::cuda_piece_bytes(bytes); };
  const auto if_any = [&](int64_t bytes) { return bytes ? rounded(bytes) : 0; };
  const Pieces pieces = pieces_of(opened, settings, ops::cuda_value_bytes(settings.precision));
  const cache::CachePlan& cache = pieces.cache;
  const int64_t n = settings.sequences;
  weights::ModelWeights shapes = weights::model_shapes(opened);
  const bool mapped = settings.residency == Residency::kMapped;
  if (settings.draft_tokens == 0 && !mapped) {  // a file holds all, whoever maps it
    shapes.mtp.reset();
    shapes.dspark.reset();
  }
  const int64_t scratch =
      ops::cuda_scratch_bytes(opened.config, pieces.experts, batch_rows(settings),
                              settings.context_length, settings.precision);
  const int64_t frequencies = 2 * rounded(opened.config.qk_rope_head_dim / 2 * 4);
  MemoryPlan plan{
      .estimate = {{{"raw KV", n * rounded(cache.raw_bytes)},
                    {"compressed KV", n * rounded(cache.compressed_bytes)},
                    {"indexer keys", n * rounded(cache.key_bytes)},
                    {"tails", n * rounded(cache.tail_bytes)},
                    {"marks", n * rounded(cache::marks_bytes(cache, opened.config.vocab_size))},
                    {"logits", n * rounded(opened.config.vocab_size * 4)},
                    {"drafter",
                     if_any(pieces.drafter.engine) + n * if_any(pieces.drafter.sequence)},
                    {"activations", rounded(pieces.workspace) + frequencies + rounded(scratch)}}},
      .pieces = 0,
      .scratch = scratch};
  plan.pieces = plan.estimate.total_bytes() - rounded(scratch);
  auto& parts = plan.estimate.parts;
  const ops::CudaWeightBytes weights = ops::cuda_weight_bytes(shapes, settings.precision);
  if (mapped) {
    plan.estimate.mapped = {{"weights", weights.block}};
    parts.insert(parts.begin(), {"weight tables", weights.tables});
  } else {
    parts.insert(parts.begin(), {"weights", weights.block + weights.tables});
  }
  parts.push_back({"CUDA context and graphs", ops::kCudaContextBytes});
  plan.estimate.loading = {{"load staging", ops::kCudaStagingBytes}};
  return plan;
}

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

// Of the file's pages, and on unified memory of all together.
void check_mapped_memory(const MemoryEstimate& estimate) {
  int64_t bytes = 0;
  for (const MemoryEstimate::Part& part : estimate.mapped) bytes += part.bytes;
  const int64_t beside = ops::cuda_memory().shared ? estimate.total_bytes() : 0;
  const int64_t available = free_host_bytes();
  if (bytes + beside <= available) return;
  throw Error(ErrorCode::kMachine,
              "the engine needs " + format_bytes(bytes) + " of page cache for mapped weights" +
                  (beside ? " and " + format_bytes(beside) + " beside them" : "") + ", " +
                  format_bytes(available) + " are available",
              "Take a smaller checkpoint: weights that do not stay in memory are read from the "
              "disk for every token.");
}

}  // namespace

MemoryPlan plan_memory(const weights::OpenedModel& opened, const EngineSettings& settings) {
  return settings.device == Device::kCuda ? plan_device(opened, settings)
                                          : plan_host(opened, settings);
}

int batch_rows(const EngineSettings& settings) {
  const int64_t chunk = std::min<int64_t>(settings.prefill_chunk, settings.context_length);
  return static_cast<int>(std::max<int64_t>(chunk, settings.sequences * cache::kDraftRows));
}

void check_free_memory(const MemoryEstimate& estimate, Device device) {
  if (!estimate.mapped.empty()) check_mapped_memory(estimate);
  // The context exists by now and is no longer free.
  const int64_t available =
      device == Device::kCuda ? ops::cuda_free_bytes() + ops::kCudaContextBytes : free_host_bytes();
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
