// Writes one safetensors file as a stream: the header first, then each tensor's bytes in order.
// Which tensors belong into which file is the caller's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/weights/containers/safetensors.h"

namespace ds4::weights {

/// The file exists from the constructor on and is complete after finish(); an object destroyed
/// earlier leaves a cut-off file, which the caller removes. All members throw Error(kIo).
class SafetensorsWriter {
 public:
  /// Writes the header. `tensors` come in the order of their data; begin and end are set here, so
  /// that the data is gap-free. `metadata` becomes __metadata__.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorHeader> tensors,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// The next bytes of the data, in pieces of any size.
  void append(std::span<const std::byte> bytes);
  /// Checks that every byte announced came, flushes to the disk and closes.
  void finish();

 private:
  void write_all(const char* bytes, size_t size);

  std::filesystem::path path_;
  int fd_ = -1;
  int64_t missing_ = 0;  // data bytes announced and not yet appended
};

}  // namespace ds4::weights
