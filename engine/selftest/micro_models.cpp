#include "engine/selftest/micro_models.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/weights/containers/safetensors.h"

namespace ds4::selftest {
namespace fs = std::filesystem;

/// Files, each a line "NAME BYTES" and that many bytes.
extern const std::string_view micro_models_bundle;

MicroModels::MicroModels() {
  std::string name = (fs::temp_directory_path() / "ds4-selftest-XXXXXX").string();
  if (!::mkdtemp(name.data())) {
    throw Error(ErrorCode::kIo, name + ": cannot be made: " + std::strerror(errno),
                "Set TMPDIR to a folder with 2 MiB of room.");
  }
  folder_ = name;
  std::string_view rest = micro_models_bundle;
  while (!rest.empty()) {
    const size_t blank = rest.find(' ');
    const size_t line = rest.find('\n');
    const fs::path path = folder_ / rest.substr(0, blank);
    const auto bytes = std::stoull(std::string(rest.substr(blank + 1, line - blank - 1)));
    make_folders(path.parent_path());
    std::ofstream file(path, std::ios::binary);  // no fsync: nobody reads these after a crash
    file << rest.substr(line + 1, bytes);
    if (!file.flush()) {
      throw Error(ErrorCode::kIo, path.string() + ": cannot be written",
                  "Set TMPDIR to a folder with 2 MiB of room.");
    }
    rest.remove_prefix(line + 1 + bytes);
  }
}

MicroModels::~MicroModels() {
  std::error_code ignored;  // a folder left in TMPDIR harms nobody
  fs::remove_all(folder_, ignored);
}

namespace {

const weights::TensorHeader* find(const weights::SafetensorsFile& file, const std::string& name) {
  for (const weights::TensorHeader& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

template <class T>
std::vector<T> values(const weights::SafetensorsFile& file, const std::string& name) {
  const weights::TensorHeader* tensor = find(file, name);
  DS4_CHECK(tensor, "the bundle lacks a tensor");
  const auto bytes = file.data(*tensor);
  std::vector<T> result(bytes.size() / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

}  // namespace

Golden read_golden(const fs::path& model, const std::string& set, int64_t total) {
  const weights::SafetensorsFile file(model / "golden.safetensors");
  Golden golden;
  const auto stored = values<uint8_t>(file, "tokens");
  const size_t n = total ? static_cast<size_t>(total) : stored.size();
  for (size_t i = 0; i < n; ++i) golden.tokens.push_back(stored[i % stored.size()]);
  golden.positions = values<int64_t>(file, "positions");
  golden.logits = values<float>(file, set + "/logits");
  golden.noise = values<float>(file, set + "/noise");
  return golden;
}

bool has_golden(const fs::path& model, const std::string& set) {
  return find(weights::SafetensorsFile(model / "golden.safetensors"), set + "/logits") != nullptr;
}

std::vector<GoldenDraw> read_draws(const fs::path& model) {
  const weights::SafetensorsFile file(model / "golden.safetensors");
  const auto temperature = values<float>(file, "draws/temperature");
  const auto top_p = values<float>(file, "draws/top_p");
  const auto seed = values<int64_t>(file, "draws/seed");
  const auto sequence = values<int64_t>(file, "draws/sequence");
  const auto token = values<int64_t>(file, "draws/token");
  std::vector<GoldenDraw> draws;
  for (size_t i = 0; i < token.size(); ++i) {
    draws.push_back({temperature[i], top_p[i], static_cast<uint64_t>(seed[i]),
                     static_cast<uint64_t>(sequence[i]), static_cast<int32_t>(token[i])});
  }
  return draws;
}

std::vector<int64_t> read_rounds(const fs::path& model, const std::string& set) {
  return values<int64_t>(weights::SafetensorsFile(model / "golden.safetensors"), "rounds/" + set);
}

}  // namespace ds4::selftest
