// The engine settings as flags, for the verbs that drive the engine directly.
#pragma once

#include <CLI/CLI.hpp>
#include <map>

#include "engine/api/session.h"

namespace ds4::cli {

/// --checkpoint, --kv, --index, --device, --residency, --chunk, --threads; the verb adds what is
/// its own.
inline void add_engine_flags(CLI::App* verb, std::string& checkpoint, EngineSettings& settings) {
  static const std::map<std::string, KvDtype> kKv{{"fp8", KvDtype::kFp8}, {"bf16", KvDtype::kBf16}};
  static const std::map<std::string, IndexDtype> kIndex{{"fp4", IndexDtype::kFp4},
                                                        {"bf16", IndexDtype::kBf16}};
  static const std::map<std::string, Device> kDevice{{"cpu", Device::kCpu},
                                                     {"cuda", Device::kCuda}};
  static const std::map<std::string, Residency> kResidency{{"device", Residency::kDevice},
                                                           {"managed", Residency::kManaged},
                                                           {"mapped", Residency::kMapped}};
  verb->add_option("--checkpoint", checkpoint, "Checkpoint folder")->required();
  verb->add_option("--kv", settings.kv_dtype, "KV rows: fp8 (the reference) or bf16")
      ->transform(CLI::CheckedTransformer(kKv));
  verb->add_option("--index", settings.index_dtype, "Indexer keys: fp4 (the reference) or bf16")
      ->transform(CLI::CheckedTransformer(kIndex));
  verb->add_option("--device", settings.device, "cpu or cuda")
      ->transform(CLI::CheckedTransformer(kDevice));
  verb->add_option(
          "--residency", settings.residency,
          "Where the GPU's weights live: device, managed (shared memory), or mapped (a file in "
          "the page cache)")
      ->transform(CLI::CheckedTransformer(kResidency));
  verb->add_option("--chunk", settings.prefill_chunk, "Tokens computed at once in prefill")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--threads", settings.threads, "CPU threads; 0 = all")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
}

}  // namespace ds4::cli
