// Reads golden vectors: tensors of a safetensors file by name, widened to float or int64.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/weights/containers/safetensors.h"
#include "engine/weights/matrix.h"

namespace ds4::golden {

/// tests/golden/vectors of the source tree.
std::filesystem::path vectors_dir();

class GoldenFile {
 public:
  explicit GoldenFile(const std::filesystem::path& path) : file_(path) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  std::vector<int64_t> shape(const std::string& name) const;
  /// F32, BF16, F8_E4M3, U8, I8 (as integers for the last two) widened.
  std::vector<float> floats(const std::string& name) const;
  /// I64.
  std::vector<int64_t> integers(const std::string& name) const;
  /// The raw bytes.
  std::vector<uint8_t> bytes(const std::string& name) const;
  /// `name`.weight with `name`.scale as a matrix view into this file's mapping (`prefix` may end in
  /// "/" so that the tensors are "prefix" + "weight").
  weights::Matrix matrix(const std::string& weight, const std::string& scale) const;

 private:
  const weights::TensorHeader* find(const std::string& name) const;
  const weights::TensorHeader& at(const std::string& name) const;

  weights::SafetensorsFile file_;
};

/// A JSON list of token ids.
std::vector<int32_t> read_tokens(const std::filesystem::path& path);

}  // namespace ds4::golden
