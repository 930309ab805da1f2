// Writes one safetensors file as a stream: the header first, then each tensor's bytes in order.
// Which tensors belong into which file is the caller's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/files.h"
#include "engine/weights/containers/safetensors.h"

namespace ds4::weights {

/// A header as it begins a file: length, JSON, blanks up to whole units of 8 bytes. `tensors` come
/// in the order of their data, with begin and end. `metadata`: the JSON of __metadata__, or empty.
std::string safetensors_header(std::span<const TensorHeader> tensors,
                               std::string_view metadata = R"({"format":"pt"})");

/// The file appears under its name with finish(); until then it is another one, which goes with an
/// object destroyed earlier. Members throw Error(kIo).
class SafetensorsWriter {
 public:
  /// Writes the header; `data_bytes` follow.
  SafetensorsWriter(const std::filesystem::path& path, std::string_view header, int64_t data_bytes);

  /// The next bytes of the data, in pieces of any size.
  void append(std::string_view bytes);
  /// Checks that every byte announced came, flushes to the disk and closes.
  void finish();

 private:
  AtomicFile file_;
  int64_t missing_ = 0;  // data bytes announced and not yet appended
};

}  // namespace ds4::weights
