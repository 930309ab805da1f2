// What a checkpoint holds, from its headers alone: tensors, bytes by kind, bytes per decoded token.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ds4 {

struct Inventory {
  /// A component of model.md 7.1 (attention projections, routed experts, ...).
  struct Component {
    std::string name;
    int64_t tensors = 0;
    int64_t bytes = 0;            // stored
    int64_t bytes_per_token = 0;  // read per decoded token at batch 1
  };
  struct DtypeTotal {
    std::string dtype;  // as in the header: F8_E4M3, F8_E8M0, I8, BF16, F32, I64
    int64_t tensors = 0;
    int64_t bytes = 0;
  };
  int64_t n_shards = 0;
  int64_t n_tensors = 0;
  int64_t tensor_bytes = 0;
  int64_t bytes_per_token = 0;        // sum of the components, MTP excluded
  double kv_bytes_per_token_fp8 = 0;  // growing caches, FP8 rows + FP4 indexer keys (model.md 4.3)
  double kv_bytes_per_token_bf16 = 0;
  int64_t kv_fixed_bytes_fp8 = 0;  // raw windows of all backbone layers
  std::vector<Component> components;
  std::vector<DtypeTotal> dtypes;
  std::vector<int> experts_per_layer;
  std::string mtp;       // "none", "classic" or "dspark" (model.md 1.4)
  std::string identity;  // sha256 over headers and sizes
};

/// Reads config.json and every shard header; no tensor data. Throws Error(kCheckpoint).
Inventory take_inventory(const std::filesystem::path& checkpoint);

/// sha256 over config.json and the bytes of every shard: reads the whole checkpoint once, then
/// keeps each shard's hash in `cache_file` (JSON) for as long as size and time of writing stay the
/// same.
std::string checkpoint_sha256(const std::filesystem::path& checkpoint,
                              const std::filesystem::path& cache_file);

/// sha256 of the bytes of every weight file, by its path: reads the whole checkpoint. Throws
/// Error(kCheckpoint), Error(kUsage) for generated weights.
std::map<std::filesystem::path, std::string> checkpoint_file_sha256(
    const std::filesystem::path& checkpoint);

/// Writes the synthetic checkpoint `name` ("synthetic:k160:layers=2") to the new folder `directory`
/// in the official layout: shards, index, config.json, tokenizer.json. Streams; the folder appears
/// complete or not at all. `progress` receives the bytes done and in all. Throws Error(kUsage) for
/// a bad name or a folder that exists, Error(kIo) when the space does not suffice.
void synthesize_checkpoint(const std::string& name, const std::filesystem::path& directory,
                           const std::function<void(int64_t, int64_t)>& progress = nullptr);

}  // namespace ds4
