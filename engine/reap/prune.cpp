// Writing a pruned checkpoint: shard by shard, tensor by tensor, a few MiB at a time. All work is
// in OUT.partial; config.json comes last, so nothing unfinished loads.
#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/api/reap.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "engine/base/units.h"
#include "engine/base/version.h"
#include "engine/reap/layout.h"
#include "engine/reap/manifest.h"
#include "engine/weights/codecs/f32.h"
#include "engine/weights/containers/safetensors_writer.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using weights::Checkpoint;
using weights::TensorRef;

constexpr int64_t kMaxTextBytes = 256 << 20;

ShardSize size_of(const OutputShard& shard) {
  return {.file = shard.file,
          .source_bytes = shard.source_bytes,
          .output_bytes = shard.file_bytes(),
          .tensors = static_cast<int64_t>(shard.tensors.size()),
          .tensor_bytes = shard.tensor_bytes()};
}

PruneSizes sizes_of(const Checkpoint& source, const std::vector<OutputShard>& shards, int keep) {
  PruneSizes sizes{.keep = keep, .shards = {}};
  for (const TensorRef& tensor : source.tensors()) sizes.source_tensor_bytes += tensor.bytes();
  for (const OutputShard& shard : shards) sizes.shards.push_back(size_of(shard));
  return sizes;
}

// --- tensors ----------------------------------------------------------------------------------

std::string_view row_of(const TensorRef& tensor, int64_t row) {
  const auto bytes = static_cast<size_t>(tensor.bytes() / tensor.shape[0]);
  return {reinterpret_cast<const char*>(tensor.data.data()) + static_cast<size_t>(row) * bytes,
          bytes};
}

/// Takes the next bytes of a shard.
using Put = std::function<void(std::string_view)>;

// The table of a hash layer, I64 or I32, in the new numbers.
void write_table(const OutputTensor& tensor, const Put& put) {
  const TensorRef& source = *tensor.source;
  const bool wide = source.dtype == weights::Dtype::kI64;
  const int64_t cols = source.shape[1];
  std::vector<int64_t> row(static_cast<size_t>(cols));
  std::string bytes;
  for (int64_t token = 0; token < source.shape[0]; ++token) {
    for (int64_t slot = 0; slot < cols; ++slot) {
      const std::byte* at = source.data.data() + (token * cols + slot) * (wide ? 8 : 4);
      const int64_t id = wide ? weights::load_i64(at) : weights::load_i32(at);
      if (id < 0 || id >= tensor.cut->n_experts) {
        throw Error(ErrorCode::kCheckpoint,
                    source.file->path().string() + ": tensor " + source.name + " names expert " +
                        std::to_string(id) + " for token " + std::to_string(token),
                    "The layer has " + std::to_string(tensor.cut->n_experts) +
                        " experts; download or export the checkpoint again.");
      }
      row[static_cast<size_t>(slot)] = id;
    }
    remap_row(*tensor.cut, token, row);
    for (const int64_t id : row) {
      // The low bytes of a two's complement number are the narrower number: ids fit both.
      bytes.append(reinterpret_cast<const char*>(&id), wide ? 8 : 4);
    }
  }
  put(bytes);
}

void write_tensor(const OutputTensor& tensor, const Put& put) {
  switch (tensor.change) {
    case OutputTensor::Change::kNone:
      read_pieces(tensor.source->data, put);
      return;
    case OutputTensor::Change::kRows:
      for (const int expert : tensor.cut->kept) put(row_of(*tensor.source, expert));
      return;
    case OutputTensor::Change::kTable:
      write_table(tensor, put);
      return;
  }
}

// --- the files around the shards --------------------------------------------------------------

// What a checkpoint needs beside its weights: tokenizer, templates, encoding code, licences. Its
// README speaks of the parent and stays there.
bool is_companion(const fs::path& file) {
  static constexpr const char* kEndings[] = {".json", ".jinja", ".py", ".txt", ".model"};
  static constexpr const char* kMade[] = {"config.json", kManifestName, kPlanName};
  const std::string name = file.filename().string();
  if (name.starts_with(".") || name.ends_with(".index.json")) return false;
  if (std::find(std::begin(kMade), std::end(kMade), name) != std::end(kMade)) return false;
  if (name.starts_with("LICENSE") || name.starts_with("NOTICE")) return true;
  return std::find(std::begin(kEndings), std::end(kEndings), file.extension()) !=
         std::end(kEndings);
}

