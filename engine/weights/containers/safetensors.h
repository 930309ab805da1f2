// One safetensors file: mapped, its header parsed and checked, nothing of its data read.
// Which files make a checkpoint is checkpoint.h's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/files.h"
#include "engine/weights/dtype.h"

namespace ds4::weights {

/// A tensor as a header describes it.
struct TensorHeader {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // byte offsets from the start of the data section
  int64_t end = 0;
};

/// Layout: u64 little-endian header length n, n bytes of JSON, then data.
///
/// Accepted: `__metadata__`, space padding of the header, unused bytes between and after tensors
/// (nothing reads them), tensors without elements, offsets without any alignment.
/// Refused: everything else that is not a well-formed header for exactly these bytes.
class SafetensorsFile {
 public:
  /// Throws Error(kCheckpoint) naming the file, and the tensor where there is one.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// In the order of the header.
  const std::vector<TensorHeader>& tensors() const { return tensors_; }
  /// Bytes [begin, end) of a tensor of this file.
  std::span<const std::byte> data(const TensorHeader& tensor) const;
  /// The header's JSON text with its padding.
  std::string_view header() const { return header_; }
  int64_t file_bytes() const { return static_cast<int64_t>(file_.bytes().size()); }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::string_view header_;
  std::vector<TensorHeader> tensors_;
};

/// A name from a file made fit for a message: quoted, control characters escaped, shortened.
std::string quoted_name(std::string_view name);

/// "[160,4096]".
std::string shape_text(std::span<const int64_t> shape);

}  // namespace ds4::weights
