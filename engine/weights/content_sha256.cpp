// The full hash of a checkpoint, and the cache that spares reading 100 GB twice.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "engine/api/inventory.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "engine/weights/checkpoint.h"

namespace ds4::weights {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// What must be unchanged for a cached hash to hold.
std::string state_of(const fs::path& path, int64_t bytes) {
  const auto written = fs::last_write_time(path).time_since_epoch();
  return std::to_string(bytes) + " " +
         std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(written).count());
}

std::string absolute_path(const SafetensorsFile& file) {
  return fs::absolute(file.path()).lexically_normal().string();
}

// A cache that cannot be read is an empty cache.
json read_cache(const fs::path& cache_file) {
  std::error_code ignored;
  if (cache_file.empty() || !fs::exists(cache_file, ignored)) return json::object();
  json cache = json::parse(read_file(cache_file), nullptr, /*allow_exceptions=*/false);
  return cache.is_object() ? cache : json::object();
}

std::string text_or_empty(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string content_state(const Checkpoint& checkpoint) {
  if (checkpoint.files().empty()) return checkpoint.identity();
  std::string text = sha256_hex(read_file(checkpoint.directory() / "config.json")) + " " +
                     checkpoint.identity() + "\n";
  for (const auto& file : checkpoint.files()) {
    text += absolute_path(*file) + " " + state_of(file->path(), file->file_bytes()) + "\n";
  }
  return sha256_hex(text);
}

std::vector<FileHash> file_hashes(const Checkpoint& checkpoint, const fs::path& cache_file) {
  if (checkpoint.files().empty()) {
    throw Error(ErrorCode::kUsage,
                checkpoint.directory().string() + ": generated weights have no files to hash",
                "Its identity, which `inspect` prints, tells them apart.");
  }
  json cache = read_cache(cache_file);
  bool changed = false;
  std::vector<FileHash> hashes;
  for (const auto& file : checkpoint.files()) {
    const std::string key = absolute_path(*file);
    const std::string state = state_of(file->path(), file->file_bytes());
    const auto entry = cache.find(key);
    std::string hash;
    if (entry != cache.end() && text_or_empty(*entry, "state") == state) {
      hash = text_or_empty(*entry, "sha256");
    }
    if (hash.empty()) {
      Sha256 bytes;
      read_pieces(file->bytes(), [&](std::string_view piece) { bytes.update(piece); });
      hash = bytes.hex();
      cache[key] = {{"state", state}, {"sha256", hash}};
      changed = true;
    }
    hashes.push_back({file->path(), hash});
  }
  std::sort(hashes.begin(), hashes.end(),
            [](const FileHash& a, const FileHash& b) { return a.path < b.path; });
  if (changed && !cache_file.empty()) write_file_atomic(cache_file, cache.dump(1) + "\n");
  return hashes;
}

std::string content_sha256(const Checkpoint& checkpoint, std::span<const FileHash> hashes) {
  Sha256 whole;
  whole.update(sha256_hex(read_file(checkpoint.directory() / "config.json")) + "\n");
  for (const FileHash& file : hashes) whole.update(file.sha256 + "\n");
  return whole.hex();
}

std::string content_sha256(const Checkpoint& checkpoint, const fs::path& cache_file) {
  return content_sha256(checkpoint, file_hashes(checkpoint, cache_file));
}

}  // namespace ds4::weights

namespace ds4 {

std::string checkpoint_sha256(const std::filesystem::path& checkpoint,
                              const std::filesystem::path& cache_file) {
  return weights::content_sha256(weights::Checkpoint::open(checkpoint), cache_file);
}

std::map<std::filesystem::path, std::string> checkpoint_file_sha256(
    const std::filesystem::path& checkpoint) {
  std::map<std::filesystem::path, std::string> hashes;
  for (weights::FileHash& file : weights::file_hashes(weights::Checkpoint::open(checkpoint))) {
    hashes.emplace(std::move(file.path), std::move(file.sha256));
  }
  return hashes;
}

}  // namespace ds4