void copy_companions(const fs::path& source, const fs::path& out) {
  for (const auto& entry : fs::directory_iterator(source)) {
    if (entry.is_regular_file() && is_companion(entry.path())) {
      write_file_atomic(out / entry.path().filename(), read_file(entry.path(), kMaxTextBytes));
    }
  }
  const fs::path encoding = source / "encoding";  // tells which release's texts to use
  if (!fs::is_directory(encoding)) return;
  make_folders(out / "encoding");
  for (const auto& entry : fs::directory_iterator(encoding)) {
    if (entry.is_regular_file() && is_companion(entry.path())) {
      write_file_atomic(out / "encoding" / entry.path().filename(),
                        read_file(entry.path(), kMaxTextBytes));
    }
  }
}

void write_index(const std::vector<OutputShard>& shards, const fs::path& out) {
  std::map<std::string, std::string> files;
  int64_t total = 0;
  for (const OutputShard& shard : shards) {
    for (const OutputTensor& tensor : shard.tensors) files.emplace(tensor.name, shard.file);
    total += shard.tensor_bytes();
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = files;
  write_file_atomic(out / "model.safetensors.index.json", index.dump(2) + "\n");
}

void write_config(const fs::path& source, const Plan& plan, const Manifest& manifest,
                  const fs::path& out) {
  auto config = nlohmann::ordered_json::parse(read_file(source / "config.json", kMaxTextBytes));
  config["n_routed_experts"] = plan.keep;
  nlohmann::ordered_json about;
  about["kept_experts_per_layer"] = plan.keep;
  about["plan_sha256"] = manifest.plan_sha256;
  about["source_identity"] = manifest.source_identity;
  about["source_sha256"] = manifest.source_sha256;
  about["tool"] = manifest.tool;
  config["reap_pruning"] = about;
  write_file_atomic(out / "config.json", config.dump(2) + "\n");
}

// --- one run ----------------------------------------------------------------------------------

class Pruning {
 public:
  explicit Pruning(const PruneOptions& options)
      : options_(options),
        source_(weights::open_model(options.source)),
        plan_(read_plan(options.plan)),
        cuts_(cuts_of(plan_, options.plan.string(), source_.config, source_.structure)),
        shards_(lay_out(source_.checkpoint, cuts_)),
        partial_(options.out) {
    partial_ += ".partial";
    check_origin(source_.checkpoint.identity(), plan_.origin.identity);
    if (fs::exists(options_.out)) {
      throw Error(ErrorCode::kUsage, options_.out.string() + ": exists already",
                  "Give another folder, or remove this one yourself.");
    }
  }

  PruneSizes run(const PruneProgress& progress) {
    PruneSizes sizes = sizes_of(source_.checkpoint, shards_, plan_.keep);
    begin();
    int64_t done = 0;
    for (const OutputShard& shard : shards_) {
      progress(done, sizes.output_bytes());
      if (!finished(shard)) write_shard(shard, done, sizes.output_bytes(), progress);
      done += shard.file_bytes();
    }
    progress(done, sizes.output_bytes());
    complete();
    return sizes;
  }

 private:
  void check_origin(const std::string& have, const std::string& planned) const {
    if (options_.transfer || have == planned) return;
    throw Error(ErrorCode::kCheckpoint,
                options_.plan.string() + ": was made for another checkpoint than " +
                    options_.source.string(),
                "Observe and plan with this checkpoint, or give --transfer if the plan is meant to "
                "be carried over.");
  }

  // Fills the manifest, taking over shards that an earlier attempt finished.
  void begin() {
    const auto hashes = weights::file_hashes(source_.checkpoint, options_.hash_cache);
    for (const weights::FileHash& file : hashes) {
      source_hashes_[file.path.filename().string()] = file.sha256;
    }
    manifest_ = {.tool = std::string("ds4-sweep ") + kVersion + " (" + kCommit + ")",
                 .source_identity = source_.checkpoint.identity(),
                 .source_sha256 = weights::content_sha256(source_.checkpoint, hashes),
                 .plan_sha256 = sha256_hex(plan_text(plan_)),
                 .keep = plan_.keep,
                 .transfer = options_.transfer,
                 .shards = {}};
    check_origin(manifest_.source_sha256, plan_.origin.sha256);
    std::error_code error;
    if (fs::exists(partial_ / kManifestName, error)) {
      Manifest earlier = read_manifest(partial_ / kManifestName);
      if (!earlier.same_work(manifest_)) {
        throw Error(ErrorCode::kUsage,
                    partial_.string() + ": holds the beginning of another pruning",
                    "Remove that folder yourself, or give another --out.");
      }
      manifest_.shards = std::move(earlier.shards);
    }
    make_folders(partial_);
    for (const auto& entry : fs::directory_iterator(partial_)) {
      // What a killed attempt was writing.
      if (entry.path().extension().string().starts_with(".tmp")) fs::remove(entry.path(), error);
    }
    check_space();
  }

  void check_space() const {
    int64_t needed = 0;
    for (const OutputShard& shard : shards_) needed += finished(shard) ? 0 : shard.file_bytes();
    std::error_code error;
    const auto available = static_cast<int64_t>(fs::space(partial_, error).available);
    if (!error && available < needed) {
      throw Error(ErrorCode::kIo,
                  partial_.string() + ": the disk has " + format_bytes(available) + " free; " +
                      format_bytes(needed) + " are needed",
                  "Free space or give another --out.");
    }
  }

  // A shard has its name and its record only when all of it is on the disk.
  bool finished(const OutputShard& shard) const {
    const ShardRecord* record = manifest_.find(shard.file);
    std::error_code error;
    return record && record->size.output_bytes == shard.file_bytes() &&
           static_cast<int64_t>(fs::file_size(partial_ / shard.file, error)) ==
               shard.file_bytes() &&
           !error;
  }

  void write_shard(const OutputShard& shard, int64_t done, int64_t total,
                   const PruneProgress& progress) {
    weights::SafetensorsWriter file(partial_ / shard.file, shard.header, shard.tensor_bytes());
    Sha256 hash;
    hash.update(shard.header);
    const Put put = [&](std::string_view bytes) {
      hash.update(bytes);
      file.append(bytes);
    };
    for (const OutputTensor& tensor : shard.tensors) {
      write_tensor(tensor, put);
      progress(done + static_cast<int64_t>(shard.header.size()) + tensor.end, total);
    }
    file.finish();
    std::erase_if(manifest_.shards,
                  [&](const ShardRecord& record) { return record.size.file == shard.file; });
    manifest_.shards.push_back({size_of(shard), source_hashes_.at(shard.file), hash.hex()});
    write_manifest(manifest_, partial_ / kManifestName);
  }

  void complete() {
    copy_companions(options_.source, partial_);
    const bool single = shards_.size() == 1 && shards_[0].file == "model.safetensors";
    if (!single) write_index(shards_, partial_);
    write_file_atomic(partial_ / kPlanName, plan_text(plan_));
    manifest_.complete = true;
    std::sort(manifest_.shards.begin(), manifest_.shards.end(),
              [](const ShardRecord& a, const ShardRecord& b) { return a.size.file < b.size.file; });
    write_manifest(manifest_, partial_ / kManifestName);
    write_config(options_.source, plan_, manifest_, partial_);
    std::error_code error;
    fs::rename(partial_, options_.out, error);
    if (error) {
      throw Error(ErrorCode::kIo,
                  partial_.string() + ": complete, but cannot be renamed to " +
                      options_.out.string() + ": " + error.message(),
                  "Rename it yourself.");
    }
  }

  const PruneOptions& options_;
  weights::OpenedModel source_;
  Plan plan_;
  std::vector<Cut> cuts_;
  std::vector<OutputShard> shards_;
  fs::path partial_;
  std::map<std::string, std::string> source_hashes_;  // by file name
  Manifest manifest_;
};

}  // namespace

