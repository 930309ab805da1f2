// Rules about [engine] and its memory.
#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "runners/fit/lint_tables.h"

namespace ds4::runners::fit {
namespace {

// Bounds of the sources beside each rule.
constexpr int64_t kLeastFloor = 2 * kGiB, kHighFloor = 8 * kGiB;
constexpr int64_t kDraftTransient = 6 * kGiB;
constexpr auto kMostDeviceWeights = static_cast<int64_t>(96.66 * kGiB);
constexpr int64_t kMillion = 1000000;

MaybeChange small_chunk(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.prefill_chunk > kSmallChunk ||
      s.cell.engine.context_length < kSmallChunkContext) {
    return {};
  }
  return Change{"engine.prefill_chunk", std::to_string(2 * kSmallChunk)};
}

MaybeChange low_floor(const Subject& s) {
  if (!shared_gpu(s) || s.cell.memory_floor.value_or(kLeastFloor) >= kLeastFloor) return {};
  return Change{"limits.memory_floor", "\"6GiB\""};
}

MaybeChange drafts_high_floor(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.draft_tokens == 0 ||
      s.cell.memory_floor.value_or(0) < kHighFloor || longest_of(s.cell) < kResetPrompt) {
    return {};
  }
  return Change{"engine.draft_tokens", "0"};
}

MaybeChange drafts_little_margin(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.draft_tokens == 0 || s.verdict->margin() < 0 ||
      s.verdict->margin() >= kDraftTransient) {
    return {};
  }
  return Change{"engine.draft_tokens", "0"};
}

MaybeChange device_weights(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.residency != "device" ||
      weight_bytes(*s.prediction) <= kMostDeviceWeights) {
    return {};
  }
  return Change{"engine.residency", "\"managed\""};
}

MaybeChange managed_weights(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.residency != "managed" || s.verdict->fit != Fit::kFits ||
      weight_bytes(*s.prediction) > kMostDeviceWeights) {
    return {};
  }
  return Change{"engine.residency", "\"device\""};
}

MaybeChange plain_kv(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.kv_dtype != "bf16" ||
      s.cell.engine.context_length < kMillion) {
    return {};
  }
  return Change{"engine.kv_dtype", "\"fp8\""};
}

MaybeChange context_beyond_model(const Subject& s) {
  const int64_t limit = read_model_info(resolve_checkpoint(s.cell.checkpoint)).context_limit;
  if (s.cell.engine.context_length <= limit) return {};
  return Change{"engine.context_length", std::to_string(limit)};
}

constexpr Rule kRules[] = {
    {"small-chunk", "engine.prefill_chunk, engine.context_length",
     "a shared GPU, a chunk of at most 4096 and a context of 98,304 or more",
     "with a KV pool of fixed size the driver ran out of memory within three minutes, and the "
     "machine had to be rebooted",
     "MiaAI-Lab/DeepSeek-v4-Flash-One-DGX-Spark#10", false, small_chunk},
    {"low-floor", "limits.memory_floor", "a shared GPU and a floor under 2 GiB",
     "with a floor of 1 KB nothing stopped the run before the whole machine was out of memory",
     "0xSero/deepseek-spark", false, low_floor},
    {"drafts-high-floor", "engine.draft_tokens, limits.memory_floor, lengths",
     "a shared GPU, drafts, a floor of 8 GiB or more and prompts of 131,072 or more",
     "K144 with two drafts and a floor of 8 GiB was faster at short decode, but not safe at long "
     "context",
     "0xSero/deepseek-spark", false, drafts_high_floor},
    {"drafts-little-margin", "engine.draft_tokens, the margin",
     "a shared GPU, drafts and a margin under 6 GiB",
     "drafting repetitive JSON took 4 to 6 GiB for a moment, and the watchdog ended the run at its "
     "floor",
     "bmarti44/spark-deepseek-v4-flash", true, drafts_little_margin},
    {"device-weights", "engine.residency, checkpoint",
     "a shared GPU and more than 96.66 GiB of weights in device memory",
     "the most that is known to have run so is K160 with 96.66 GiB; K180 was run in managed memory",
     "0xSero/DeepSeek-V4-Flash-180B (model card); sleepyeldrazi/ds4-nvfp4-spark", true,
     device_weights},
    {"managed-weights", "engine.residency, checkpoint",
     "a shared GPU and managed memory for at most 96.66 GiB of weights that fit",
     "managed memory was read at 97 GB/s, and at 68 without hints; device memory at 118",
     "sleepyeldrazi/ds4-nvfp4-spark", true, managed_weights},
    {"plain-kv", "engine.kv_dtype, engine.context_length",
     "a shared GPU, bf16 KV and a context of 1,000,000 or more",
     "K180 at a million tokens ran out of KV memory with unpacked rows",
     "sleepyeldrazi/ds4-nvfp4-spark", false, plain_kv},
    {"context-beyond-model", "engine.context_length, checkpoint",
     "a context longer than the checkpoint's max_position_embeddings",
     "servers started with 1.5M and 2M ended after 50 seconds; this engine refuses to start",
     "canada-quant/dsv4-flash-w4a16-fp8", false, context_beyond_model},
};

}  // namespace

std::span<const Rule> engine_rules() {
  return kRules;
}

}  // namespace ds4::runners::fit
