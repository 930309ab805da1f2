#include "tests/unit/reap/fixtures.h"

#include "engine/weights/checkpoint.h"
#include "engine/weights/config.h"

namespace ds4::reap {
namespace fs = std::filesystem;

Observation made_up_observation(const fs::path& folder) {
  const weights::Checkpoint checkpoint = weights::Checkpoint::open(folder);
  Observation observation{.origin = {.identity = checkpoint.identity(),
                                     .sha256 = weights::content_sha256(checkpoint),
                                     .calibration = "made-up.jsonl",
                                     .calibration_sha256 = std::string(64, '0')},
                          .experts_per_token = 2,
                          .sequence_tokens = 16,
                          .complete = true,
                          .tokens = 10,
                          .blocks = {}};
  const std::pair<const char*, int> blocks[] = {
      {"layers.0", 4}, {"layers.1", 3}, {"layers.2", 5}, {"mtp.0", 4}};
  for (const auto& [name, n] : blocks) {
    BlockSums block{
        .block = name, .hashed = std::string(name) == "layers.0", .sums = {}, .counts = {}};
    for (int e = 0; e < n; ++e) {
      const int score = (e * 7 + static_cast<int>(observation.blocks.size()) * 3) % 5 + 1;
      block.counts.push_back(e + 1);
      block.sums.push_back(score * (e + 1));
    }
    observation.blocks.push_back(std::move(block));
  }
  return observation;
}

PruneCase::PruneCase(int keep) {
  const fs::path source = folder.path() / "source";
  fs::create_directories(source / "encoding");
  const weights::TestModel model;
  weights::StoredTensors shards[2];
  nlohmann::json index;
  for (const auto& [name, tensor] : model.tensors) {
    const int shard = name.starts_with("layers.0.") || name.starts_with("mtp.") ? 1 : 0;
    shards[shard][name] = tensor;
    index["weight_map"][name] = "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
  }
  for (int i = 0; i < 2; ++i) {
    weights::write_text(source / ("model-0000" + std::to_string(i + 1) + "-of-00002.safetensors"),
                        weights::safetensors_bytes(shards[i], {{"format", "pt"}}, /*pad=*/0));
  }
  weights::write_text(source / "model.safetensors.index.json", index.dump());
  weights::write_text(source / "config.json", model.config.dump());
  weights::write_text(source / "tokenizer.json", "{}");
  weights::write_text(source / "README.md", "the parent");
  weights::write_text(source / "encoding/encoding_dsv4.py", "# texts");
  plan = make_plan(made_up_observation(source), keep);
  weights::write_text(folder.path() / "plan.json", plan_text(plan));
  options = {.source = source,
             .plan = folder.path() / "plan.json",
             .out = folder.path() / "pruned",
             .hash_cache = {}};
}

fs::path PruneCase::partial() const {
  return folder.path() / "pruned.partial";
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
  }
  return files;
}

}  // namespace ds4::reap
