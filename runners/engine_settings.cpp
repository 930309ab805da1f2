#include "runners/engine_settings.h"

namespace ds4::runners {

EngineSettings engine_settings(const profiles::EngineSection& section) {
  EngineSettings settings;
  settings.device = section.device == "cuda" ? Device::kCuda : Device::kCpu;
  settings.kv_dtype = section.kv_dtype == "bf16" ? KvDtype::kBf16 : KvDtype::kFp8;
  settings.index_dtype = section.index_dtype == "bf16" ? IndexDtype::kBf16 : IndexDtype::kFp4;
  settings.residency = section.residency == "managed"  ? Residency::kManaged
                       : section.residency == "mapped" ? Residency::kMapped
                                                       : Residency::kDevice;
  settings.context_length = section.context_length;
  settings.prefill_chunk = static_cast<int>(section.prefill_chunk);
  settings.draft_tokens = static_cast<int>(section.draft_tokens);
  settings.sequences = static_cast<int>(section.sequences);
  settings.threads = static_cast<int>(section.threads);
  return settings;
}

SamplingSettings sampling_settings(const suites::GenerationLimits& limits) {
  const suites::Sampling& from = limits.sampling;
  return {.temperature = from.temperature,
          .top_p = from.top_p,
          .top_k = from.top_k,
          .min_p = from.min_p,
          .repetition_penalty = from.repetition_penalty,
          .presence_penalty = from.presence_penalty,
          .frequency_penalty = from.frequency_penalty,
          .logit_bias = {},
          .seed = limits.seed,
          .sequence = limits.sequence};
}

}  // namespace ds4::runners