int64_t PruneSizes::tensor_bytes() const {
  int64_t bytes = 0;
  for (const ShardSize& shard : shards) bytes += shard.tensor_bytes;
  return bytes;
}

int64_t PruneSizes::output_bytes() const {
  int64_t bytes = 0;
  for (const ShardSize& shard : shards) bytes += shard.output_bytes;
  return bytes;
}

int64_t PruneSizes::tensors() const {
  int64_t count = 0;
  for (const ShardSize& shard : shards) count += shard.tensors;
  return count;
}

PruneSizes prune_sizes(const fs::path& directory, int keep) {
  const auto [config, source, structure] = weights::open_model(directory);
  std::vector<Cut> cuts = all_blocks(config, structure);
  if (keep < config.num_experts_per_tok) {
    throw Error(ErrorCode::kUsage,
                "cannot keep " + std::to_string(keep) + " experts: each token takes " +
                    std::to_string(config.num_experts_per_tok),
                "Keep at least that many.");
  }
  for (Cut& cut : cuts) {
    cut.kept.resize(std::min(cut.kept.size(), static_cast<size_t>(keep)));
  }
  return sizes_of(source, lay_out(source, cuts), keep);
}

PruneSizes prune(const PruneOptions& options, const PruneProgress& progress) {
  return Pruning(options).run(progress);
}

}  // namespace ds4::reap
