#include "runners/engine_settings.h"

namespace ds4::runners {

EngineSettings engine_settings(const profiles::EngineSection& section) {
  EngineSettings settings;
  settings.device = section.device == "cuda" ? Device::kCuda : Device::kCpu;
  settings.kv_dtype = section.kv_dtype == "bf16" ? KvDtype::kBf16 : KvDtype::kFp8;
  settings.index_dtype = section.index_dtype == "bf16" ? IndexDtype::kBf16 : IndexDtype::kFp4;
  settings.context_length = section.context_length;
  settings.prefill_chunk = static_cast<int>(section.prefill_chunk);
  settings.draft_tokens = static_cast<int>(section.draft_tokens);
  settings.threads = static_cast<int>(section.threads);
  return settings;
}

}  // namespace ds4::runners
