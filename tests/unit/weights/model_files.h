// Small checkpoints made on the spot: a complete random model that a test spoils in one place
// before writing it. Nothing here uses the code under test but its error type.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace ds4::weights {

/// A directory that removes itself.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct StoredTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

using StoredTensors = std::map<std::string, StoredTensor>;

/// u64 length, header text, data: exactly as given, right or wrong.
std::string raw_safetensors(const std::string& header, const std::string& data);
/// A well-formed file of these tensors, without gaps, in name order. `pad` moves every data offset.
std::string safetensors_bytes(const StoredTensors& tensors, const nlohmann::json& metadata = {},
                              size_t pad = 0);
void write_text(const std::filesystem::path& path, const std::string& bytes);

/// A model with every layer kind and sizes that divide nothing: ratios 0, 4 and 6, one hash layer,
/// 4, 3 and 5 experts, FP4 experts of odd width, FP8 projections, one classic MTP block.
struct TestModel {
  nlohmann::json config;
  StoredTensors tensors;

  TestModel();
  void add(const std::string& name, const std::string& dtype, std::vector<int64_t> shape);
  void add_fp8(const std::string& name, int64_t rows, int64_t cols);
  void add_fp4(const std::string& name, int64_t rows, int64_t cols);
  void add_layer(const std::string& prefix, int ratio, int n_experts, bool hashed);
  void add_head_mix(const std::string& prefix);
  /// Replaces the classic MTP block by the chained blocks of DSpark, with so many experts each.
  void chain_blocks(const std::vector<int>& experts);
  /// One model.safetensors and config.json.
  void write(const std::filesystem::path& folder) const;

 private:
  uint64_t state_ = 1;
};

/// "message | hint" of the Error(kCheckpoint) that `action` throws; "" when it throws none. Any
/// other exception fails the test.
std::string error_of(const std::function<void()>& action);

/// The folder of specifications and data beside the repository ($DS4_SHARED or ../shared), or
/// empty.
std::filesystem::path shared_folder();

}  // namespace ds4::weights
