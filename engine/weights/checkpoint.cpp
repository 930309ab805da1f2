#include "engine/weights/checkpoint.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/weights/source.h"

namespace ds4::weights {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kShardEnd = ".safetensors";
constexpr int64_t kMaxIndexBytes = 256 << 20;

[[noreturn]] void fail(const fs::path& file, const std::string& what, const char* hint) {
  throw Error(ErrorCode::kCheckpoint, file.string() + ": " + what, hint);
}

// A shard must be a plain file name: an index from elsewhere decides which files we open.
bool plain_shard_name(const std::string& name) {
  return name.find('/') == std::string::npos && name.find('\0') == std::string::npos &&
         name.size() > std::string_view(kShardEnd).size() && name.ends_with(kShardEnd);
}

// weight_map: tensor name -> shard file name.
std::map<std::string, std::string> read_index(const fs::path& path) {
  json index;
  try {
    index = json::parse(read_file(path, kMaxIndexBytes));
  } catch (const json::exception& error) {
    fail(path, std::string("not valid JSON: ") + error.what(),
         "Download or export the checkpoint again.");
  }
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    fail(path, "has no object `weight_map`", "Download or export the checkpoint again.");
  }
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !plain_shard_name(shard.get_ref<const std::string&>())) {
      fail(path,
           "tensor " + quoted_name(tensor) + " lies in " + quoted_name(shard.dump(-1, ' ', true)) +
               ", which is no plain *.safetensors file name",
           "An index may only name files of its own directory; get it from a source you trust.");
    }
    shards.emplace(tensor, shard.get<std::string>());
  }
  return shards;
}

std::vector<fs::path> shards_without_index(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == kShardEnd) paths.push_back(entry->path());
  }
  if (error) fail(directory, "cannot list: " + error.message(), "Check the permissions.");
  std::sort(paths.begin(), paths.end());
  return paths;
}

void check_index(const Checkpoint& checkpoint, const std::map<std::string, std::string>& index,
                 const fs::path& index_path) {
  for (const auto& [name, shard] : index) {
    const TensorRef* tensor = checkpoint.find(name);
    if (!tensor || tensor->file->path().filename() != shard) {
      fail(index_path,
           "tensor " + quoted_name(name) + " is not in " + quoted_name(shard) +
               (tensor ? " but in " + tensor->file->path().filename().string() : ""),
           "Index and shards belong to different checkpoints; download or export both again.");
    }
  }
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& name) {
  Checkpoint checkpoint;
  const Source source = resolve_source(name);
  if (source.synthetic) {
    checkpoint.add_generated(*source.synthetic);
    checkpoint.sort_tensors();
    return checkpoint;
  }
  const fs::path& directory = source.directory;
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    fail(directory, "not a directory",
         "Give the directory that holds config.json and the *.safetensors files.");
  }
  checkpoint.directory_ = directory;
  const fs::path index_path = directory / kIndexName;
  std::map<std::string, std::string> index;
  if (fs::exists(directory / kSingleName, ignored)) {
    checkpoint.add_file(directory / kSingleName);
  } else if (fs::is_regular_file(index_path, ignored)) {
    index = read_index(index_path);
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : index) shards.insert(shard);
    for (const std::string& shard : shards) checkpoint.add_file(directory / shard);
  } else {
    for (const fs::path& path : shards_without_index(directory)) checkpoint.add_file(path);
    if (checkpoint.files_.empty()) {
      fail(directory, "holds no *.safetensors file",
           "Give the directory of a checkpoint in the official safetensors layout.");
    }
  }
  checkpoint.sort_tensors();
  check_index(checkpoint, index, index_path);
  return checkpoint;
}

void Checkpoint::add_generated(const synthetic::Spec& spec) {
  directory_ = spec.name();
  const std::vector<synthetic::Tensor> tensors = synthetic::layout(spec);
  memory_ = std::make_shared<synthetic::Memory>(tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const synthetic::Tensor& tensor = tensors[i];
    tensors_.push_back(
        {tensor.name, tensor.dtype, tensor.shape, memory_->bytes(i), nullptr, tensor.recipe});
  }
}

void Checkpoint::generate() {
  if (memory_) memory_->fill();
}

std::vector<std::shared_ptr<const void>> Checkpoint::storage() const {
  std::vector<std::shared_ptr<const void>> all(files_.begin(), files_.end());
  if (memory_) all.push_back(memory_);
  return all;
}

void Checkpoint::add_file(const fs::path& path) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  for (const TensorHeader& tensor : file->tensors()) {
    tensors_.push_back(
        {tensor.name, tensor.dtype, tensor.shape, file->data(tensor), file.get(), std::nullopt});
  }
  files_.push_back(file);
}

void Checkpoint::sort_tensors() {
  std::sort(tensors_.begin(), tensors_.end(),
            [](const TensorRef& a, const TensorRef& b) { return a.name < b.name; });
  for (size_t i = 1; i < tensors_.size(); ++i) {
    if (tensors_[i].name == tensors_[i - 1].name) {
      fail(tensors_[i].file->path(),
           "tensor " + quoted_name(tensors_[i].name) + " is also in " +
               tensors_[i - 1].file->path().filename().string(),
           "Keep the files of one checkpoint only in the directory.");
    }
  }
}

const TensorRef* Checkpoint::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorRef& a, std::string_view b) { return a.name < b; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::span<const TensorRef> Checkpoint::with_prefix(std::string_view prefix) const {
  const auto begin =
      std::lower_bound(tensors_.begin(), tensors_.end(), prefix,
                       [](const TensorRef& a, std::string_view b) { return a.name < b; });
  const auto end = std::find_if_not(begin, tensors_.end(),
                                    [&](const TensorRef& t) { return t.name.starts_with(prefix); });
  return {begin, end};
}

std::string Checkpoint::identity() const {
  if (memory_) return sha256_hex(directory_.string());
  std::vector<std::string> parts;
  for (const auto& file : files_) {
    parts.push_back(sha256_hex(file->header()) + " " + std::to_string(file->file_bytes()) + "\n");
  }
  std::sort(parts.begin(), parts.end());
  Sha256 hash;
  for (const std::string& part : parts) hash.update(part);
  return hash.hex();
}

}  // namespace ds4::weights
