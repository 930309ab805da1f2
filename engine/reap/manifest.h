// REAP_MANIFEST.json of a pruned checkpoint: where it comes from and what every shard hashed to.
// While pruning it is the list of finished shards.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/api/reap.h"

namespace ds4::reap {

inline constexpr const char* kManifestName = "REAP_MANIFEST.json";
inline constexpr const char* kPlanName = "reap_plan.json";

struct ShardRecord {
  ShardSize size;
  std::string source_sha256;
  std::string output_sha256;
};

struct Manifest {
  bool complete = false;
  std::string tool;
  std::string source_identity;
  std::string source_sha256;
  std::string plan_sha256;
  int keep = 0;
  bool transfer = false;
  std::vector<ShardRecord> shards;

  /// Whether `other` was begun with the same input by the same tool.
  bool same_work(const Manifest& other) const;
  const ShardRecord* find(const std::string& file) const;
};

/// Throws Error(kCheckpoint).
Manifest read_manifest(const std::filesystem::path& path);
/// Atomically.
void write_manifest(const Manifest& manifest, const std::filesystem::path& path);

}  // namespace ds4::reap
