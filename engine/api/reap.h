// Pruning of routed experts by REAP scores (docs/reap.md): observe a model on calibration text,
// plan which experts stay, write the smaller checkpoint, validate it. Works on files; needs no
// Engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ds4::reap {

/// What an observation or a plan comes from.
struct Origin {
  std::string identity;  // Checkpoint::identity() and content hash of the observed checkpoint
  std::string sha256;
  std::string calibration;  // file name without folder
  std::string calibration_sha256;
};

// --- observe ----------------------------------------------------------------------------------

/// What was seen of the experts of one block, "layers.3" or "mtp.0".
struct BlockSums {
  std::string block;
  bool hashed = false;          // routed by token id
  std::vector<double> sums;     // [experts] sum of route weight x L2 norm of the output
  std::vector<int64_t> counts;  // [experts] tokens routed to it
};

/// Sums over a calibration file, complete or not; the file that observe() writes holds just this.
struct Observation {
  Origin origin;
  int experts_per_token = 0;
  int sequence_tokens = 0;
  bool complete = false;
  int64_t bytes_done = 0;      // of the calibration file; a document begins there
  int64_t sequences_done = 0;  // of that document
  int64_t documents = 0;       // counted at their end
  int64_t sequences = 0;
  int64_t tokens = 0;
  std::vector<BlockSums> blocks;
};

struct ObserveOptions {
  std::filesystem::path checkpoint;
  std::filesystem::path calibration;  // *.jsonl: one {"text": ...} per line; else plain text
  std::filesystem::path out;          // the observation; exists: go on where it stopped
  std::filesystem::path hash_cache;   // weights::file_hashes(); may be empty
  int sequence_tokens = 2048;         // longer documents are cut into sequences of this length
  int threads = 0;                    // 0 = all this process may use
  double save_every_s = 30;
};

struct ObserveProgress {
  int64_t bytes_done = 0;  // of the calibration file
  int64_t bytes_total = 0;
  int64_t tokens = 0;
  double eta_s = 0;  // by the bytes done since this start; 0 = unknown
};

/// Runs the calibration file through the model (CPU, reference precision) and sums. `progress` is
/// called after each sequence; returning false saves and stops. An unfinished file at `out` must
/// belong to the same checkpoint, calibration file and sequence length. Throws Error.
Observation observe(const ObserveOptions& options,
                    const std::function<bool(const ObserveProgress&)>& progress);

Observation read_observation(const std::filesystem::path& path);
/// The file's text: JSON, every number exact.
std::string observation_text(const Observation& observation);

// --- plan -------------------------------------------------------------------------------------

struct BlockPlan {
  std::string block;
  bool hashed = false;
  std::string rule;            // "reap", or "as BLOCK" for a block that was not observed
  std::vector<int> kept;       // ascending
  std::vector<double> scores;  // [experts]; 0 where none was routed or the rule is not "reap"
  int n_experts() const { return static_cast<int>(scores.size()); }
};

struct Plan {
  int keep = 0;
  Origin origin;
  std::string observation_sha256;  // of observation_text()
  int64_t tokens = 0;
  std::vector<BlockPlan> blocks;
};

/// Keeps the `keep` experts of largest mean score in every block (all where a block has fewer);
/// equal scores: the lower id. `as` names, for blocks without a single observed token, the block
/// whose kept experts they take. Throws Error(kUsage).
Plan make_plan(const Observation& observation, int keep,
               const std::map<std::string, std::string>& as = {});

Plan read_plan(const std::filesystem::path& path);
std::string plan_text(const Plan& plan);

// --- prune ------------------------------------------------------------------------------------

struct PruneOptions {
  std::filesystem::path source;
  std::filesystem::path plan;
  std::filesystem::path out;         // must not exist; until the end the work is in OUT.partial
  std::filesystem::path hash_cache;  // weights::file_hashes(); may be empty
  bool transfer = false;             // the plan was made for another checkpoint of this structure
};

struct ShardSize {
  std::string file;
  int64_t source_bytes = 0;  // whole files, header included
  int64_t output_bytes = 0;
  int64_t tensors = 0;
  int64_t tensor_bytes = 0;
};

struct PruneSizes {
  int keep = 0;
  int64_t source_tensor_bytes = 0;
  std::vector<ShardSize> shards;
  int64_t tensor_bytes() const;
  int64_t output_bytes() const;
  int64_t tensors() const;
};

/// What prune() would write, from headers alone. Which experts stay does not matter, so neither
/// plan nor observation is needed.
PruneSizes prune_sizes(const std::filesystem::path& source, int keep);

/// `done` of `total` bytes written in shards.
using PruneProgress = std::function<void(int64_t done, int64_t total)>;

/// Writes the pruned checkpoint. After a kill or an error the same call goes on behind the last
/// finished shard. Throws Error.
PruneSizes prune(const PruneOptions& options, const PruneProgress& progress);

// --- validate ---------------------------------------------------------------------------------

struct ValidateOptions {
  std::filesystem::path checkpoint;
  std::filesystem::path source;  // empty: structure and value ranges only
  bool requantised = false;      // stored bytes may differ: judge by cosine and relative MAE
  double min_cosine = 0.995;
  double max_relative_mae = 0.12;
};

/// Tensors of one kind compared with the source's.
struct GroupCheck {
  std::string group;
  int64_t tensors = 0;
  int64_t identical = 0;    // byte for byte, dtype and shape included
  double cosine = 1;        // least of all tensors; dequantised
  double relative_mae = 0;  // largest: sum |a - b| / sum |b|
  std::string worst;        // tensor of the least cosine, if below 1
  bool passed = true;
};

struct Validation {
  std::vector<std::string> failures;  // one sentence each, empty = valid
  std::vector<std::string> notes;     // facts that decide nothing
  std::vector<int> experts_per_block;
  std::vector<GroupCheck> groups;  // without a source: empty
};

Validation validate(const ValidateOptions& options);

}  // namespace ds4::reap
