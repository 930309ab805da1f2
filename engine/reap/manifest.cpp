#include "engine/reap/manifest.h"

#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "engine/reap/json_fields.h"

namespace ds4::reap {
namespace {

constexpr const char* kFormat = "ds4-reap-manifest-1";

}  // namespace

bool Manifest::same_work(const Manifest& other) const {
  return tool == other.tool && source_sha256 == other.source_sha256 &&
         source_identity == other.source_identity && plan_sha256 == other.plan_sha256;
}

const ShardRecord* Manifest::find(const std::string& file) const {
  for (const ShardRecord& shard : shards) {
    if (shard.size.file == file) return &shard;
  }
  return nullptr;
}

Manifest read_manifest(const std::filesystem::path& path) {
  const nlohmann::json object = read_json_file(path, kFormat);
  const JsonFields fields(object, path.string());
  Manifest manifest{.complete = fields.boolean("complete"),
                    .tool = fields.text("tool"),
                    .source_identity = fields.text("source_identity"),
                    .source_sha256 = fields.text("source_sha256"),
                    .plan_sha256 = fields.text("plan_sha256"),
                    .keep = static_cast<int>(fields.integer("keep", 1, 1 << 16)),
                    .transfer = fields.boolean("transfer"),
                    .shards = {}};
  for (const JsonFields& entry : fields.objects("shards")) {
    ShardRecord shard;
    shard.size.file = entry.text("file");
    shard.size.source_bytes = entry.integer("source_bytes", 0, kMaxCount);
    shard.size.output_bytes = entry.integer("output_bytes", 0, kMaxCount);
    shard.size.tensors = entry.integer("tensors", 0, kMaxCount);
    shard.size.tensor_bytes = entry.integer("tensor_bytes", 0, kMaxCount);
    shard.source_sha256 = entry.text("source_sha256");
    shard.output_sha256 = entry.text("output_sha256");
    manifest.shards.push_back(std::move(shard));
  }
  return manifest;
}

void write_manifest(const Manifest& manifest, const std::filesystem::path& path) {
  nlohmann::ordered_json object;
  object["format"] = kFormat;
  object["complete"] = manifest.complete;
  object["tool"] = manifest.tool;
  object["source_identity"] = manifest.source_identity;
  object["source_sha256"] = manifest.source_sha256;
  object["plan_sha256"] = manifest.plan_sha256;
  object["keep"] = manifest.keep;
  object["transfer"] = manifest.transfer;
  object["hash_rule"] =
      "a dropped tid2eid entry becomes spare[(token + slot) % len(spare)], spare = ascending kept "
      "experts not in that row";
  int64_t tensors = 0;
  int64_t tensor_bytes = 0;
  auto shards = nlohmann::ordered_json::array();
  for (const ShardRecord& shard : manifest.shards) {
    nlohmann::ordered_json entry;
    entry["file"] = shard.size.file;
    entry["source_bytes"] = shard.size.source_bytes;
    entry["source_sha256"] = shard.source_sha256;
    entry["output_bytes"] = shard.size.output_bytes;
    entry["output_sha256"] = shard.output_sha256;
    entry["tensors"] = shard.size.tensors;
    entry["tensor_bytes"] = shard.size.tensor_bytes;
    shards.push_back(std::move(entry));
    tensors += shard.size.tensors;
    tensor_bytes += shard.size.tensor_bytes;
  }
  object["tensors"] = tensors;
  object["tensor_bytes"] = tensor_bytes;
  object["shards"] = std::move(shards);
  write_file_atomic(path, lines_of(object));
}

}  // namespace ds4::reap
