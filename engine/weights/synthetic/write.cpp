#include "engine/weights/synthetic/write.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "engine/weights/containers/safetensors_writer.h"
#include "engine/weights/synthetic/generate.h"
#include "engine/weights/synthetic/layout.h"

namespace ds4::weights::synthetic {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBlock = 16 << 20;
constexpr int64_t kHeadersAllowance = 64 << 20;  // headers, index, tokenizer

std::string shard_name(int shard, int n_shards) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", shard + 1, n_shards);
  return name;
}

void check_space(const fs::path& parent, int64_t bytes) {
  std::error_code unknown;
  const fs::space_info space = fs::space(parent, unknown);
  const int64_t needed = bytes + kHeadersAllowance;
  if (unknown || space.available >= static_cast<uintmax_t>(needed)) return;
  throw Error(ErrorCode::kIo,
              parent.string() + ": " + format_bytes(static_cast<int64_t>(space.available)) +
                  " are free, the checkpoint takes " + format_bytes(needed),
              "Free some space, choose another disk, or ask for fewer layers or experts.");
}

// A folder that vanishes with everything in it unless it was renamed into place.
class PartialFolder {
 public:
  explicit PartialFolder(const fs::path& final_path)
      : final_(final_path), path_(final_path.string() + ".partial" + std::to_string(::getpid())) {
    std::error_code error;
    if (!fs::create_directory(path_, error)) {
      throw Error(ErrorCode::kIo, path_.string() + ": cannot create: " + error.message(),
                  "Check the path and the permissions.");
    }
  }
  ~PartialFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void publish() {
    std::error_code error;
    fs::rename(path_, final_, error);
    if (error) {
      throw Error(ErrorCode::kIo, final_.string() + ": cannot create: " + error.message(),
                  "Choose a folder that does not exist.");
    }
  }

 private:
  fs::path final_, path_;
};

}  // namespace

void write_checkpoint(const Spec& spec, const fs::path& directory,
                      const std::map<std::string, std::string>& files,
                      const std::function<void(int64_t, int64_t)>& progress) {
  const fs::path target = fs::absolute(directory).lexically_normal();
  std::error_code ignored;
  if (fs::exists(target, ignored)) {
    throw Error(ErrorCode::kUsage, target.string() + ": exists already",
                "Name a folder that does not exist.");
  }
  const std::vector<Tensor> tensors = layout(spec);
  const int n_shards = tensors.back().shard + 1;
  int64_t total = 0;
  for (const Tensor& tensor : tensors) total += tensor.bytes();
  check_space(target.parent_path(), total);

  PartialFolder folder(target);
  for (const auto& [name, text] : files) write_file_atomic(folder.path() / name, text);
  write_file_atomic(folder.path() / "config.json", config_text(spec));
  nlohmann::json weight_map = nlohmann::json::object();
  std::vector<std::byte> block(static_cast<size_t>(kBlock));
  int64_t done = 0;
  for (size_t begin = 0, end = 0; begin < tensors.size(); begin = end) {
    const std::string shard = shard_name(tensors[begin].shard, n_shards);
    std::vector<TensorHeader> headers;
    int64_t bytes = 0;
    for (; end < tensors.size() && tensors[end].shard == tensors[begin].shard; ++end) {
      const Tensor& tensor = tensors[end];
      headers.push_back({tensor.name, tensor.dtype, tensor.shape, bytes, bytes + tensor.bytes()});
      bytes += tensor.bytes();
      weight_map[tensor.name] = shard;
    }
    SafetensorsWriter writer(folder.path() / shard, safetensors_header(headers), bytes);
    for (size_t i = begin; i < end; ++i) {
      for (int64_t at = 0; at < tensors[i].bytes(); at += kBlock) {
        const auto part = static_cast<size_t>(std::min(kBlock, tensors[i].bytes() - at));
        generate(tensors[i].recipe, at, {block.data(), part});
        writer.append({reinterpret_cast<const char*>(block.data()), part});
        done += static_cast<int64_t>(part);
        if (progress) progress(done, total);
      }
    }
    writer.finish();
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}},
                                {"weight_map", std::move(weight_map)}};
  write_file_atomic(folder.path() / "model.safetensors.index.json", index.dump(1) + "\n");
  folder.publish();
}

}  // namespace ds4::weights::synthetic
