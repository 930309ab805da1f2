// The observation file: sums and the place where observing stopped, every number exact.
#include <nlohmann/json.hpp>

#include "engine/api/reap.h"
#include "engine/reap/origin.h"

namespace ds4::reap {
namespace {

constexpr const char* kFormat = "ds4-reap-observation-1";

}  // namespace

std::string observation_text(const Observation& observation) {
  nlohmann::ordered_json object;
  object["format"] = kFormat;
  object["score"] =
      "per expert: sum over the tokens routed to it of route weight x L2 norm of its output";
  object["identity"] = observation.origin.identity;
  object["sha256"] = observation.origin.sha256;
  object["experts_per_token"] = observation.experts_per_token;
  object["calibration"] = observation.origin.calibration;
  object["calibration_sha256"] = observation.origin.calibration_sha256;
  object["sequence_tokens"] = observation.sequence_tokens;
  object["complete"] = observation.complete;
  object["bytes_done"] = observation.bytes_done;
  object["sequences_done"] = observation.sequences_done;
  object["documents"] = observation.documents;
  object["sequences"] = observation.sequences;
  object["tokens"] = observation.tokens;
  object["blocks"] = nlohmann::ordered_json::array();
  for (const BlockSums& block : observation.blocks) {
    nlohmann::ordered_json entry;
    entry["block"] = block.block;
    entry["hashed"] = block.hashed;
    entry["counts"] = block.counts;
    entry["sums"] = block.sums;
    object["blocks"].push_back(std::move(entry));
  }
  return lines_of(object);
}

Observation read_observation(const std::filesystem::path& path) {
  const nlohmann::json object = read_json_file(path, kFormat);
  const JsonFields fields(object, path.string());
  Observation observation;
  observation.origin = read_origin(fields);
  observation.experts_per_token = static_cast<int>(fields.integer("experts_per_token", 1, 1 << 16));
  observation.sequence_tokens = static_cast<int>(fields.integer("sequence_tokens", 2, 1 << 30));
  observation.complete = fields.boolean("complete");
  observation.bytes_done = fields.integer("bytes_done", 0, kMaxCount);
  observation.sequences_done = fields.integer("sequences_done", 0, kMaxCount);
  observation.documents = fields.integer("documents", 0, kMaxCount);
  observation.sequences = fields.integer("sequences", 0, kMaxCount);
  observation.tokens = fields.integer("tokens", 0, kMaxCount);
  for (const JsonFields& entry : block_entries(fields)) {
    BlockSums block{.block = entry.text("block"),
                    .hashed = entry.boolean("hashed"),
                    .sums = entry.amounts("sums"),
                    .counts = entry.integers("counts", 0, kMaxCount)};
    if (block.sums.empty() || block.sums.size() != block.counts.size()) {
      entry.fail("`sums` and `counts` must have one entry per expert each");
    }
    observation.blocks.push_back(std::move(block));
  }
  return observation;
}

}  // namespace ds4::reap
