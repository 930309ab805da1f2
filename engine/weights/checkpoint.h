// The tensors of a checkpoint directory, whatever its files: one model.safetensors, shards with an
// index, or shards alone. Headers only; what the tensors mean is load.cpp's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/containers/safetensors.h"
#include "engine/weights/dtype.h"
#include "engine/weights/synthetic/generate.h"

namespace ds4::weights {

/// A tensor and where its bytes are. Reading `data` reads the file; of generated weights it may
/// only be read after Checkpoint::generate().
struct TensorRef {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;               // no alignment
  const SafetensorsFile* file = nullptr;         // null for generated weights
  std::optional<synthetic::Recipe> recipe = {};  // of generated weights

  int64_t bytes() const { return static_cast<int64_t>(data.size()); }
};

/// An opened checkpoint: files, or generated weights. Movable; the bytes stay where they are as
/// long as it, or any holder of storage(), lives.
class Checkpoint {
 public:
  /// Opens `directory`: model.safetensors if there is one, else the shards that
  /// model.safetensors.index.json names, else every *.safetensors file. An index must agree with
  /// the shards: a missing shard or tensor, a tensor in another shard or in two, and a shard name
  /// that leaves the directory are refused; tensors of these shards that it omits are taken all the
  /// same. Throws Error(kCheckpoint) naming file and tensor. A name (source.h) works like a folder;
  /// generated weights take no memory before generate().
  static Checkpoint open(const std::filesystem::path& checkpoint);

  /// Makes the bytes of generated weights, once; of files nothing. Throws Error(kMachine).
  void generate();

  /// The folder, or the name of generated weights.
  const std::filesystem::path& directory() const { return directory_; }
  /// Sorted by name.
  std::span<const TensorRef> tensors() const { return tensors_; }
  /// Tensors whose name begins with `prefix`.
  std::span<const TensorRef> with_prefix(std::string_view prefix) const;
  /// The tensor of that name, or null.
  const TensorRef* find(std::string_view name) const;
  /// Empty for generated weights.
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }
  /// What keeps the tensors' bytes alive.
  std::vector<std::shared_ptr<const void>> storage() const;

  /// SHA-256 over headers and sizes: each file's header text and length, in an order that does not
  /// depend on file names. Tells checkpoints of different layout, dtype, shape or metadata apart;
  /// equal identities do not prove equal weights (content_sha256 does). Of generated weights: over
  /// their name, which determines them.
  std::string identity() const;

 private:
  void add_generated(const synthetic::Spec& spec);
  void add_file(const std::filesystem::path& path);
  void sort_tensors();

  std::filesystem::path directory_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::shared_ptr<synthetic::Memory> memory_;  // of generated weights
  std::vector<TensorRef> tensors_;
};

/// Changes when the files' bytes may have changed: config.json, headers, and each file's path, size
/// and time of writing. Reads no weights. Of generated weights: identity().
std::string content_state(const Checkpoint& checkpoint);

struct FileHash {
  std::filesystem::path path;
  std::string sha256;
};

/// SHA-256 of every weight file, sorted by path. Reads everything once; later calls take unchanged
/// files (path, size, modification time) from `cache_file`, a JSON file made on demand. An empty
/// path turns the cache off. Throws Error(kIo).
std::vector<FileHash> file_hashes(const Checkpoint& checkpoint,
                                  const std::filesystem::path& cache_file = {});

/// SHA-256 over config.json and the hashes that file_hashes() gave.
std::string content_sha256(const Checkpoint& checkpoint, std::span<const FileHash> hashes);
std::string content_sha256(const Checkpoint& checkpoint,
                           const std::filesystem::path& cache_file = {});

}  // namespace ds4::weights
